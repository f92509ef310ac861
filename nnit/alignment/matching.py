"""Which hidden unit of one network is which of another.

Source: Ainsworth et al. 2022, "Git Re-Basin", arXiv:2209.04836: matching by activations
(section 3.1) and by weights (section 3.2).
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from nnit.mlp import LayerWeights, permute_hidden

MAX_SWEEPS = 20
Matching = np.ndarray  # (width,): unit i of the first network is unit matching[i] of the second


def hidden_signals(layers: list[LayerWeights], states: np.ndarray) -> list[np.ndarray]:
    """Return what enters each hidden unit's ReLU, for each layer ``(N, width)``.

    Before the ReLU and not after it, so that a unit which is never active has a signal too.
    """
    signals, x = [], states
    for layer in layers[:-1]:
        signals.append(x @ layer.weight.T + layer.bias)
        x = np.maximum(signals[-1], 0)
    return signals


def correlations(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the correlation of every two columns of ``(N, a)`` and ``(N, b)``: ``(a, b)``.

    A constant column has correlation 0 with any.
    """

    def standardised(x: np.ndarray) -> np.ndarray:
        centred = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
        norm = np.linalg.norm(centred, axis=0)
        return centred / np.where(norm > 0, norm, 1)

    return standardised(ones).T @ standardised(others)


def best_matching(similarity: np.ndarray) -> Matching:
    """Return the one-to-one assignment of rows to columns with the largest sum (Hungarian).

    Args:
        similarity: ``(a, b)`` with ``a <= b``; each row gets a column of its own.
    """
    return linear_sum_assignment(similarity, maximize=True)[1]


def match_activations(
    ones: list[LayerWeights], others: list[LayerWeights], states: np.ndarray
) -> list[Matching]:
    """Match the units of every hidden layer by the correlation of their signals on ``states``.

    Widths may differ: then the units of the narrower layer are matched into the wider one.
    """
    pairs = zip(hidden_signals(ones, states), hidden_signals(others, states), strict=True)
    matchings = []
    for mine, theirs in pairs:
        similarity = correlations(mine, theirs)
        narrow_first = similarity if len(similarity) <= similarity.shape[1] else similarity.T
        matchings.append(best_matching(narrow_first))
    return matchings


def match_weights(ones: list[LayerWeights], others: list[LayerWeights]) -> list[Matching]:
    """Match the units of two networks of one shape by their incoming and outgoing weights.

    A first sweep from the input uses what is known by then, incoming weights and biases, so that
    no order of units is favoured; further sweeps also use outgoing weights, until nothing changes.

    Source: Ainsworth et al. 2022, arXiv:2209.04836, algorithm 1; the first sweep is ours.
    """
    hidden = len(ones) - 1
    inputs: Matching = np.arange(ones[0].weight.shape[1])
    outputs: Matching = np.arange(ones[-1].weight.shape[0])
    matchings: list[Matching] = []
    for k in range(hidden):
        before = matchings[k - 1] if k else inputs
        matchings.append(best_matching(_incoming(ones[k], others[k], before)))
    for _ in range(MAX_SWEEPS):
        previous = list(matchings)
        for k in range(hidden):
            before = matchings[k - 1] if k else inputs
            after = matchings[k + 1] if k + 1 < hidden else outputs
            outgoing = ones[k + 1].weight.T @ others[k + 1].weight[after]
            matchings[k] = best_matching(_incoming(ones[k], others[k], before) + outgoing)
        if all(np.array_equal(*both) for both in zip(previous, matchings, strict=True)):
            break
    return matchings


def _incoming(one: LayerWeights, other: LayerWeights, before: Matching) -> np.ndarray:
    return one.weight @ other.weight[:, before].T + np.outer(one.bias, other.bias)


def reorder(layers: list[LayerWeights], matchings: list[Matching]) -> list[LayerWeights]:
    """Put the hidden units of a network into the order of the one that it was matched with."""
    for k, matching in enumerate(matchings):
        layers = permute_hidden(layers, k, matching)
    return layers


def same_index(matching: Matching) -> float:
    """Return the fraction of units whose match has their own index; chance is 1 / width."""
    return float((matching == np.arange(len(matching))).mean())
