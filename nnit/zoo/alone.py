"""Write a zoo of networks that were each trained alone: nothing aligns their hidden units.

The baseline that a structurally aligned zoo has to be compared with. Every network starts from
random weights of its own and is cloned from a bootstrap of the demonstrations of its own, so that
the networks differ in data as those of different branches do.
"""

from collections.abc import Sequence
from typing import NamedTuple

from nnit.cloning import (
    CLONE_BATCH_SIZE,
    bootstrap,
    cloning_data,
    evaluate_loss,
    initialise_flat,
    layers_from_flat,
    train_alone,
)
from nnit.demos import Demos
from nnit.mlp import Architecture
from nnit.seeding import numpy_generator, torch_generator
from nnit.training import prepare_torch
from nnit.zoo.export import MEMBERS_PER_UNIT, WrittenNetwork


class AloneUnit(NamedTuple):
    """Initialise and clone some networks."""

    indices: tuple[int, ...]  # of the networks in the zoo
    architectures: tuple[Architecture, ...]
    demos: Demos
    steps: int
    learning_rate: float  # at the start; falls as a cosine
    seed: int


def plan_alone(
    architectures: Sequence[Architecture],
    demos: Demos,
    *,
    steps: int,
    learning_rate: float,
    seed: int,
) -> list[AloneUnit]:
    """Deal the networks of the zoo out to units, a few to each, in order."""
    units = []
    for start in range(0, len(architectures), MEMBERS_PER_UNIT):
        chosen = tuple(architectures[start : start + MEMBERS_PER_UNIT])
        indices = tuple(range(start, start + len(chosen)))
        units.append(AloneUnit(indices, chosen, demos, steps, learning_rate, seed))
    return units


def clone_members(unit: AloneUnit) -> list[WrittenNetwork]:
    """Clone every network of a unit from its own random weights; its loss is over all episodes."""
    prepare_torch()
    everything = cloning_data(unit.demos)
    written = []
    for index, architecture in zip(unit.indices, unit.architectures, strict=True):
        spec = unit.demos.interface.spec(architecture)
        generator = torch_generator(unit.seed, "alone", index)
        flat = train_alone(
            spec,
            initialise_flat(spec, generator),
            bootstrap(everything, numpy_generator(unit.seed, "bootstrap", index)),
            steps=unit.steps,
            learning_rate=unit.learning_rate,
            batch_size=CLONE_BATCH_SIZE,
            generator=generator,
        )
        loss = evaluate_loss(layers_from_flat(spec, flat), everything)
        written.append(WrittenNetwork(flat.numpy(), loss))
    return written
