"""How a zoo is written: deterministic, aligned, and never a held-out architecture."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from learning_examples import INTERFACE, RANGE, TINY_GHN, make_demos

from nnit.cloning import cloning_data, evaluate_loss, layers_from_flat
from nnit.engine import ONE_WORKER
from nnit.ghn.model import load_ghn, write_networks
from nnit.mlp import split_layers
from nnit.parallel import map_units
from nnit.seeding import derive_seed
from nnit.zoo.export import (
    member_architecture,
    member_architectures,
    plan_members,
    train_branch,
    write_members,
)

WIDE = (24, 24)
DIMS = ((16,), (8, 16), WIDE)

pytestmark = pytest.mark.seconds


def members(branches, settings, dims=DIMS, only=1):
    """Plan a zoo of a branch; returns its one unit."""
    (unit,) = plan_members(branches[only : only + 1], TINY_GHN, make_demos(), dims, settings)
    return unit


def by_place(unit):
    """Write the networks of a unit; returns them in the order of the zoo."""
    written = dict(zip(unit.indices, write_members(unit), strict=True))
    return [written[index] for index in sorted(written)]


@pytest.fixture(scope="session")
def member_unit(branches, settings):
    """Three networks of branch 1, to do."""
    return members(branches, settings)


def test_branch_is_the_same_in_another_process(branch_units, branches):
    """A worker returns the bits that this process computes with one thread."""
    (remote,) = map_units(train_branch, branch_units[1:], ONE_WORKER)
    assert remote.arrays.keys() == branches[1].keys()
    assert all(np.array_equal(remote.arrays[name], branches[1][name]) for name in remote.arrays)
    assert len(remote.losses) == branch_units[1].settings.branch_steps


def test_networks_are_the_same_in_another_process(member_unit):
    """Weights and losses of a worker are those that this process computes with one thread."""
    (remote,) = map_units(write_members, [member_unit], ONE_WORKER)
    for ours, theirs in zip(write_members(member_unit), remote, strict=True):
        np.testing.assert_array_equal(ours.weights, theirs.weights)
        assert ours.loss == theirs.loss


def test_a_network_does_not_depend_on_what_else_its_branch_writes(member_unit, branches, settings):
    """In a zoo of other shapes but for its own it is the same, but for rounding."""
    others = members(branches, settings, ((8,), (20,), WIDE))
    ours = by_place(member_unit)[2]
    np.testing.assert_allclose(by_place(others)[2].weights, ours.weights, atol=1e-5)


def test_loss_of_a_network_is_that_over_all_demonstrations(member_unit):
    """Not over the last batch alone."""
    data = cloning_data(make_demos())
    for dims, network in zip(DIMS, by_place(member_unit), strict=True):
        layers = layers_from_flat(INTERFACE.spec(dims), torch.from_numpy(network.weights))
        assert network.loss == evaluate_loss(layers, data)


def test_fine_tuning_changes_a_network_and_no_steps_leave_it(branches, settings):
    """With no steps the networks are the branch's own; with some they are better than those."""

    def tuned(steps):
        tuning = replace(settings.fine_tuning, steps=steps)
        return by_place(members(branches, replace(settings, fine_tuning=tuning)))

    untouched = tuned(0)
    ghn = load_ghn(TINY_GHN, branches[1])
    specs = [INTERFACE.spec(dims) for dims in DIMS]
    for network, written in zip(write_networks(ghn, specs), untouched, strict=True):
        np.testing.assert_array_equal(network.weights, written.weights)
    assert all(
        after.loss < before.loss for after, before in zip(tuned(200), untouched, strict=True)
    )


def test_no_member_is_ever_of_a_held_out_architecture():
    """Ten thousand networks of the default range."""
    from stages.params import ArchitecturesParams

    training_range = ArchitecturesParams().training_range()
    drawn = {member_architecture(index, training_range, seed=0) for index in range(10_000)}
    assert all(training_range.is_trainable(dims) for dims in drawn)
    assert len(drawn) > 5_000


def test_architectures_of_a_zoo_are_those_drawn_and_then_the_repeated_ones(settings):
    """Each of the repeated as often as it shall."""
    found = member_architectures(RANGE, networks=7, repeated=((8,), (8, 8)), repeats=3, seed=5)
    drawn = [member_architecture(index, RANGE, 5) for index in range(7)]
    assert found == drawn + [(8,)] * 3 + [(8, 8)] * 3


@pytest.mark.parametrize(("networks", "branches"), [(1, 1), (7, 3), (45, 4), (20, 2), (3, 4)])
def test_every_network_of_the_zoo_is_planned_once(settings, networks, branches):
    """Each index is in one unit, of the branch whose turn it is, with its own shape and seeds."""
    dims = [member_architecture(index, RANGE, settings.seed) for index in range(networks)]
    arrays = [{"branch": np.array([k])} for k in range(branches)]
    units = plan_members(arrays, TINY_GHN, make_demos(2), dims, settings)
    assert sorted(index for unit in units for index in unit.indices) == list(range(networks))
    for unit in units:
        (branch,) = unit.arrays["branch"]
        pupils = [pupil for group in unit.training.groups for pupil in group]
        for index, pupil in zip(unit.indices, pupils, strict=True):
            assert index % branches == branch
            assert pupil.hidden_dims == dims[index]
            assert pupil.seed == derive_seed(settings.seed, "fine-tune", index)


@pytest.fixture(scope="module")
def pair(branches, settings):
    """One architecture written by both branches and fine-tuned, as layers."""
    both = plan_members(branches, TINY_GHN, make_demos(), [WIDE, WIDE], settings)
    networks = [network for unit in both for network in write_members(unit)]
    return [split_layers(INTERFACE.spec(WIDE), network.weights) for network in networks]


def test_branches_write_different_networks(pair):
    """The first layers differ by more than rounding and by less than their own size."""
    one, other = (layers[0].weight for layers in pair)
    assert 0.01 < np.linalg.norm(one - other) / np.linalg.norm(one) < 0.9


@pytest.mark.parametrize("layer", [0, 1])
def test_branches_agree_on_the_order_of_hidden_units(pair, layer):
    """Units of the same index are closer than under any of 200 random orders."""
    one, other = (np.column_stack([la[layer].weight, la[layer].bias]) for la in pair)
    distances = np.linalg.norm(one[:, None] - other[None], axis=-1)
    rng = np.random.default_rng(0)
    rows = np.arange(len(one))
    shuffled = [distances[rows, rng.permutation(len(one))].mean() for _ in range(200)]
    assert np.diag(distances).mean() < 0.8 * min(shuffled)
