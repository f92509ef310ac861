"""Write a zoo of structurally aligned networks.

A graph hypernetwork is a function: it gives exactly one network per architecture. Diversity comes
from branches, copies of it that are each trained on with a seed and a bootstrap of the
demonstrations of their own; quality from fine-tuning every network alone. Both leave the order of
hidden units as it was.

Everything here is a unit of work that depends on its arguments alone, so that it can run in any
process.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from nnit.architectures import TrainingRange, sample_architecture
from nnit.cloning import (
    bootstrap,
    cloning_data,
    evaluate_loss,
    layers_from_flat,
    train_alone,
)
from nnit.demos import Demos
from nnit.ghn.model import GhnConfig, load_ghn, write_networks
from nnit.ghn.training import GhnTrainingSettings, train_ghn
from nnit.mlp import Architecture
from nnit.seeding import derive_seed, numpy_generator, torch_generator
from nnit.training import build_optimizer, model_arrays, prepare_torch

MEMBERS_PER_UNIT = 10


@dataclass(frozen=True)
class ExportSettings:
    """How a zoo is made."""

    networks: int  # of architectures drawn one by one
    repeated: tuple[Architecture, ...]  # each of these ``repeats`` times, after those
    repeats: int
    branches: int
    branch_steps: int
    architectures_per_step: int
    branch_batch_size: int
    branch_learning_rate: float  # the peak
    weight_decay: float
    fine_tune_steps: int
    fine_tune_batch_size: int
    fine_tune_learning_rate: float
    fine_tune_epsilon: float
    seed: int


class BranchUnit(NamedTuple):
    """Train one branch."""

    branch: int
    config: GhnConfig
    arrays: dict[str, np.ndarray]  # the trained hypernetwork
    demos: Demos
    training_range: TrainingRange
    settings: ExportSettings


class MemberUnit(NamedTuple):
    """Write and fine-tune some networks of one branch."""

    indices: tuple[int, ...]  # of the networks in the zoo
    architectures: tuple[Architecture, ...]
    branch: int
    config: GhnConfig
    arrays: dict[str, np.ndarray]  # of the branch
    demos: Demos
    settings: ExportSettings


class WrittenNetwork(NamedTuple):
    """One finished network."""

    weights: np.ndarray  # (num_parameters,) float32
    loss: float  # cloning loss over all demonstrations


def train_branch(unit: BranchUnit) -> dict[str, np.ndarray]:
    """Train a copy of the hypernetwork on with its own seed and bootstrap; return its arrays."""
    prepare_torch()
    settings = unit.settings
    ghn = load_ghn(unit.config, unit.arrays)
    resampled = numpy_generator(settings.seed, "bootstrap", unit.branch)
    steps = train_ghn(
        ghn,
        build_optimizer(ghn, settings.weight_decay),
        bootstrap(cloning_data(unit.demos), resampled),
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
    for _ in steps:
        pass
    return model_arrays(ghn)


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
    training_range: TrainingRange,
    settings: ExportSettings,
) -> list[MemberUnit]:
    """Deal the networks of the zoo out to the branches in turn, a few to a unit."""
    everything = member_architectures(
        training_range,
        networks=settings.networks,
        repeated=settings.repeated,
        repeats=settings.repeats,
        seed=settings.seed,
    )
    units = []
    for branch, arrays in enumerate(branches):
        mine = range(branch, len(everything), settings.branches)
        for start in range(0, len(mine), MEMBERS_PER_UNIT):
            indices = tuple(mine[start : start + MEMBERS_PER_UNIT])
            architectures = tuple(everything[index] for index in indices)
            units.append(
                MemberUnit(indices, architectures, branch, config, arrays, demos, settings)
            )
    return units


def write_members(unit: MemberUnit) -> list[WrittenNetwork]:
    """Ask the branch for each architecture, then train each network alone."""
    prepare_torch()
    settings = unit.settings
    ghn = load_ghn(unit.config, unit.arrays)
    everything = cloning_data(unit.demos)
    # Members of a branch learn from the bootstrap that made the branch.
    data = bootstrap(everything, numpy_generator(settings.seed, "bootstrap", unit.branch))
    written = []
    for index, architecture in zip(unit.indices, unit.architectures, strict=True):
        spec = unit.demos.interface.spec(architecture)
        (network,) = write_networks(ghn, [spec])
        flat = train_alone(
            spec,
            torch.from_numpy(network.weights),
            data,
            steps=settings.fine_tune_steps,
            learning_rate=settings.fine_tune_learning_rate,
            epsilon=settings.fine_tune_epsilon,
            batch_size=settings.fine_tune_batch_size,
            generator=torch_generator(settings.seed, "fine-tune", index),
        )
        loss = evaluate_loss(layers_from_flat(spec, flat), everything)
        written.append(WrittenNetwork(flat.numpy(), loss))
    return written
