"""The unaligned zoo: deterministic, each network by itself, as good as cloning makes it."""

import numpy as np
import pytest
import torch
from learning_examples import INTERFACE, make_demos

from nnit.cloning import cloning_data, evaluate_loss, layers_from_flat
from nnit.parallel import map_units
from nnit.zoo.alone import AloneUnit, clone_members, plan_alone
from nnit.zoo.export import MEMBERS_PER_UNIT

DIMS = ((16,), (8, 16), (8, 16))


@pytest.fixture(scope="module")
def unit():
    """Three networks, two of one shape."""
    return AloneUnit((3, 4, 5), DIMS, make_demos(), steps=100, learning_rate=2e-2, seed=1)


@pytest.fixture(scope="module")
def written(unit):
    """The same, done."""
    return clone_members(unit)


def test_networks_are_the_same_in_another_process(unit, written):
    """Weights and losses of a worker are those that this process computes with one thread."""
    (remote,) = map_units(clone_members, [unit], workers=1)
    for ours, theirs in zip(written, remote, strict=True):
        np.testing.assert_array_equal(ours.weights, theirs.weights)
        assert ours.loss == theirs.loss


def test_a_network_does_not_depend_on_what_else_its_unit_writes(unit, written):
    """Alone in a unit it comes out bit for bit the same."""
    (alone,) = clone_members(unit._replace(indices=(5,), architectures=DIMS[2:]))
    np.testing.assert_array_equal(alone.weights, written[2].weights)


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


def test_every_network_is_in_exactly_one_unit_in_order():
    """The plan deals out the architectures as they come, a few to a unit."""
    architectures = [(8 + k,) for k in range(2 * MEMBERS_PER_UNIT + 3)]
    units = plan_alone(architectures, make_demos(), steps=1, learning_rate=1e-3, seed=0)
    assert [k for unit in units for k in unit.indices] == list(range(len(architectures)))
    assert [dims for unit in units for dims in unit.architectures] == architectures
    assert max(len(unit.indices) for unit in units) == MEMBERS_PER_UNIT
