"""Train the diffusion transformer on the token sequences of zoos."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nnit.diffusion.architecture import architecture_loss, mask_batch
from nnit.diffusion.batch import UNKNOWN_BRANCH, TokenBatch, collate, epoch_batches
from nnit.diffusion.ema import Ema
from nnit.diffusion.path import interpolate, sample_times
from nnit.diffusion.predicted import PredictedCloning, held_losses
from nnit.diffusion.sampler import OTHER_SHARE
from nnit.diffusion.transformer import DiffusionTransformer, places_of_tasks
from nnit.mlp import Architecture
from nnit.seeding import torch_generator
from nnit.tokens.sequence import NetworkTokens, build_layout, patch_size_of, raw_to_tokens
from nnit.tokens.token_set import TokenSet
from nnit.training import one_cycle, optimise

BIAS_SHARE = 0.2  # of a layer's loss; its weights have the rest
ARCH_SHARE = 0.05  # weight of the architecture tokens' loss beside that of the patches
ARCHITECTURES_PER_STEP = 32
LATE = 0.5  # before this time, next to nothing is seen but noise
OWN_SHARE = 0.75  # of networks at late times that are on the way to what is predicted of them


@dataclass(frozen=True)
class DiffusionTrainingSettings:
    """How the diffusion transformer is trained."""

    steps: int
    tokens_per_batch: int
    learning_rate: float  # the peak
    seed: int
    autocast: bool  # bfloat16 matrix products
    mixed_share: float = 0.0  # of networks that are moved between two branches
    regression: bool = False  # only ever predict from noise: a control


class LossBreakdown(NamedTuple):
    """The loss of one step, in squared standardised units."""

    total: Tensor  # both together
    weights: Tensor  # mean squared error of the predicted weights
    biases: Tensor


class DiffusionStep(NamedTuple):
    """What one optimiser step tells its caller."""

    step: int  # steps done, 1 after the first
    loss: float  # of weights and architecture tokens, as they should be
    weight_error: float
    arch_loss: float  # cross-entropy of masked architecture tokens, in nats
    cloning_loss: float | None = None  # of predicted networks, where they are held to one


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


def noisy(batch: TokenBatch, t: Tensor, generator: torch.Generator) -> TokenBatch:
    """Return the batch at times ``t`` ``(B,)`` of the path from fresh noise to its content."""
    noise = torch.randn(batch.content.shape, generator=generator).to(batch.content.device)
    content = interpolate(noise, batch.content, t[:, None, None])
    return batch._replace(content=content * batch.mask)


def between_branches(
    model: DiffusionTransformer,
    clean: TokenBatch,
    branches_of: Sequence[Sequence[int]],
    share: float,
    generator: torch.Generator,
) -> TokenBatch:
    """Move some networks of a batch towards another branch of their task.

    Samples are asked for in manners between two branches, of which no zoo has networks. What is
    typical of branches is moved; what a network has beside it stays.

    Args:
        model: Knows what is typical of branches.
        clean: Networks, each of one branch, on the model's device.
        branches_of: The branches of each task.
        share: Of the networks that are moved.
        generator: Draws which, how far and where.
    """
    count = len(clean.branch)
    chosen, moved, turn = torch.rand(3, count, generator=generator)
    low, high = OTHER_SHARE
    moved = low + (high - low) * moved
    others = clean.branch[:, 0].tolist()
    for k, (branch, task) in enumerate(zip(others, clean.task.tolist(), strict=True)):
        mine = branches_of[task]
        if branch in mine and len(mine) > 1:
            further = 1 + int(turn[k] * (len(mine) - 1))  # to any of the others alike
            others[k] = mine[(mine.index(branch) + further) % len(mine)]
    other = clean.branch.new_tensor(others)
    part = torch.where(chosen < share, moved, 0.0).to(clean.share)
    mixed = clean._replace(
        branch=torch.stack([clean.branch[:, 0], other], dim=1),
        share=torch.stack([1 - part, part], dim=1),
    )
    content = clean.content + (model.typical(mixed) - model.typical(clean))
    return mixed._replace(content=content * clean.mask)


def along_path(
    model: DiffusionTransformer, clean: TokenBatch, t: Tensor, generator: torch.Generator
) -> TokenBatch:
    """Return the batch at times ``t`` ``(B,)`` of the path, some of it as a sampler would have it.

    A sampler's path leads to the model's own predictions, with their errors, and not to training
    networks. Late on it, where content is seen, most networks are replaced by what is predicted of
    them from noise: what a sampler needs to be mended is then what training shows.
    """
    device = clean.content.device
    own = (t > LATE) & (torch.rand(len(t), generator=generator) < OWN_SHARE)
    if own.any():
        few = TokenBatch(*(tensor[own.to(device)] for tensor in clean))
        start = torch.zeros(len(few.content), device=device)
        with torch.no_grad():
            predicted = model(noisy(few, start, generator), torch.ones_like(start), start)
        content = clean.content.clone()
        content[own.to(device)] = predicted
        clean = clean._replace(content=content)
    return noisy(clean, t.to(device), generator)


def mean_by_layer(error: Tensor, mask: Tensor, group: Tensor, num_groups: int) -> Tensor:
    """Average a squared error over the real entries of each layer.

    Args:
        error: ``(B, S, K)``, 0 where ``mask`` is False.
        mask: ``(B, S, K)`` bool.
        group: ``(B, S)`` int64, which layer of which network.
        num_groups: Layers times networks; groups without entries get 0.

    Returns:
        ``(num_groups,)``.
    """
    empty = error.new_zeros(num_groups)
    sums = empty.index_add(0, group.flatten(), error.sum(-1).flatten())
    counts = empty.index_add(0, group.flatten(), mask.sum(-1).flatten().to(error.dtype))
    return sums / counts.clamp(min=1)


def diffusion_loss(predicted: Tensor, clean: TokenBatch) -> LossBreakdown:
    """Squared error of the predicted data, averaged over entries, then layers, then networks.

    Every layer of a network weighs the same, and so does every network: a wide layer has many
    more patches than a narrow one, and no more to say.

    Args:
        predicted: Content ``(B, S, C)``.
        clean: The batch with its true content.
    """
    num_networks = len(predicted)
    layers = int(clean.layer.max()) + 1
    group = clean.layer + layers * torch.arange(num_networks, device=predicted.device)[:, None]
    depths = clean.layer.amax(dim=1) + 1  # (B,) layers of each network
    error = (predicted - clean.content).square() * clean.mask
    entries = error.shape[-1]
    patch_size = patch_size_of(entries)
    parts = [
        mean_by_layer(error[..., part], clean.mask[..., part], group, layers * num_networks)
        .view(num_networks, layers)
        .sum(dim=1)
        .div(depths)
        for part in (slice(0, patch_size**2), slice(patch_size**2, entries))
    ]
    weights, biases = (part.mean() for part in parts)
    return LossBreakdown((1 - BIAS_SHARE) * weights + BIAS_SHARE * biases, weights, biases)


class WeighedBatch(NamedTuple):
    """The networks of a step, and what its mean loss counts.

    Batches hold as many tokens, and so from one large network to dozens of small ones. Weighed by
    their number against the epoch's mean, every network counts the same in an epoch.
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
        batches = epoch_batches(
            lengths, settings.tokens_per_batch, settings.seed, epoch, groups, weights
        )
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
        start: Steps that were done before.
    """
    tasks = tasks or [0] * len(networks)
    lengths = np.array([network.layout.num_tokens for network in networks])
    groups = np.array(tasks) if groups is None else groups
    order = batch_order(lengths, groups, settings, start, weights)
    device_type = torch.device(device).type
    branches_of = [
        sorted(
            {row for row, own in zip(branches, tasks, strict=True) if own == task}
            - {UNKNOWN_BRANCH}
        )
        for task in range(max(tasks) + 1)
    ]
    for step in range(start, settings.steps):
        generator = torch_generator(settings.seed, "noise", step)
        members, weight = next(order)
        clean = collate(
            [networks[k] for k in members],
            branches=[branches[k] for k in members],
            tasks=[tasks[k] for k in members],
        ).to(device)
        if settings.mixed_share:
            clean = between_branches(model, clean, branches_of, settings.mixed_share, generator)
        chosen = torch.randint(len(architectures), (ARCHITECTURES_PER_STEP,), generator=generator)
        masked = mask_batch(
            [architectures[k] for k in chosen.tolist()],
            model.config,
            generator,
            tasks=[tasks[k] for k in chosen.tolist()],
        )
        t = sample_times(len(clean.real), generator)
        t = torch.zeros_like(t) if settings.regression else t
        with torch.autocast(device_type, torch.bfloat16, enabled=settings.autocast):
            noised, t = along_path(model, clean, t, generator), t.to(device)
            predicted = model(noised, torch.ones_like(t), t)
            logits = model.architecture_logits(masked.batch.to(device), masked.t_arch.to(device))
        loss = diffusion_loss(predicted, clean)
        arch_loss = architecture_loss(logits, masked.targets.to(device))
        total = weight * loss.total + ARCH_SHARE * arch_loss
        layouts = [networks[k].layout for k in members]
        held = cloning and held_losses(predicted, members.tolist(), layouts, cloning, generator)
        minimised = total + weight * held.minimised if held else total
        optimise(optimizer, minimised, one_cycle(step, settings.steps, settings.learning_rate))
        ema.update(model, step)
        shown = total.item() if math.isfinite(minimised.item()) else math.nan
        yield DiffusionStep(
            step + 1,
            shown,
            loss.weights.item(),
            arch_loss.item(),
            held and held.losses.mean().item(),
        )
