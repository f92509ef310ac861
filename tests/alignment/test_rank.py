"""How many directions weights and activations use."""

import numpy as np
import pytest

from nnit.alignment.rank import activation_ranks, matrix_rank, weight_ranks
from nnit.mlp import LayerWeights


def test_rank_of_equal_directions_is_their_number():
    """Both measures; a rotation changes neither, nor does the size of the matrix."""
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(40, 40)))[0]
    matrix = 3 * rotation[:, :7] @ rotation[:7, :30]
    # The crop of a rotation is none, so that its directions are not quite equal.
    exact = 3 * rotation[:, :7] @ np.linalg.qr(rotation[:30, :7])[0].T
    assert matrix_rank(exact) == (pytest.approx(7), 7)
    assert matrix_rank(matrix).values == 7
    assert matrix_rank(np.eye(5)) == (pytest.approx(5), 5)


def test_rank_by_hand():
    """Singular values 10, 1 and 0.5: energies 100, 1, 0.25, of which the first holds 98.8 %."""
    found = matrix_rank(np.diag([1.0, 10.0, 0.5]))
    assert found.values == 2
    assert found.participation == pytest.approx(101.25**2 / (100**2 + 1 + 0.25**2))


def test_nothing_has_no_rank():
    """Zeros, as the activations of units that are never active."""
    assert matrix_rank(np.zeros((3, 4))) == (0, 0)


def test_repeated_units_add_no_rank():
    """Thirty units that are three, each ten times: rank 3 in weights and in what they put out."""
    rng = np.random.default_rng(1)
    first = np.repeat(rng.normal(size=(3, 6)), 10, axis=0).astype(np.float32)
    layers = [
        LayerWeights(first, np.zeros(30, np.float32)),
        LayerWeights(rng.normal(size=(2, 30)).astype(np.float32), np.zeros(2, np.float32)),
    ]
    states = rng.normal(size=(200, 6)).astype(np.float32)
    assert weight_ranks(layers)[0].values <= 3
    (activations,) = activation_ranks(layers, states)
    assert activations.values <= 3
    alone = [LayerWeights(rng.normal(size=(30, 6)).astype(np.float32), layers[0].bias), layers[1]]
    assert activation_ranks(alone, states)[0].values > 10


def test_a_constant_activation_has_no_rank():
    """What a layer always puts out is no direction."""
    layers = [
        LayerWeights(np.zeros((4, 3), np.float32), np.ones(4, np.float32)),
        LayerWeights(np.ones((1, 4), np.float32), np.zeros(1, np.float32)),
    ]
    assert activation_ranks(layers, np.ones((5, 3), np.float32)) == [(0, 0)]
