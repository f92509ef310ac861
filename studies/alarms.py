"""Ensembles as alarms, in the task as it is and with dynamics that nothing was trained with."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer

from nnit.artifacts.samples import read_samples
from nnit.mlp import Architecture, PolicyInterface, format_architecture
from nnit.policy import NumpyPolicy
from nnit.rollout.alarms import Watched, disagreement, fit_band, judge
from nnit.rollout.episodes import run_trajectory
from nnit.tasks.registry import get_task
from nnit.tasks.simulation import DirectSimulation, prepare_process
from nnit.tasks.task import Observed

Ensembles = Sequence[Sequence[NumpyPolicy]]
CALIBRATION_FIRST_SEED = 800_000  # of resets; neither of demonstrations nor of any evaluation
EPISODES = 100  # of each shape, calibration and every case alike
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


def watch(simulation: Disturbed, ensembles: Ensembles, horizon: int, first_seed: int) -> Watched:
    """Run the first network of each ensemble, watched by the whole of it."""
    found = []
    for policies in ensembles:
        for k in range(EPISODES):
            episode = run_trajectory(simulation, policies[0], first_seed + k, horizon)
            scores = disagreement(policies, episode.observations[:-1])
            found.append((scores, not episode.success.any(), k))
    scores, failed, state = zip(*found, strict=True)
    return Watched(np.stack(scores), np.array(failed), np.array(state))


def ensembles_of(networks: Path, shapes: Sequence[str]) -> tuple[PolicyInterface, Ensembles]:
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
