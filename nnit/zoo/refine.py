"""Train networks that a generator sampled on alone: the zoo of a further round.

Instead of a hypernetwork's branch, a generator writes the networks that are fine-tuned. A generator
that goes on learning from these is the next round's.

Everything here is a unit of work that depends on its arguments alone, so that it can run in any
process.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from nnit.cloning import bootstrap, cloning_data, evaluate_loss, layers_from_flat, train_alone
from nnit.demos import Demos
from nnit.mlp import Network
from nnit.seeding import numpy_generator, torch_generator
from nnit.training import prepare_torch
from nnit.zoo.export import MEMBERS_PER_UNIT, WrittenNetwork


@dataclass(frozen=True)
class RefineSettings:
    """How samples are trained on."""

    steps: int
    batch_size: int
    learning_rate: float  # at the start; falls as a cosine
    epsilon: float  # Adam's
    seed: int


class Draft(NamedTuple):
    """A sample that is to be trained on."""

    network: Network
    branch: int  # of the hypernetwork, that it was asked to be like


class RefineUnit(NamedTuple):
    """Train some samples on."""

    indices: tuple[int, ...]  # of the networks in the zoo
    drafts: tuple[Draft, ...]
    demos: Demos
    settings: RefineSettings


def plan_refining(
    drafts: Sequence[Draft], demos: Demos, settings: RefineSettings
) -> list[RefineUnit]:
    """Deal samples out to units, a few to each, in order."""
    units = []
    for start in range(0, len(drafts), MEMBERS_PER_UNIT):
        chosen = tuple(drafts[start : start + MEMBERS_PER_UNIT])
        indices = tuple(range(start, start + len(chosen)))
        units.append(RefineUnit(indices, chosen, demos, settings))
    return units


def refine_members(unit: RefineUnit) -> list[WrittenNetwork]:
    """Train every network of a unit on; its loss is over all episodes.

    Networks of a branch learn from one bootstrap of the demonstrations, as when a zoo is exported:
    otherwise samples of all branches would grow alike.
    """
    prepare_torch()
    settings = unit.settings
    everything = cloning_data(unit.demos)
    written = []
    for index, (network, branch) in zip(unit.indices, unit.drafts, strict=True):
        spec = unit.demos.interface.spec(network.hidden_dims)
        flat = train_alone(
            spec,
            torch.tensor(network.weights),
            bootstrap(everything, numpy_generator(settings.seed, "bootstrap", branch)),
            steps=settings.steps,
            learning_rate=settings.learning_rate,
            batch_size=settings.batch_size,
            generator=torch_generator(settings.seed, "refine", index),
            epsilon=settings.epsilon,
        )
        loss = evaluate_loss(layers_from_flat(spec, flat), everything)
        written.append(WrittenNetwork(flat.numpy(), loss))
    return written
