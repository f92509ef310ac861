"""Write a zoo of structurally aligned networks.

A graph hypernetwork is a function: it gives exactly one network per architecture. Diversity comes
from branches, copies of it that are each trained on from disturbed codes of units; quality from
fine-tuning every network alone. Both leave the order of hidden units as it was.

Everything here is a unit of work that depends on its arguments alone, so that it can run in any
process.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nnit.architectures import TrainingRange, sample_architecture
from nnit.cloning import cloning_data
from nnit.demos import Demos
from nnit.ghn.decoder import CarrierDecoder
from nnit.ghn.model import GhnConfig, load_ghn, write_networks
from nnit.ghn.training import GhnTrainingSettings, build_ghn_optimizer, train_ghn
from nnit.groups.training import CloningSettings, Pupil
from nnit.groups.units import GroupUnit, TrainedNetwork, plan_units, train_unit
from nnit.mlp import Architecture
from nnit.seeding import derive_seed, numpy_generator, torch_generator
from nnit.training import model_arrays, prepare_torch


@dataclass(frozen=True)
class ExportSettings:
    """How a zoo is made."""

    networks: int  # of architectures drawn one by one
    repeated: tuple[Architecture, ...]  # each of these ``repeats`` times, after those
    repeats: int
    branches: int
    branch_noise: float  # on the codes of units that a branch begins with, in their size
    branch_steps: int
    architectures_per_step: int
    branch_batch_size: int
    branch_learning_rate: float  # the peak
    weight_decay: float
    fine_tuning: CloningSettings
    seed: int


class BranchUnit(NamedTuple):
    """Train one branch."""

    branch: int
    config: GhnConfig
    arrays: dict[str, np.ndarray]  # the trained hypernetwork
    demos: Demos
    training_range: TrainingRange
    settings: ExportSettings
    device: str = "cpu"


class Branch(NamedTuple):
    """A branch that was trained."""

    arrays: dict[str, np.ndarray]
    losses: np.ndarray  # (steps,) float32, what each step minimised


class MemberUnit(NamedTuple):
    """Write and fine-tune some networks of one branch."""

    config: GhnConfig
    arrays: dict[str, np.ndarray]  # of the branch
    training: GroupUnit  # of networks that the branch has yet to write

    @property
    def indices(self) -> tuple[int, ...]:
        """Of the networks in the zoo, in the order in which they are trained."""
        return self.training.indices

    @property
    def cost(self) -> float:
        """What a step of the fine-tuning costs, in microseconds."""
        return self.training.cost


def train_branch(unit: BranchUnit) -> Branch:
    """Train a copy of the hypernetwork on, with codes and a seed of its own.

    Branches that begin alike end alike, and in each shape in another way; what differs by the codes
    differs alike in all shapes, and can be learnt.
    """
    prepare_torch()
    settings = unit.settings
    ghn = load_ghn(unit.config, unit.arrays).to(unit.device)
    if isinstance(ghn.decoder, CarrierDecoder):
        noise = torch_generator(settings.seed, "codes", unit.branch)
        ghn.decoder.disturb(settings.branch_noise, noise)
    steps = train_ghn(
        ghn,
        build_ghn_optimizer(ghn, settings.weight_decay),
        cloning_data(unit.demos, unit.device),
        unit.demos.interface,
        lambda generator: sample_architecture(generator, unit.training_range),
        GhnTrainingSettings(
            steps=settings.branch_steps,
            architectures_per_step=settings.architectures_per_step,
            batch_size=settings.branch_batch_size,
            learning_rate=settings.branch_learning_rate,
            seed=derive_seed(settings.seed, "branch", unit.branch),
        ),
    )
    losses = np.array([step.loss for step in steps], np.float32)
    return Branch(model_arrays(ghn), losses)


def member_architecture(index: int, training_range: TrainingRange, seed: int) -> Architecture:
    """Return the architecture of network ``index`` of those drawn, never a held-out one."""
    return sample_architecture(numpy_generator(seed, "member", index), training_range)


def member_architectures(
    training_range: TrainingRange,
    *,
    networks: int,
    repeated: tuple[Architecture, ...],
    repeats: int,
    seed: int,
) -> list[Architecture]:
    """Return the architecture of every network of a zoo, in order.

    First ``networks`` that are drawn one by one, then each of ``repeated`` as often as ``repeats``
    says: networks of one shape, without which nothing could be said of distances between them.
    """
    drawn = [member_architecture(index, training_range, seed) for index in range(networks)]
    return drawn + [architecture for architecture in repeated for _ in range(repeats)]


def plan_members(
    branches: list[dict[str, np.ndarray]],
    config: GhnConfig,
    demos: Demos,
    architectures: Sequence[Architecture],
    settings: ExportSettings,
    device: str = "cpu",
) -> list[MemberUnit]:
    """Deal the networks of the zoo out to the branches in turn, and those of each to units.

    Args:
        branches: The arrays of each.
        config: Of the hypernetwork.
        demos: What networks learn from.
        architectures: Of each network, in the order of the zoo.
        settings: How the zoo is made.
        device: Where they are trained.
    """
    units = []
    for branch, arrays in enumerate(branches):
        mine = range(branch, len(architectures), len(branches))
        pupils = [
            Pupil(architectures[index], derive_seed(settings.seed, "fine-tune", index))
            for index in mine
        ]
        for unit in plan_units(pupils, demos, settings.fine_tuning, device):
            indices = tuple(mine[k] for k in unit.indices)
            units.append(MemberUnit(config, arrays, unit._replace(indices=indices)))
    return units


def write_members(unit: MemberUnit) -> list[TrainedNetwork]:
    """Ask the branch for each architecture, then fine-tune the networks."""
    prepare_torch()
    ghn = load_ghn(unit.config, unit.arrays).to(unit.training.device)
    interface = unit.training.demos.interface
    written = tuple(
        tuple(
            pupil._replace(weights=network.weights)
            for pupil, network in zip(
                group,
                write_networks(ghn, [interface.spec(pupil.hidden_dims) for pupil in group]),
                strict=True,
            )
        )
        for group in unit.training.groups
    )
    return train_unit(unit.training._replace(groups=written))
