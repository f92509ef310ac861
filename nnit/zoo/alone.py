"""Write a zoo of networks that were each trained alone: nothing aligns their hidden units.

The baseline that a structurally aligned zoo has to be compared with. Every network starts from
random weights of its own.
"""

from collections.abc import Sequence

from nnit.demos import Demos
from nnit.groups.training import CloningSettings, Pupil
from nnit.groups.units import CLONE_BATCH_SIZE, GroupUnit, plan_units
from nnit.mlp import Architecture
from nnit.seeding import derive_seed


def plan_alone(
    architectures: Sequence[Architecture],
    demos: Demos,
    *,
    steps: int,
    learning_rate: float,
    seed: int,
    device: str = "cpu",
) -> list[GroupUnit]:
    """Plan to initialise and clone every network of the zoo.

    Args:
        architectures: Of each network, in the order of the zoo.
        demos: What they learn from.
        steps: Optimiser steps of each.
        learning_rate: At the start; falls as a cosine.
        seed: Of the zoo.
        device: Where they are trained.
    """
    pupils = [
        Pupil(architecture, derive_seed(seed, "alone", index))
        for index, architecture in enumerate(architectures)
    ]
    settings = CloningSettings(steps, CLONE_BATCH_SIZE, learning_rate)
    return plan_units(pupils, demos, settings, device)
