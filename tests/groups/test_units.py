"""Groups as units of work: the same in every process, each network once, in its place."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from learning_examples import INTERFACE, make_demos, worker_settings

from nnit.cloning import cloning_data, cloning_loss, evaluate_loss, layers_from_flat
from nnit.engine import ONE_WORKER
from nnit.errors import ParamsError
from nnit.groups.plan import NETWORKS_PER_UNIT
from nnit.groups.training import CloningSettings, Pupil
from nnit.groups.units import TrainedNetwork, in_order, plan_clones, plan_units, train_unit
from nnit.parallel import map_units

SETTINGS = CloningSettings(steps=15, batch_size=32, learning_rate=5e-3)
DIMS = tuple((8 + k % 5,) if k % 3 else (16, 8 + k) for k in range(4 * NETWORKS_PER_UNIT + 3))

pytestmark = pytest.mark.seconds


@pytest.fixture(autouse=True)
def _as_in_a_worker():
    """One thread, and nothing of ``prepare_torch`` is left behind."""
    with worker_settings():
        yield


@pytest.fixture(scope="module")
def units():
    """Four dozen networks of two depths."""
    pupils = [Pupil(dims, seed) for seed, dims in enumerate(DIMS)]
    return plan_units(pupils, make_demos(), SETTINGS, "cpu")


def test_every_network_is_in_one_unit_by_its_index(units):
    """With its own shape and seed; all units but the last have enough to do."""
    pupils = [pupil for unit in units for group in unit.groups for pupil in group]
    indices = [index for unit in units for index in unit.indices]
    assert sorted(indices) == list(range(len(DIMS)))
    assert [pupil.seed for pupil in pupils] == indices
    assert [pupil.hidden_dims for pupil in pupils] == [DIMS[index] for index in indices]
    assert len(units) > 1
    assert all(len(unit.indices) >= NETWORKS_PER_UNIT for unit in units[:-1])


def test_networks_are_the_same_in_another_process(units):
    """Weights and losses of a worker are those that this process computes with one thread."""
    (remote,) = map_units(train_unit, units[:1], ONE_WORKER)
    for ours, theirs in zip(train_unit(units[0]), remote, strict=True):
        np.testing.assert_array_equal(ours.weights, theirs.weights)
        assert ours.loss == theirs.loss


def test_losses_are_over_all_demonstrations(units):
    """Of the networks that are returned."""
    data = cloning_data(units[0].demos)
    pupils = [pupil for group in units[0].groups for pupil in group]
    for pupil, network in zip(pupils, train_unit(units[0]), strict=True):
        layers = layers_from_flat(
            INTERFACE.spec(pupil.hidden_dims), torch.from_numpy(network.weights)
        )
        assert network.loss == evaluate_loss(layers, data)


def test_results_come_back_in_the_order_in_which_they_were_planned():
    """Whatever unit they were in."""
    networks = [TrainedNetwork(np.zeros(1, np.float32), float(k)) for k in range(5)]
    found = in_order(
        [(3, 0), (4, 1, 2)], [[networks[3], networks[0]], networks[4:] + networks[1:3]]
    )
    assert [network.loss for network in found] == [0, 1, 2, 3, 4]


def test_cloning_is_deterministic_learns_and_gives_a_unit_to_each_group():
    """A shape gives the same weights whatever else is cloned, and they imitate the experts."""
    demos = make_demos()
    units = plan_clones([(8, 7), (8,)], demos, steps=400, seed=3)
    assert [unit.indices for unit in units] == [(0,), (1,)]
    (one,) = train_unit(units[0])
    (unit,) = plan_clones([(8, 7)], demos, steps=400, seed=3)
    (two,) = train_unit(unit)
    np.testing.assert_array_equal(one.weights, two.weights)
    assert one.weights.dtype == np.float32
    actions = cloning_data(demos).actions
    assert one.loss < float(cloning_loss(actions.mean(0).expand_as(actions), actions)) / 2


@pytest.mark.parametrize("rate", [1e30, float("nan")])
def test_a_network_that_diverges_is_one_line_and_not_kept(rate):
    """It names the shape, and what to do."""
    (unit,) = plan_units([Pupil((8, 7), 0)], make_demos(), SETTINGS, "cpu")
    settings = replace(SETTINGS, learning_rate=rate)
    said = "a network of 8,7: the loss is (nan|inf) after 15 steps; start over with a lower"
    with pytest.raises(ParamsError, match=said) as caught:
        train_unit(unit._replace(settings=settings))
    assert "\n" not in str(caught.value)
