"""How a zoo is written: deterministic, aligned, and never a held-out architecture."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from learning_examples import INTERFACE, RANGE, TINY_GHN, make_demos

from nnit.cloning import cloning_data, evaluate_loss, layers_from_flat
from nnit.ghn.model import load_ghn, write_networks
from nnit.mlp import split_layers
from nnit.parallel import map_units
from nnit.zoo.export import (
    MEMBERS_PER_UNIT,
    MemberUnit,
    member_architecture,
    plan_members,
    train_branch,
    write_members,
)

WIDE = (24, 24)


@pytest.fixture(scope="session")
def member_unit(branches, branch_units, settings):
    """Three networks of branch 1, to do."""
    dims = ((16,), (8, 16), WIDE)
    demos = branch_units[1].demos
    return MemberUnit((5, 7, 11), dims, 1, TINY_GHN, branches[1], demos, settings)


def test_branch_is_the_same_in_another_process(branch_units, branches):
    """A worker returns the bits that this process computes with one thread."""
    (remote,) = map_units(train_branch, branch_units[1:], workers=1)
    assert remote.keys() == branches[1].keys()
    assert all(np.array_equal(remote[name], branches[1][name]) for name in remote)


def test_networks_are_the_same_in_another_process(member_unit):
    """Weights and losses of a worker are those that this process computes with one thread."""
    (remote,) = map_units(write_members, [member_unit], workers=1)
    for ours, theirs in zip(write_members(member_unit), remote, strict=True):
        np.testing.assert_array_equal(ours.weights, theirs.weights)
        assert ours.loss == theirs.loss


def test_a_network_does_not_depend_on_what_else_its_unit_writes(member_unit):
    """Alone in a unit it comes out bit for bit the same."""
    alone = member_unit._replace(indices=(11,), architectures=(WIDE,))
    (network,) = write_members(alone)
    np.testing.assert_array_equal(network.weights, write_members(member_unit)[2].weights)


def test_loss_of_a_network_is_that_over_all_demonstrations(member_unit):
    """Not over the bootstrap that it was trained on."""
    data = cloning_data(member_unit.demos)
    written = write_members(member_unit)
    for dims, network in zip(member_unit.architectures, written, strict=True):
        layers = layers_from_flat(INTERFACE.spec(dims), torch.from_numpy(network.weights))
        assert network.loss == evaluate_loss(layers, data)


def test_fine_tuning_changes_a_network_and_no_steps_leave_it(member_unit, settings):
    """With no steps the networks are the branch's own; with some they are better than those."""
    untouched = write_members(member_unit._replace(settings=replace(settings, fine_tune_steps=0)))
    ghn = load_ghn(TINY_GHN, member_unit.arrays)
    specs = [INTERFACE.spec(dims) for dims in member_unit.architectures]
    for network, written in zip(write_networks(ghn, specs), untouched, strict=True):
        np.testing.assert_array_equal(network.weights, written.weights)
    tuned = write_members(member_unit._replace(settings=replace(settings, fine_tune_steps=200)))
    assert all(after.loss < before.loss for after, before in zip(tuned, untouched, strict=True))


def test_no_member_is_ever_of_a_held_out_architecture():
    """Ten thousand networks of the default range."""
    from stages.params import ArchitecturesParams

    training_range = ArchitecturesParams().training_range()
    drawn = {member_architecture(index, training_range, seed=0) for index in range(10_000)}
    assert all(training_range.is_trainable(dims) for dims in drawn)
    assert len(drawn) > 5_000


@pytest.mark.parametrize(("networks", "branches"), [(1, 1), (7, 3), (45, 4), (20, 2), (3, 4)])
def test_every_network_of_the_zoo_is_planned_once(settings, networks, branches):
    """Each index is in one unit, dealt to the branches in turn, with its own architecture.

    Behind the drawn ones come the repeated ones, as often as they shall.
    """
    chosen = replace(settings, networks=networks, branches=branches)
    units = plan_members([{}] * branches, TINY_GHN, make_demos(2), RANGE, chosen)
    indices = [index for unit in units for index in unit.indices]
    expected = [member_architecture(index, RANGE, chosen.seed) for index in range(networks)]
    expected += [(8,)] * chosen.repeats
    assert sorted(indices) == list(range(len(expected)))
    for unit in units:
        assert 1 <= len(unit.indices) <= MEMBERS_PER_UNIT
        assert {index % branches for index in unit.indices} == {unit.branch}
        assert unit.architectures == tuple(expected[index] for index in unit.indices)


@pytest.fixture(scope="module")
def pair(branches, branch_units, settings):
    """One architecture written by both branches and fine-tuned, as layers."""
    unit = MemberUnit((0,), (WIDE,), 0, TINY_GHN, branches[0], branch_units[0].demos, settings)
    networks = []
    for branch, arrays in enumerate(branches):
        (written,) = write_members(unit._replace(branch=branch, arrays=arrays))
        networks.append(split_layers(INTERFACE.spec(WIDE), written.weights))
    return networks


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
