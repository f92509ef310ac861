"""Train the diffusion transformer on the token sequences of zoos."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nnit.diffusion.batch import UNKNOWN_BRANCH, epoch_batches
from nnit.diffusion.ema import Ema
from nnit.diffusion.predicted import PredictedCloning
from nnit.diffusion.step import DiffusionTrainingSettings, StepLoss, TrainingSet, draw_step
from nnit.diffusion.transformer import DiffusionTransformer, places_of_tasks
from nnit.distributed import descend, wrap
from nnit.mlp import Architecture
from nnit.ranks import ALONE, Ranks
from nnit.seeding import torch_generator
from nnit.tokens.sequence import NetworkTokens, build_layout, raw_to_tokens
from nnit.tokens.token_set import TokenSet
from nnit.training import one_cycle, take_step


@dataclass(frozen=True)
class DiffusionStep:
    """What one optimiser step tells its caller; a GPU is waited for when it is asked."""

    step: int  # steps done, 1 after the first
    figures: Tensor  # (5,), of StepLoss
    learning_rate: float
    tokens: int  # of the step's networks

    @cached_property
    def _values(self) -> list[float]:
        return self.figures.tolist()

    @property
    def loss(self) -> float:
        """Of weights and architecture tokens, as they should be."""
        return self._values[0]

    @property
    def weight_error(self) -> float:
        """Mean squared error of weights, in squared standardised units."""
        return self._values[1]

    @property
    def arch_loss(self) -> float:
        """Cross-entropy of masked architecture tokens, in nats."""
        return self._values[2]

    @property
    def cloning_loss(self) -> float | None:
        """The mean of predicted networks, where they are held to one."""
        *_, losses, count = self._values
        return losses / count if count else None


def network_tokens(tokens: TokenSet, k: int) -> NetworkTokens:
    """Lay out and standardise network ``k`` of a token set."""
    standardizer = tokens.standardizers[tokens.tasks[k]]
    layout = build_layout(tokens.spec(k), tokens.patch_size, standardizer)
    return raw_to_tokens(
        layout,
        tokens.weight_patches[tokens.weight_offsets[k] : tokens.weight_offsets[k + 1]],
        tokens.bias_patches[tokens.bias_offsets[k] : tokens.bias_offsets[k + 1]],
    )


def branch_rows(tokens: TokenSet) -> list[int]:
    """Return the branch of each network, counted over all tasks, so that tasks share none."""
    places = places_of_tasks([tokens.num_branches(task) for task in range(len(tokens.interfaces))])
    return [
        places[task].branches.start + branch if branch >= 0 else UNKNOWN_BRANCH
        for task, branch in zip(tokens.tasks.tolist(), tokens.branches.tolist(), strict=True)
    ]


class WeighedBatch(NamedTuple):
    """The networks of a step, and what its mean loss counts.

    Batches hold from one large network to several small ones. Weighed by their number against the
    epoch's mean, every network counts the same each time that it comes.
    """

    members: np.ndarray  # indices of networks
    weight: float  # number of networks, in those of the epoch's mean batch


def batch_order(
    lengths: np.ndarray,
    groups: np.ndarray,
    settings: DiffusionTrainingSettings,
    start: int,
    weights: Mapping[int, int] | None = None,
) -> Iterator[WeighedBatch]:
    """Yield the networks of each step from ``start`` on, the same however often it is resumed."""
    epoch, position = 0, 0
    while True:
        batches = epoch_batches(lengths, settings.batches, settings.seed, epoch, groups, weights)
        total = sum(map(len, batches))
        for members in batches[max(0, start - position) :]:
            yield WeighedBatch(members, len(members) * len(batches) / total)
        position, epoch = position + len(batches), epoch + 1


def train_diffusion(
    model: DiffusionTransformer,
    ema: Ema,
    optimizer: torch.optim.Optimizer,
    networks: list[NetworkTokens],
    architectures: Sequence[Architecture],
    branches: Sequence[int],
    settings: DiffusionTrainingSettings,
    *,
    tasks: Sequence[int] | None = None,
    groups: np.ndarray | None = None,
    weights: Mapping[int, int] | None = None,
    cloning: PredictedCloning | None = None,
    device: str = "cpu",
    ranks: Ranks = ALONE,
    start: int = 0,
) -> Iterator[DiffusionStep]:
    """Train in place, one yield for each step; resumed at ``start`` it goes on exactly.

    Args:
        model: The transformer.
        ema: Updated after each step.
        optimizer: Over the model's parameters.
        networks: The training set.
        architectures: Those of the training set, for the architecture tokens' own loss.
        branches: The branch of each network, counted over all tasks.
        settings: The numbers.
        tasks: The index of the task of each network; by default there is one.
        groups: The index of a group of each, all of which weigh the same; by default its task.
        weights: How many times more some of them weigh.
        cloning: Demonstrations, on the device, that predicted networks are held to at all times;
            by default their weights are all that matters.
        device: Where the model is.
        ranks: Which of the processes that train together this one is.
        start: Steps that were done before.
    """
    tasks = tasks or [0] * len(networks)
    layers = [1 + int(network.layout.layer.max()) for network in networks]
    data = TrainingSet(networks, architectures, branches, tasks, layers, cloning)
    lengths = np.array([network.layout.num_tokens for network in networks])
    groups = np.array(tasks) if groups is None else groups
    order = batch_order(lengths, groups, settings, start, weights)
    branches_of = data.branches_of_tasks()
    step_loss = wrap(ranks, StepLoss(model, data, settings, ranks, device))
    for step in range(start, settings.steps):
        generator = torch_generator(settings.seed, "noise", step)
        members, weight = next(order)
        drawn = draw_step(
            members.tolist(), weight, data, model.config, settings, branches_of, generator
        )
        optimizer.zero_grad(set_to_none=True)
        figures = descend(ranks, step_loss, len(members), drawn)
        learning_rate = one_cycle(step, settings.steps, settings.learning_rate)
        take_step(optimizer, learning_rate)
        ema.update(model, step)
        yield DiffusionStep(step + 1, figures, learning_rate, int(lengths[members].sum()))
