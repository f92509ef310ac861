"""Which networks are trained together: like shapes, each once, whatever else there is to do."""

import numpy as np
import pytest
from learning_examples import INTERFACE

from nnit.architectures import sample_architecture
from nnit.groups.plan import CPU_COSTS, GPU_COSTS, deal_out, plan_groups, step_cost
from nnit.seeding import numpy_generator
from stages.params import ArchitecturesParams

BATCH = 256


@pytest.fixture(scope="module")
def specs():
    """Two hundred shapes of the default range, and many of one."""
    training_range = ArchitecturesParams().training_range()
    drawn = [sample_architecture(numpy_generator(k), training_range) for k in range(200)]
    return [INTERFACE.spec(dims) for dims in (*drawn, *[(32,)] * 60)]


@pytest.mark.parametrize("costs", [CPU_COSTS, GPU_COSTS])
def test_every_network_is_in_one_group_of_its_depth(specs, costs):
    """None is left out, none is there twice, and no group is too large."""
    groups = plan_groups(specs, BATCH, costs)
    assert sorted(k for group in groups for k in group) == list(range(len(specs)))
    for group in groups:
        assert len(group) <= costs.largest
        assert len({specs[k].depth for k in group}) == 1


def estimate(groups, specs, costs):
    """Return what a step of all groups costs, by the figures that the plan goes by."""
    total = 0.0
    for group in groups:
        dims = np.array([[INTERFACE.obs_dim, *specs[k].hidden_dims, 3] for k in group]).max(axis=0)
        macs = BATCH * float((dims[1:] * dims[:-1]).sum())
        total += costs.layer * (len(dims) - 1) + len(group) * (costs.network + costs.product * macs)
    return total


@pytest.mark.parametrize("costs", [CPU_COSTS, GPU_COSTS])
def test_groups_are_cheaper_than_networks_one_by_one_or_a_group_a_depth(specs, costs):
    """Sharing saves overhead, and padding does not eat it up."""
    planned = estimate(plan_groups(specs, BATCH, costs), specs, costs)
    alone = [(k,) for k in range(len(specs))]
    depths = [[k for k, spec in enumerate(specs) if spec.depth == d] for d in range(1, 5)]
    assert planned < estimate(alone, specs, costs)
    assert planned <= estimate(depths, specs, costs) * (1 + 1e-9)


@pytest.mark.parametrize("costs", [CPU_COSTS, GPU_COSTS])
def test_a_step_of_a_group_costs_what_the_plan_goes_by(specs, costs):
    """So that progress knows which part of the work a group is."""
    for group in plan_groups(specs, BATCH, costs):
        found = step_cost([specs[k] for k in group], BATCH, costs)
        assert found == pytest.approx(estimate([group], specs, costs))


def test_thousands_of_equal_networks_are_planned_too():
    """In as few groups as hold them."""
    groups = plan_groups([INTERFACE.spec((8,))] * 20_001, BATCH, CPU_COSTS)
    assert len(groups) == 20_000 // CPU_COSTS.largest + 1


def test_equal_networks_are_together_and_very_different_ones_are_not():
    """On a CPU; a GPU, whose time goes into starting operations, pads much more."""
    specs = [INTERFACE.spec(dims) for dims in ((16, 16), (256, 256), (16, 16), (256, 256))]
    assert sorted(plan_groups(specs, BATCH, CPU_COSTS)) == [(0, 2), (1, 3)]
    assert plan_groups(specs, BATCH, GPU_COSTS) == [(0, 1, 2, 3)]


def test_large_networks_come_first_so_that_no_process_waits_for_one_in_the_end(specs):
    """The largest network of each group is at most as large as that of the one before."""
    groups = plan_groups(specs, BATCH, CPU_COSTS)
    largest = [max(specs[k].num_macs for k in group) for group in groups]
    assert largest == sorted(largest, reverse=True)


def test_groups_are_dealt_out_in_order_until_a_unit_has_enough():
    """No group is cut."""
    groups = [(0, 1), (2,), (3, 4, 5), (6,), (7,)]
    assert deal_out(groups, 3) == [[(0, 1), (2,)], [(3, 4, 5)], [(6,), (7,)]]
    assert deal_out(groups, 1) == [[group] for group in groups]
    assert deal_out([], 3) == []
