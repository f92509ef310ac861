"""Widening a network changes its shape and not its function."""

import numpy as np
import pytest

from nnit.mlp import MlpSpec, forward, split_layers
from nnit.widening import widen

SPEC = MlpSpec(5, 3, (6, 4))


@pytest.fixture
def layers():
    """A network with random weights and biases."""
    rng = np.random.default_rng(0)
    return split_layers(SPEC, rng.standard_normal(SPEC.num_parameters).astype(np.float32))


@pytest.mark.parametrize("wanted", [(6, 4), (7, 4), (6, 9), (12, 8), (40, 5)])
def test_function_stays(layers, wanted):
    """On random inputs the outputs agree up to rounding, and the widths are those wanted."""
    x = np.random.default_rng(1).standard_normal((50, 5)).astype(np.float32)
    widened = widen(layers, wanted)
    assert [layer.weight.shape for layer in widened] == list(MlpSpec(5, 3, wanted).layers)
    np.testing.assert_allclose(forward(widened, x), forward(layers, x), rtol=1e-4, atol=1e-4)


def test_no_unit_is_dead(layers):
    """Every unit reads something and is read."""
    first, second, last = widen(layers, (13, 9))
    for before, after in ((first, second), (second, last)):
        assert (np.abs(before.weight).sum(axis=1) > 0).all()
        assert (np.abs(after.weight).sum(axis=0) > 0).all()


def test_old_units_keep_their_places(layers):
    """The incoming weights of the first units are the old ones, bit for bit."""
    first = widen(layers, (13, 4))[0]
    np.testing.assert_array_equal(first.weight[:6], layers[0].weight)


def test_copying_without_dividing_would_change_the_function(layers):
    """The negative: twice the units with undivided weights give something else."""
    x = np.random.default_rng(1).standard_normal((50, 5)).astype(np.float32)
    widened = widen(layers, (12, 4))
    undivided = [widened[0], layers[1]._replace(weight=np.tile(layers[1].weight, 2)), layers[2]]
    assert np.abs(forward(undivided, x) - forward(layers, x)).max() > 0.1


@pytest.mark.parametrize("wanted", [(6,), (6, 4, 4), (5, 4), (6, 3)])
def test_narrower_or_of_another_depth_is_refused(layers, wanted):
    """The message names both shapes."""
    with pytest.raises(ValueError, match=r"\(6, 4\) cannot be widened to"):
        widen(layers, wanted)
