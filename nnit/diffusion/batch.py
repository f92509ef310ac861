"""Several networks of different lengths as one batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from nnit.seeding import numpy_generator
from nnit.tokens.sequence import NetworkTokens

# Lengths are rounded up to it. Matrix libraries prepare themselves for every new shape, which
# cost more than the products themselves when every batch had a shape of its own.
LENGTH_STEP = 32
UNKNOWN_BRANCH = -1  # the branch of a network is not said
# Which branch a network is like: the row of one, or the shares of several, which sum to one.
Manner = int | Mapping[int, float]


class TokenBatch(NamedTuple):
    """Token sequences of B networks, padded to S tokens."""

    features: Tensor  # (B, S, F)
    content: Tensor  # (B, S, C)
    mask: Tensor  # (B, S, C) bool, True where there is a weight
    layer: Tensor  # (B, S) int64, the layer of a patch
    cell: Tensor  # (B, S, 2) int64, the row and the column of a patch
    real: Tensor  # (B, S) bool, False for padding
    branch: Tensor  # (B, K) int64, rows of branches of the hypernetwork, or UNKNOWN_BRANCH
    share: Tensor  # (B, K) of each of them
    task: Tensor  # (B,) int64, index of the task

    def to(self, device: str) -> "TokenBatch":
        """Move to a device."""
        return TokenBatch(*(tensor.to(device) for tensor in self))


def padded_length(length: int, step: int = LENGTH_STEP) -> int:
    """Round a length up to a multiple of ``step``."""
    return -(-length // step) * step


def collate(
    networks: list[NetworkTokens],
    *,
    branches: Sequence[Manner] | None = None,
    tasks: Sequence[int] | None = None,
    length_step: int = LENGTH_STEP,
    length: int = 0,
) -> TokenBatch:
    """Pad networks to one length, a multiple of ``length_step``, and stack them.

    Args:
        networks: B networks.
        branches: The branch or the branches of each, counted over all tasks; by default they are
            not said.
        tasks: The index of the task of each; by default the first, which may be the only one.
        length_step: Of the padded length.
        length: At least so many tokens.
    """
    layouts = [network.layout for network in networks]
    lengths = torch.tensor([layout.num_tokens for layout in layouts])
    length = padded_length(max(length, int(lengths.max())), length_step)

    mixtures = [
        manner if isinstance(manner, Mapping) else {manner: 1.0}
        for manner in branches or [UNKNOWN_BRANCH] * len(networks)
    ]
    rows = [torch.tensor(list(mixture)) for mixture in mixtures]
    shares = [torch.tensor(list(mixture.values())) for mixture in mixtures]

    def stack(sequences: list[Tensor]) -> Tensor:
        padded = pad_sequence(sequences, batch_first=True)
        missing = length - padded.shape[1]
        filler = padded.new_zeros(len(padded), missing, *padded.shape[2:])
        return torch.cat([padded, filler], dim=1)

    return TokenBatch(
        features=stack([layout.features for layout in layouts]),
        content=stack([network.content for network in networks]),
        mask=stack([layout.mask for layout in layouts]),
        layer=stack([layout.layer for layout in layouts]),
        cell=stack([layout.cell for layout in layouts]),
        real=torch.arange(length) < lengths[:, None],
        branch=pad_sequence(rows, batch_first=True, padding_value=UNKNOWN_BRANCH),
        share=pad_sequence(shares, batch_first=True),
        task=torch.tensor(tasks or [0] * len(networks)),
    )


def balanced_members(
    groups: np.ndarray, weights: Mapping[int, int], generator: np.random.Generator
) -> np.ndarray:
    """Return the networks of an epoch, as many of each group as the largest one has.

    Those of a smaller group come several times, none of them more than once more than another.

    Args:
        groups: Index of the group of each network ``(N,)``, such as its task.
        weights: How many times as many come of a group; 1 where it isn't said.
        generator: Draws which ones come once more.
    """
    of_groups = {int(group): np.flatnonzero(groups == group) for group in np.unique(groups)}
    most = max(map(len, of_groups.values()))
    parts = []
    for group, mine in of_groups.items():
        times, more = divmod(most * weights.get(group, 1), len(mine))
        parts += [mine] * times
        if more:
            parts.append(generator.choice(mine, more, replace=False))
    return np.concatenate(parts)


@dataclass(frozen=True)
class BatchRules:
    """How an epoch's networks are dealt out.

    By padded tokens alone, a batch is one large network or dozens of small ones, which are then in
    few steps, and stay underfitted.
    """

    tokens: int  # that a batch has room for; one long network may exceed it
    least_tokens: int = 0  # the room that any network takes
    small_tokens: int = 0  # a network of at most so many is small
    small_times: int = 1  # how often a small one comes in an epoch


def epoch_batches(
    lengths: np.ndarray,
    rules: BatchRules,
    seed: int,
    epoch: int,
    groups: np.ndarray,
    weights: Mapping[int, int] | None = None,
) -> list[np.ndarray]:
    """Split networks into batches by padded length, in an order drawn for this epoch.

    Networks that do not fill a batch of their length join the next longer ones, so that almost
    all batches have one of few shapes. Groups are mixed as chance has it.

    Args:
        lengths: Sequence length of each network ``(N,)``.
        rules: What a batch may hold, and how often a small network comes.
        seed: Of the training.
        epoch: Counted from 0; each has an order of its own.
        groups: Index of the group of each network ``(N,)``.
        weights: How many times as many come of a group; by default all weigh the same.

    Returns:
        Indices of networks, every large one once where all groups have one size.
    """
    generator = numpy_generator(seed, "epoch", epoch)
    members = balanced_members(groups, weights or {}, generator)
    small = lengths[members] <= rules.small_tokens
    members = np.sort(np.repeat(members, np.where(small, rules.small_times, 1)))
    padded = np.array([padded_length(int(length)) for length in lengths[members]])
    batches, waiting = [], np.array([], np.int64)
    for length in np.unique(padded):
        waiting = np.concatenate([waiting, generator.permutation(members[padded == length])])
        size = max(1, rules.tokens // max(int(length), rules.least_tokens))
        while len(waiting) >= size:
            batches.append(waiting[:size])
            waiting = waiting[size:]
    if len(waiting):
        batches.append(waiting)
    return [batches[k] for k in generator.permutation(len(batches))]
