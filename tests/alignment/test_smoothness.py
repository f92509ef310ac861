"""Smoothness of weights."""

import numpy as np
import pytest
from learning_examples import INTERFACE, random_layers

from nnit.alignment.smoothness import (
    BLOCK,
    Spot,
    autocorrelation,
    block_means,
    network_smoothness,
    shuffle_units,
)
from nnit.mlp import LayerWeights, forward

DIMS = (48, 64)
SPEC = INTERFACE.spec(DIMS)
MIDDLE = Spot("middle", "output units", 1, 1)


def smooth_layers():
    """Return a network whose middle matrix is a slow wave in both directions."""
    layers = random_layers(SPEC, 0)
    rows, columns = np.meshgrid(np.arange(64), np.arange(48), indexing="ij")
    wave = np.sin(rows / 9) + np.cos(columns / 7)
    layers[1] = LayerWeights(wave.astype(np.float32), layers[1].bias)
    return layers


def test_a_smooth_field_is_smooth_and_its_shuffled_control_is_not():
    """Near 1 along both directions; with units in random order what is left is noise."""
    layers = smooth_layers()
    found = network_smoothness(layers)
    control = network_smoothness(shuffle_units(layers, np.random.default_rng(0)))
    for axis in ("output units", "input units"):
        spot = MIDDLE._replace(axis=axis)
        assert found[spot] > 0.9
        assert abs(control[spot] - marginal(layers, axis)) < 0.15


def marginal(layers, axis):
    """Return what is left without any order: entries of one row or column have a mean in common."""
    field = layers[1].weight
    means = field.mean(axis=0 if axis == "output units" else 1)
    return means.var() / field.var()


def test_noise_is_smooth_nowhere():
    """A network as it is initialised: all correlations between hidden units are near 0."""
    found = network_smoothness(random_layers(SPEC, 1))
    assert all(abs(v) < 0.08 for s, v in found.items() if s.role == "middle" and s.block == 1)


def test_a_pattern_that_repeats_after_four_shows_at_lag_four():
    """As of a pixel shuffle: nothing at lag 1, all at lag 4 and 8."""
    tile = np.random.default_rng(0).standard_normal((4, 64))
    field = np.tile(tile, (16, 1))
    assert autocorrelation(field, 0, 4) == pytest.approx(1)
    assert autocorrelation(field, 0, 8) == pytest.approx(1)
    assert autocorrelation(field, 0, 1) < 0.3


def test_autocorrelation_worked_by_hand():
    """A sign that changes from row to row: -1 at lag 1, 1 at lag 2; a constant has none."""
    field = np.array([[1.0], [-1.0], [1.0], [-1.0], [1.0]])
    assert autocorrelation(field, 0, 1) == pytest.approx(-1)
    assert autocorrelation(field, 0, 2) == pytest.approx(1)
    assert autocorrelation(field, 1, 1) is None
    assert autocorrelation(np.ones((5, 5)), 0, 1) is None


def test_block_means_leave_out_what_fills_no_block():
    """9 x 6 has two blocks below each other and one beside; their means are by hand."""
    field = np.arange(54, dtype=float).reshape(9, 6)
    found = block_means(field, BLOCK)
    assert found.shape == (2, 1)
    assert found[0, 0] == field[:4, :4].mean()
    assert found[1, 0] == field[4:8, :4].mean()


def test_shuffling_units_keeps_the_function():
    """The control computes the same, with its units in another order."""
    layers = smooth_layers()
    shuffled = shuffle_units(layers, np.random.default_rng(1))
    x = np.random.default_rng(2).standard_normal((20, INTERFACE.obs_dim), np.float32)
    np.testing.assert_allclose(forward(shuffled, x), forward(layers, x), rtol=1e-4, atol=1e-4)
    assert not np.array_equal(shuffled[1].weight, layers[1].weight)
