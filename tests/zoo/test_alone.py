"""The unaligned zoo: deterministic, each network by itself, as good as cloning makes it."""

import numpy as np
import pytest
import torch
from learning_examples import INTERFACE, make_demos

from nnit.cloning import cloning_data, evaluate_loss, layers_from_flat
from nnit.groups.units import train_unit
from nnit.zoo.alone import plan_alone

DIMS = ((16,), (8, 16), (8, 16))


@pytest.fixture(scope="module")
def unit():
    """Three networks, two of one shape."""
    (unit,) = plan_alone(DIMS, make_demos(), steps=100, learning_rate=2e-2, seed=1)
    return unit


@pytest.fixture(scope="module")
def written(unit):
    """The same, done, in the order of the zoo."""
    networks = dict(zip(unit.indices, train_unit(unit), strict=True))
    return [networks[index] for index in range(len(DIMS))]


def test_a_network_is_what_it_is_in_another_zoo(written):
    """It depends on its place and shape, not on those of others, but for rounding."""
    (unit,) = plan_alone(
        ((8,), (16,), (8, 16)), make_demos(), steps=100, learning_rate=2e-2, seed=1
    )
    networks = dict(zip(unit.indices, train_unit(unit), strict=True))
    np.testing.assert_allclose(networks[2].weights, written[2].weights, atol=1e-5)


def test_networks_of_one_shape_begin_and_learn_apart(written):
    """Two of one shape have nothing in common but what they do."""
    one, other = written[1].weights, written[2].weights
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.5


def test_every_network_has_learnt(unit, written):
    """Its loss is that over all demonstrations, far below the loss of doing nothing."""
    data = cloning_data(unit.demos)
    nothing = float(data.actions.square().mean())
    for dims, network in zip(DIMS, written, strict=True):
        layers = layers_from_flat(INTERFACE.spec(dims), torch.from_numpy(network.weights))
        assert network.loss == pytest.approx(evaluate_loss(layers, data), rel=1e-6)
        assert network.loss < nothing / 2
