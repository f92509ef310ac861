"""One step of the generator's training: what is drawn for it, and the loss of some of its rows.

All random numbers of a step are drawn for its whole batch, before anything is computed, so that
they do not depend on which rows a process computes, nor in how many rounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nnit.cloning import Transitions, draw_transitions
from nnit.diffusion.architecture import MaskedBatch, architecture_loss, mask_batch
from nnit.diffusion.batch import UNKNOWN_BRANCH, BatchRules, TokenBatch, collate, padded_length
from nnit.diffusion.path import interpolate, sample_times
from nnit.diffusion.predicted import PredictedCloning, held_losses
from nnit.diffusion.sampler import OTHER_SHARE
from nnit.diffusion.transformer import DiffusionTransformer, TransformerConfig
from nnit.distributed import touching
from nnit.mlp import Architecture
from nnit.ranks import ALONE, Ranks, Share
from nnit.tokens.sequence import NetworkTokens, patch_size_of

BIAS_SHARE = 0.2  # of a layer's loss; its weights have the rest
ARCH_SHARE = 0.05  # weight of the architecture tokens' loss beside that of the patches
ARCHITECTURES_PER_STEP = 32
LATE = 0.5  # before this time, next to nothing is seen but noise
OWN_SHARE = 0.75  # of networks at late times that are on the way to what is predicted of them


@dataclass(frozen=True)
class DiffusionTrainingSettings:
    """How the diffusion transformer is trained."""

    steps: int
    batches: BatchRules
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


@dataclass(frozen=True)
class TrainingSet:
    """What a generator learns from, network by network."""

    networks: Sequence[NetworkTokens]
    architectures: Sequence[Architecture]
    branches: Sequence[int]  # counted over all tasks
    tasks: Sequence[int]
    layers: Sequence[int]
    cloning: PredictedCloning | None = None  # demonstrations that predicted networks are held to

    def branches_of_tasks(self) -> list[list[int]]:
        """Return the branches of each task, ascending."""
        known = sorted(set(zip(self.tasks, self.branches, strict=True)))
        return [
            [branch for own, branch in known if own == task and branch != UNKNOWN_BRANCH]
            for task in range(max(self.tasks) + 1)
        ]


class Drawn(NamedTuple):
    """A step's batch of B networks, and all that is drawn for it."""

    members: list[int]  # indices of networks
    weight: float  # of their mean loss
    length: int  # S, tokens of a padded network
    masked: MaskedBatch  # architectures
    t: Tensor  # (B,)
    noise: "PathNoise"
    mixture: "Mixture | None"
    transitions: list[Transitions | None]  # that each is held to


def draw_step(
    members: list[int],
    weight: float,
    data: TrainingSet,
    config: TransformerConfig,
    settings: DiffusionTrainingSettings,
    branches_of: Sequence[Sequence[int]],
    generator: torch.Generator,
) -> Drawn:
    """Draw a step.

    Args:
        members: Its networks.
        weight: Of their mean loss.
        data: The training set.
        config: What architectures are written in.
        settings: The numbers.
        branches_of: The branches of each task.
        generator: Of this step alone.
    """
    length = padded_length(max(data.networks[k].layout.num_tokens for k in members))
    mixture = None
    if settings.mixed_share:
        mixture = draw_mixture(
            [data.branches[k] for k in members],
            [data.tasks[k] for k in members],
            branches_of,
            settings.mixed_share,
            generator,
        )
    count = len(data.architectures)
    chosen = torch.randint(count, (ARCHITECTURES_PER_STEP,), generator=generator).tolist()
    masked = mask_batch(
        [data.architectures[k] for k in chosen],
        config,
        generator,
        tasks=[data.tasks[k] for k in chosen],
    )
    t = sample_times(len(members), generator)
    t = torch.zeros_like(t) if settings.regression else t
    size = data.networks[0].content.shape[-1]
    noise = draw_noise(t, length, size, generator)
    held = data.cloning
    transitions: list[Transitions | None] = [None] * len(members)
    if held:
        transitions = draw_transitions([held.data[k] for k in members], held.batch_size, generator)
    return Drawn(members, weight, length, masked, t, noise, mixture, transitions)


class StepLoss(nn.Module):
    """What is minimised of some rows of a step; called by ``nnit.distributed.descend``."""

    def __init__(
        self,
        model: DiffusionTransformer,
        data: TrainingSet,
        settings: DiffusionTrainingSettings,
        ranks: Ranks = ALONE,
        device: str = "cpu",
    ) -> None:
        super().__init__()
        self.model = model
        self._data, self._settings, self._ranks, self._device = data, settings, ranks, device

    def forward(self, share: Share, drawn: Drawn) -> tuple[Tensor, Tensor]:
        """Return the loss of a share, times the ranks, and what is told of it.

        The architecture tokens' loss, which is cheap, is computed once by every rank.

        Returns:
            The loss, and figures ``(5,)``: that of weights and architecture tokens, no number where
            what is minimised is none; that of weights alone; that of architecture tokens; the sum
            of the cloning losses of predicted networks, and how many have one.
        """
        size, zero = self._ranks.size, torch.zeros((), device=self._device)
        members = drawn.members[share.rows]
        part = len(members) / len(drawn.members)
        device_type = torch.device(self._device).type
        # One context for both: inside it, weights are rounded to bfloat16 once.
        with torch.autocast(device_type, torch.bfloat16, enabled=self._settings.autocast):
            found = self._predict(members, share.rows, drawn) if members else None
            logits = self._logits(drawn.masked) if share.is_last else None
        patches = weights = arch_loss = zero
        held = None
        if found is not None:
            layers = max(self._data.layers[k] for k in members)
            loss = diffusion_loss(*found, layers)
            patches, weights = drawn.weight * part * loss.total, part * loss.weights
        if logits is not None:
            arch_loss = architecture_loss(logits, drawn.masked.targets.to(self._device))
        minimised = size * patches + ARCH_SHARE * arch_loss
        if found is not None and self._data.cloning is not None:
            layouts = [self._data.networks[k].layout for k in members]
            transitions = drawn.transitions[share.rows]
            held = held_losses(*found, members, layouts, self._data.cloning, transitions)
        if held is not None:
            minimised = minimised + size * drawn.weight * part * held.minimised
        figures = [
            torch.where(minimised.isfinite(), patches + ARCH_SHARE * arch_loss / size, torch.nan),
            weights,
            arch_loss / size,
            held.losses.sum() if held else zero,
            zero + (len(held.losses) if held else 0),
        ]
        if size > 1 or not members:
            minimised = minimised + touching(self.model)
        return minimised, torch.stack(figures).detach()

    def _predict(self, members: list[int], rows: slice, drawn: Drawn) -> "Prediction":
        """Put networks on the path, and predict them from there."""
        clean = collate(
            [self._data.networks[k] for k in members],
            branches=[self._data.branches[k] for k in members],
            tasks=[self._data.tasks[k] for k in members],
            length=drawn.length,
        ).to(self._device)
        if drawn.mixture:
            clean = between_branches(self.model, clean, drawn.mixture.rows(rows))
        t = drawn.t[rows].to(self._device)
        noised = along_path(self.model, clean, t, drawn.noise.rows(rows))
        return Prediction(self.model(noised, torch.ones_like(t), t), clean)

    def _logits(self, masked: MaskedBatch) -> Tensor:
        """Predict masked architecture tokens."""
        return self.model.architecture_logits(
            masked.batch.to(self._device), masked.t_arch.to(self._device)
        )


class Prediction(NamedTuple):
    """What is predicted of networks, and these."""

    predicted: Tensor  # (B, S, C)
    clean: TokenBatch


class PathNoise(NamedTuple):
    """What is drawn to put a batch on the path."""

    own: Tensor  # (B,) bool, networks that are replaced by what is predicted of them
    of_own: Tensor  # (O, S, C) noise that these are predicted from
    of_all: Tensor  # (B, S, C)

    def rows(self, rows: slice) -> "PathNoise":
        """Return that of some networks."""
        place = self.own.cumsum(0) - 1
        own = self.own[rows]
        return PathNoise(own, self.of_own[place[rows][own]], self.of_all[rows])


def draw_noise(t: Tensor, length: int, size: int, generator: torch.Generator) -> PathNoise:
    """Draw what ``along_path`` needs at times ``t`` ``(B,)``, of S tokens with C entries."""
    own = (t > LATE) & (torch.rand(len(t), generator=generator) < OWN_SHARE)
    of_own = torch.randn(int(own.sum()), length, size, generator=generator)
    return PathNoise(own, of_own, torch.randn(len(t), length, size, generator=generator))


def noisy(batch: TokenBatch, t: Tensor, noise: Tensor) -> TokenBatch:
    """Return the batch at times ``t`` ``(B,)`` of the path from noise to its content."""
    content = interpolate(noise.to(batch.content.device), batch.content, t[:, None, None])
    return batch._replace(content=content * batch.mask)


class Mixture(NamedTuple):
    """Networks that are moved towards another branch of their task."""

    branch: Tensor  # (B, 2) their own and another one
    share: Tensor  # (B, 2) of each

    def rows(self, rows: slice) -> "Mixture":
        """Return some of them."""
        return Mixture(self.branch[rows], self.share[rows])


def draw_mixture(
    branches: Sequence[int],
    tasks: Sequence[int],
    branches_of: Sequence[Sequence[int]],
    share: float,
    generator: torch.Generator,
) -> Mixture:
    """Draw which of B networks are moved, how far and where; see ``between_branches``.

    Args:
        branches: That of each network.
        tasks: That of each.
        branches_of: The branches of each task.
        share: Of the networks that are moved.
        generator: Draws.
    """
    chosen, distance, turn = torch.rand(3, len(branches), generator=generator)
    low, high = OTHER_SHARE
    distance = low + (high - low) * distance
    others = list(branches)
    for k, (branch, task) in enumerate(zip(branches, tasks, strict=True)):
        mine = branches_of[task]
        if branch in mine and len(mine) > 1:
            further = 1 + int(turn[k] * (len(mine) - 1))  # to any of the others alike
            others[k] = mine[(mine.index(branch) + further) % len(mine)]
    part = torch.where(chosen < share, distance, 0.0)
    return Mixture(
        torch.stack([torch.tensor(branches), torch.tensor(others)], dim=1),
        torch.stack([1 - part, part], dim=1),
    )


def between_branches(
    model: DiffusionTransformer, clean: TokenBatch, mixture: Mixture
) -> TokenBatch:
    """Move networks of one branch each towards another one of their task.

    Samples are asked for in manners between two branches, of which no zoo has networks. What is
    typical of branches is moved; what a network has beside it stays.
    """
    device = clean.content.device
    mixed = clean._replace(branch=mixture.branch.to(device), share=mixture.share.to(device))
    content = clean.content + (model.typical(mixed) - model.typical(clean))
    return mixed._replace(content=content * clean.mask)


def along_path(
    model: DiffusionTransformer, clean: TokenBatch, t: Tensor, noise: PathNoise
) -> TokenBatch:
    """Return the batch at times ``t`` ``(B,)`` of the path, some of it as a sampler would have it.

    A sampler's path leads to the model's own predictions, with their errors, and not to training
    networks. Late on it, where content is seen, most networks are replaced by what is predicted of
    them from noise: what a sampler needs to be mended is then what training shows.
    """
    device = clean.content.device
    if len(noise.of_own):
        own = noise.own.nonzero().squeeze(1).to(device)
        few = TokenBatch(*(tensor[own] for tensor in clean))
        start = torch.zeros(len(few.content), device=device)
        with torch.no_grad():
            predicted = model(noisy(few, start, noise.of_own), torch.ones_like(start), start)
        content = clean.content.index_copy(0, own, predicted.to(clean.content.dtype))
        clean = clean._replace(content=content)
    return noisy(clean, t.to(device), noise.of_all)


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


def diffusion_loss(
    predicted: Tensor, clean: TokenBatch, layers: int | None = None
) -> LossBreakdown:
    """Squared error of the predicted data, averaged over entries, then layers, then networks.

    Every layer of a network weighs the same, and so does every network: a wide layer has many
    more patches than a narrow one, and no more to say.

    Args:
        predicted: Content ``(B, S, C)``.
        clean: The batch with its true content.
        layers: The most that a network has, where that is known: else a GPU is waited for.
    """
    num_networks = len(predicted)
    layers = layers or int(clean.layer.max()) + 1
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
