"""An ensemble as an alarm: do several networks of one shape disagree before the first one fails?

The first network of a shape acts, the others say what they would do. What they disagree by at a
step is the root of the mean squared deviation of the actions from their mean. An alarm is raised at
the first step where it exceeds a band around what is usual at that step in successful episodes,
which holds for all steps of one at once with probability 1 - ALPHA (split conformal prediction).

Measures and band after Xu et al. 2025, FAIL-Detect (arXiv:2503.08558), section 4: episodes are run
to the horizon, whether they succeed or not, so that none is told by its length.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from sklearn.metrics import roc_auc_score

from nnit.artifacts.samples import read_samples
from nnit.mlp import Architecture, PolicyInterface, format_architecture
from nnit.policy import NumpyPolicy
from nnit.rollout.episodes import run_trajectory
from nnit.seeding import numpy_generator
from nnit.tasks.registry import get_task
from nnit.tasks.simulation import DirectSimulation, prepare_process
from nnit.tasks.task import Observed

ALPHA = 0.05  # false alarms that the band allows
CALIBRATION_FIRST_SEED = 800_000  # of resets; neither of demonstrations nor of any evaluation
EPISODES = 100  # of each shape, calibration and every case alike
DRAWS = 1000  # of the bootstrap over initial states
LIFTED = {"StackCube-v1": "cubeA", "PlaceSphere-v1": "obj"}  # what the robot picks up


class Case(NamedTuple):
    """A change of the dynamics that no network was trained with."""

    name: str
    heavier: float = 1.0  # times the mass of what is picked up
    delay: int = 0  # control steps until an action takes effect


CASES = (Case("as trained"), Case("heavier", heavier=20.0), Case("delayed", delay=1))


class Disturbed:
    """A task of ManiSkill with other dynamics."""

    def __init__(self, task: str, case: Case) -> None:
        self._simulation, self._lifted = DirectSimulation(get_task(task)), LIFTED[task]
        self._case, self._waiting = case, list[np.ndarray]()

    def reset(self, seed: int) -> np.ndarray:
        """Begin an episode."""
        observation, self._waiting = self._simulation.reset(seed), []
        body = getattr(self._simulation._environment, self._lifted)
        for part in body._bodies:
            part.mass *= self._case.heavier
            part.inertia = part.inertia * self._case.heavier
        return observation

    def step(self, action: np.ndarray) -> Observed:
        """Go on with the action of some steps ago; before the first, nothing is asked for."""
        self._waiting.append(action)
        late = len(self._waiting) > self._case.delay
        return self._simulation.step(self._waiting.pop(0) if late else np.zeros_like(action))


class Watched(NamedTuple):
    """Episodes of all shapes, of one method in one case."""

    disagreement: np.ndarray  # (E, T)
    failed: np.ndarray  # (E,) bool
    state: np.ndarray  # (E,) which initial state, the same numbers for every shape


def disagreement(policies: Sequence[NumpyPolicy], observations: np.ndarray) -> np.ndarray:
    """Return ``(T,)``: how far actions are from their mean at observations ``(T, obs_dim)``."""
    actions = np.stack([[policy(one) for one in observations] for policy in policies])  # (K, T, A)
    return np.sqrt(((actions - actions.mean(axis=0)) ** 2).mean(axis=(0, 2)))


def watch(
    simulation: Disturbed,
    ensembles: Sequence[Sequence[NumpyPolicy]],
    horizon: int,
    first_seed: int,
) -> Watched:
    """Run the first network of each ensemble, watched by the whole of it."""
    found = []
    for policies in ensembles:
        for k in range(EPISODES):
            episode = run_trajectory(simulation, policies[0], first_seed + k, horizon)
            scores = disagreement(policies, episode.observations[:-1])
            found.append((scores, not episode.success.any(), k))
    scores, failed, state = zip(*found, strict=True)
    return Watched(np.stack(scores), np.array(failed), np.array(state))


class Band(NamedTuple):
    """What is usual in successful episodes."""

    centre: np.ndarray  # (T,)
    scale: np.ndarray  # (T,)
    bound: float  # in scales


def fit_band(calm: Watched) -> Band:
    """Fit the band to successful episodes: its shape to those of even states, its width to others.

    Raises:
        ValueError: too few of them for a bound that holds.
    """
    even = calm.state % 2 == 0
    shape, width = (calm.disagreement[~calm.failed & half] for half in (even, ~even))
    place = math.ceil((len(width) + 1) * (1 - ALPHA))
    if place > len(width):
        raise ValueError(f"{len(width)} successful episodes are too few for a band")
    band = Band(shape.mean(axis=0), shape.std(axis=0) + 1e-6, 0.0)
    return band._replace(bound=float(np.sort(excess(band, width).max(axis=1))[place - 1]))


def excess(band: Band, scores: np.ndarray) -> np.ndarray:
    """Return ``(E, T)``: how far disagreement is above what is usual at that step, in scales."""
    return (scores - band.centre) / band.scale


def judge(band: Band, watched: Watched) -> dict[str, Any]:
    """Return how well alarms tell failed episodes."""
    above = excess(band, watched.disagreement)
    worst, alarmed = above.max(axis=1), above > band.bound
    failed, raised = watched.failed, np.any(alarmed, axis=1)
    first = alarmed.argmax(axis=1) / alarmed.shape[1]
    caught = raised & failed
    return {
        "episodes": len(failed),
        "failed": int(failed.sum()),
        **auroc(worst, watched),
        "true_alarms": float(raised[failed].mean()) if failed.any() else None,
        "false_alarms": float(raised[~failed].mean()) if not failed.all() else None,
        "lead": float(np.median(1 - first[caught])) if caught.any() else None,  # of the horizon
    }


def auroc(worst: np.ndarray, watched: Watched) -> dict[str, Any]:
    """Return the area under the curve, its interval by a bootstrap over initial states."""
    if watched.failed.all() or not watched.failed.any():
        return {"auroc": None, "auroc_95": None}
    chance, drawn = numpy_generator(0, "alarms"), []
    of_state = [np.flatnonzero(watched.state == k) for k in range(EPISODES)]
    for _ in range(DRAWS):
        rows = np.concatenate([of_state[k] for k in chance.integers(0, EPISODES, EPISODES)])
        if 0 < watched.failed[rows].sum() < len(rows):
            drawn.append(roc_auc_score(watched.failed[rows], worst[rows]))
    return {
        "auroc": float(roc_auc_score(watched.failed, worst)),
        "auroc_95": [float(v) for v in np.percentile(drawn, [2.5, 97.5])],
    }


def ensembles_of(
    networks: Path, shapes: Sequence[str]
) -> tuple[PolicyInterface, list[list[NumpyPolicy]]]:
    """Return the interface, and the networks of each shape."""
    samples, _ = read_samples(networks)
    by_shape: dict[Architecture, list[NumpyPolicy]] = {}
    for one in samples.samples:
        policy = NumpyPolicy(samples.interface, one.network.hidden_dims, one.network.weights)
        by_shape.setdefault(one.network.hidden_dims, []).append(policy)
    return samples.interface, [
        found for dims, found in by_shape.items() if format_architecture(dims) in shapes
    ]


def alarms(
    networks: Path,
    arch: Annotated[list[str], typer.Option()],
    out: Annotated[Path, typer.Option()],
) -> None:
    """Judge the ensembles of some samples as alarms, in every case."""
    interface, ensembles = ensembles_of(networks, arch)
    prepare_process()
    task, results = interface.task, {}
    calm = watch(Disturbed(task, CASES[0]), ensembles, interface.horizon, CALIBRATION_FIRST_SEED)
    band = fit_band(calm)
    for case in CASES:
        watched = watch(Disturbed(task, case), ensembles, interface.horizon, 0)
        results[case.name] = judge(band, watched)
    out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(alarms)
