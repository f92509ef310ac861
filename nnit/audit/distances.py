"""How far networks of one shape are apart, in their weights and in their actions.

*Scaled weights* are all weights divided by ``sqrt(2 / fan_in)`` of their layer, and all biases as
they are, so that layers of any width are comparable.
"""

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import softmax

from nnit.mlp import (
    ACTION,
    LayerWeights,
    MlpSpec,
    PolicyInterface,
    forward,
    join_layers,
    split_layers,
)

LARGEST_OUTPUT = 1e15


def scaled_weights(spec: MlpSpec, flat: np.ndarray) -> np.ndarray:
    """Return a network's scaled weights, ``(num_parameters,)`` float64."""
    layers = [
        LayerWeights(weight.astype(np.float64) / np.sqrt(2 / weight.shape[1]), bias)
        for weight, bias in split_layers(spec, flat)
    ]
    return join_layers(layers)


def weight_distances(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return relative distances between scaled weights ``(n, P)`` and ``(m, P)``: ``(n, m)``.

    The relative distance is symmetric: the Euclidean distance over the root mean square of the
    two norms. It is 0 for equal networks and sqrt(2) for unrelated ones of any norms.
    """
    squares = (ones**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)[None, :]
    size = np.sqrt(squares / 2)
    return cdist(ones, others) / np.where(size > 0, size, 1)


def actions_of(outputs: np.ndarray, interface: PolicyInterface) -> np.ndarray:
    """Return actions, as the robot gets them: ``(..., N, act_dim)`` to ``(..., N * act_dim)``.

    Of classes, their probabilities.
    """
    if interface.output == ACTION:
        read = interface.read_output(outputs)
    else:
        read = softmax(outputs, axis=-1)
    return read.reshape(*outputs.shape[:-2], -1)


def action_distances(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return root mean square distances between actions ``(n, D)`` and ``(m, D)``: ``(n, m)``."""
    return cdist(ones, others) / np.sqrt(ones.shape[1])


def outputs_on(spec: MlpSpec, networks: list[np.ndarray], states: np.ndarray) -> np.ndarray:
    """Run flat networks of one shape on standardised states: ``(n, N, act_dim)``, not clipped.

    What a collapsed network gives may be no number. It counts as ``LARGEST_OUTPUT``, whose square
    still is one, so that losses and distances say that something is wrong with it.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        outputs = np.stack([forward(split_layers(spec, flat), states) for flat in networks])
    return np.nan_to_num(outputs, nan=LARGEST_OUTPUT).clip(-LARGEST_OUTPUT, LARGEST_OUTPUT)


def nearest_others(distances: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return each network's distance to the nearest one of another group ``(n,)``.

    Networks of one group are twins, beside which any blur of one looks new.

    Args:
        distances: Square, ``(n, n)``.
        groups: ``(n,)``; where there is one group alone, all others count.
    """
    apart = groups[:, None] != groups[None, :]
    if not apart.any():
        apart = ~np.eye(len(distances), dtype=bool)
    return np.where(apart, distances, np.inf).min(axis=1)


def mean_pairwise(distances: np.ndarray, groups: np.ndarray | None = None) -> float | None:
    """Return the mean distance over pairs, or None where there is no pair.

    Args:
        distances: Square and symmetric, ``(n, n)``.
        groups: ``(n,)``: only pairs of different groups count, where there are several groups.
    """
    first, second = np.triu_indices(len(distances), k=1)
    if groups is not None and len(np.unique(groups)) > 1:
        apart = groups[first] != groups[second]
        first, second = first[apart], second[apart]
    return float(distances[first, second].mean()) if len(first) else None


def failure_iou(failures: np.ndarray) -> float | None:
    """Return how far networks fail on the same reset seeds.

    The mean, over pairs of networks of which at least one fails at all, of the seeds on which
    both fail over the seeds on which either does; None where there is no such pair.

    Args:
        failures: ``(networks, seeds)`` bool.
    """
    first, second = np.triu_indices(len(failures), k=1)
    both = (failures[first] & failures[second]).sum(axis=1)
    either = (failures[first] | failures[second]).sum(axis=1)
    return float((both[either > 0] / either[either > 0]).mean()) if (either > 0).any() else None
