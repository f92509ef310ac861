"""An ensemble as an alarm: do several networks of one shape disagree before the first one fails?

The first network of a shape acts, the others say what they would do. What they disagree by at a
step is the root of the mean squared deviation of the actions from their mean. An alarm is raised at
the first step where it exceeds a band around what is usual at that step in successful episodes,
which holds for all steps of one at once with probability 1 - ALPHA (split conformal prediction).

Measures and band after Xu et al. 2025, FAIL-Detect (arXiv:2503.08558), section 4: episodes are run
to the horizon, whether they succeed or not, so that none is told by its length.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nnit.policy import NumpyPolicy
from nnit.seeding import numpy_generator

ALPHA = 0.05  # false alarms that the band allows
DRAWS = 1000  # of the bootstrap over initial states


class Watched(NamedTuple):
    """Episodes of all shapes, of one method in one case."""

    disagreement: np.ndarray  # (E, T)
    failed: np.ndarray  # (E,) bool
    state: np.ndarray  # (E,) which initial state, the same numbers for every shape


def disagreement(policies: Sequence[NumpyPolicy], observations: np.ndarray) -> np.ndarray:
    """Return ``(T,)``: how far actions are from their mean at observations ``(T, obs_dim)``."""
    actions = np.stack([[policy(one) for one in observations] for policy in policies])  # (K, T, A)
    return np.sqrt(((actions - actions.mean(axis=0)) ** 2).mean(axis=(0, 2)))


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
    from sklearn.metrics import roc_auc_score

    if watched.failed.all() or not watched.failed.any():
        return {"auroc": None, "auroc_95": None}
    chance, drawn = numpy_generator(0, "alarms"), []
    of_state = [np.flatnonzero(watched.state == k) for k in np.unique(watched.state)]
    for _ in range(DRAWS):
        rows = np.concatenate(
            [of_state[k] for k in chance.integers(0, len(of_state), len(of_state))]
        )
        if 0 < watched.failed[rows].sum() < len(rows):
            drawn.append(roc_auc_score(watched.failed[rows], worst[rows]))
    return {
        "auroc": float(roc_auc_score(watched.failed, worst)),
        "auroc_95": [float(v) for v in np.percentile(drawn, [2.5, 97.5])],
    }
