"""How many directions the weights and the hidden activations of a network use.

Units that all do the same in two dozen ways make a wide network as good as a narrow one; that
shows in no alignment, and in losses only beside those of networks that use all of their units.
"""

from typing import NamedTuple

import numpy as np

from nnit.alignment.matching import hidden_signals
from nnit.mlp import LayerWeights

ENERGY = 0.99


class Rank(NamedTuple):
    """Of singular values ``s`` with the energies ``s ** 2``."""

    participation: float  # 1 / sum(share ** 2) of the energies: 1 for one direction, n for n equal
    values: int  # largest singular values that hold ENERGY of the energy


def matrix_rank(matrix: np.ndarray) -> Rank:
    """Measure the rank of a matrix ``(a, b)``; zero where all entries are."""
    energy = np.linalg.svd(matrix.astype(np.float64), compute_uv=False) ** 2
    if energy.sum() == 0:
        return Rank(0.0, 0)
    shares = energy / energy.sum()
    return Rank(float(1 / (shares**2).sum()), int((shares.cumsum() < ENERGY).sum()) + 1)


def weight_ranks(layers: list[LayerWeights]) -> list[Rank]:
    """Measure the weights of every layer, from the input."""
    return [matrix_rank(layer.weight) for layer in layers]


def activation_ranks(layers: list[LayerWeights], states: np.ndarray) -> list[Rank]:
    """Measure what every hidden layer puts out on ``states`` ``(N, obs_dim)``, less its mean."""
    found = []
    for signals in hidden_signals(layers, states):
        outputs = np.maximum(signals, 0).astype(np.float64)
        found.append(matrix_rank(outputs - outputs.mean(axis=0)))
    return found
