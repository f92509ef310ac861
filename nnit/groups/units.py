"""Groups of networks as units of work, so that they can be trained in any process."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from nnit.cloning import cloning_data, evaluate_loss, layers_from_flat
from nnit.demos import Demos
from nnit.errors import ParamsError
from nnit.groups.plan import NETWORKS_PER_UNIT, deal_out, group_costs, plan_groups, step_cost
from nnit.groups.training import CloningSettings, Pupil, train_groups
from nnit.mlp import Architecture, format_architecture
from nnit.seeding import derive_seed
from nnit.training import prepare_torch

CLONE_LEARNING_RATE = 2e-3
CLONE_BATCH_SIZE = 256


class TrainedNetwork(NamedTuple):
    """One finished network."""

    weights: np.ndarray  # (num_parameters,) float32
    loss: float  # cloning loss over all demonstrations


class GroupUnit(NamedTuple):
    """Clone with some groups of networks."""

    indices: tuple[int, ...]  # of the networks among all, group after group
    groups: tuple[tuple[Pupil, ...], ...]
    demos: Demos
    settings: CloningSettings
    device: str

    @property
    def cost(self) -> float:
        """What a step of its groups costs, in microseconds."""
        batch_size, costs = self.settings.batch_size, group_costs(self.device)
        spec_of = self.demos.interface.spec
        return sum(
            step_cost([spec_of(pupil.hidden_dims) for pupil in group], batch_size, costs)
            for group in self.groups
        )


def plan_units(
    pupils: Sequence[Pupil],
    demos: Demos,
    settings: CloningSettings,
    device: str,
    least: int = NETWORKS_PER_UNIT,
) -> list[GroupUnit]:
    """Part networks into groups and deal these out to units; large networks come first.

    Args:
        pupils: The networks.
        demos: What they learn from.
        settings: How.
        device: Where: ``cpu``, or a GPU. Results depend on it only by rounding.
        least: Networks of a unit, but for the last one.
    """
    specs = [demos.interface.spec(pupil.hidden_dims) for pupil in pupils]
    groups = plan_groups(specs, settings.batch_size, group_costs(device))
    return [
        GroupUnit(
            tuple(index for group in dealt for index in group),
            tuple(tuple(pupils[index] for index in group) for group in dealt),
            demos,
            settings,
            device,
        )
        for dealt in deal_out(groups, least)
    ]


def train_unit(unit: GroupUnit) -> list[TrainedNetwork]:
    """Train the networks of a unit, in the order of its indices.

    Raises:
        ParamsError: the loss of one is no number any more.
    """
    prepare_torch()
    data, interface = cloning_data(unit.demos, unit.device), unit.demos.interface
    specs = [interface.spec(pupil.hidden_dims) for group in unit.groups for pupil in group]
    trained = []
    for spec, flat in zip(
        specs, train_groups(unit.groups, data, interface, unit.settings), strict=True
    ):
        loss = evaluate_loss(layers_from_flat(spec, flat), data)
        if not math.isfinite(loss):
            raise ParamsError(
                f"a network of {format_architecture(spec.hidden_dims)}: the loss is {loss} after "
                f"{unit.settings.steps} steps; start over with a lower learning rate and --force"
            )
        trained.append(TrainedNetwork(flat.cpu().numpy(), loss))
    return trained


def plan_clones(
    shapes: Iterable[Architecture], demos: Demos, *, steps: int, seed: int, device: str = "cpu"
) -> list[GroupUnit]:
    """Plan to clone a network of each shape from scratch with all demonstrations.

    A shape that comes again gets another network.
    """
    counts, pupils = Counter[Architecture](), []
    for shape in shapes:
        again = ("again", counts[shape]) if counts[shape] else ()
        pupils.append(Pupil(shape, derive_seed(seed, "clone", *shape, *again)))
        counts[shape] += 1
    settings = CloningSettings(steps, CLONE_BATCH_SIZE, CLONE_LEARNING_RATE)
    return plan_units(pupils, demos, settings, device, least=1)  # each takes long


def in_order(
    indices: Iterable[Sequence[int]], networks: Iterable[Sequence[TrainedNetwork]]
) -> list[TrainedNetwork]:
    """Return the networks of units in the order in which they were planned.

    Args:
        indices: Of the networks of each unit.
        networks: Of each unit.
    """
    found = {
        index: network
        for places, unit in zip(indices, networks, strict=True)
        for index, network in zip(places, unit, strict=True)
    }
    return [found[index] for index in sorted(found)]
