"""Generate the weights of networks of given architectures."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from nnit.diffusion.batch import UNKNOWN_BRANCH, Manner, TokenBatch, collate, padded_length
from nnit.diffusion.path import euler_step, time_grid
from nnit.mlp import MlpSpec, Network, join_layers
from nnit.tokens.patches import unpatchify
from nnit.tokens.sequence import NetworkTokens, build_layout, tokens_to_raw
from nnit.tokens.token_set import Standardizer

# Tokens in a batch, padding included. A CPU is busy with few, a GPU wants many.
TOKENS_PER_BATCH = {"cpu": 256, "cuda": 8192}
OTHER_SHARE = 0.05, 0.35  # the least and the most that a sample has of a second branch
GOLDEN_SECTION = 0.6180339887498949  # whose multiples, modulo 1, keep apart
# (noisy batch, t_arch (B,), t_weight (B,)) -> clean content (B, S, C)
DataPredictor = Callable[[TokenBatch, Tensor, Tensor], Tensor]


def draw_noise(
    spec: MlpSpec, patch_size: int, standardizer: Standardizer, generator: torch.Generator
) -> NetworkTokens:
    """Lay out a network's sequence with content of pure noise from its own generator."""
    layout = build_layout(spec, patch_size, standardizer)
    noise = torch.randn(layout.mask.shape, generator=generator)
    return NetworkTokens(layout, noise * layout.mask)


@torch.no_grad()
def integrate(predict: DataPredictor, batch: TokenBatch, num_steps: int) -> TokenBatch:
    """Follow the flow from noise to data in Euler steps, the architecture being given."""
    grid = time_grid(num_steps)
    t_arch = batch.content.new_ones(len(batch.content))
    for t, t_next in pairwise(grid):
        clean = predict(batch, t_arch, torch.full_like(t_arch, t))
        content = euler_step(batch.content, clean, t, t_next)
        batch = batch._replace(content=content * batch.mask)
    return batch


class SampleRequest(NamedTuple):
    """One network to generate."""

    spec: MlpSpec  # trained on or not
    manner: Manner  # the branches that it shall be like; UNKNOWN_BRANCH: not said
    noise: torch.Generator  # of this network alone
    task: int = 0  # its index


def choose_branch(branches: range, generator: torch.Generator, k: int) -> int:
    """Return the branch of sample ``k`` of a shape: a random order of branches, again and again.

    So that every branch is equally likely for each sample, and samples of one shape differ as
    much as the zoo does.

    Args:
        branches: Rows of the branches that the generator tells apart in this task; none gives
            ``UNKNOWN_BRANCH``.
        generator: The same for all samples of the shape, and fresh.
        k: Index of the sample among those of its shape.
    """
    if not branches:
        return UNKNOWN_BRANCH
    order = torch.randperm(len(branches), generator=generator)
    return branches[int(order[k % len(branches)])]


def choose_manner(branches: range, generator: torch.Generator, k: int) -> Manner:
    """Return what sample ``k`` of a shape shall be like: a point between two branches.

    In the manner of one branch all samples of a shape are almost one network, and networks between
    branches are as good. The nearest branch is that of ``choose_branch``. The other one goes in
    turn through the rest of the same order, and its share, uniform within ``OTHER_SHARE``, moves
    by the golden section from sample to sample, so that samples keep apart.

    Let the distance between branches be 1, the same of all. Samples around different ones of ``n``
    branches are then at least ``1 - 0.2 n / (n - 1)`` apart on average: 0.6 for two branches, 0.75
    for four. Of 16 samples of four branches those around the same one are 0.21 apart on average,
    and no two less than 0.06.

    Args:
        branches: As for ``choose_branch``; of fewer than two there is nothing between.
        generator: The same for all samples of the shape, and fresh.
        k: Index of the sample among those of its shape.
    """
    count = len(branches)
    if count < 2:
        return choose_branch(branches, generator, k)
    order = torch.randperm(count, generator=generator).tolist()
    start = torch.rand((), generator=generator).item()
    low, high = OTHER_SHARE
    share = low + (high - low) * ((start + k * GOLDEN_SECTION) % 1)
    nearest, other = k, k + 1 + k // count % (count - 1)  # every two, both ways, before any again
    return {branches[order[nearest % count]]: 1 - share, branches[order[other % count]]: share}


def sample_networks(
    predict: DataPredictor,
    requests: Sequence[SampleRequest],
    patch_size: int,
    standardizer: Standardizer,
    *,
    num_steps: int,
    device: str = "cpu",
    tokens_per_batch: int | None = None,
) -> Iterator[tuple[int, Network]]:
    """Generate networks in batches of one padded length.

    A network does not depend on what is generated beside it: its random numbers are its own, and
    a batch that is not full is filled up, because matrix products of another size may round in
    another way.

    Args:
        predict: The trained transformer.
        requests: What to generate, of one task.
        patch_size: That of the training tokens.
        standardizer: That of the task in the training tokens.
        num_steps: Evaluations of the transformer for each batch.
        device: Where the transformer is.
        tokens_per_batch: Tokens in a batch, padding included; one long network may exceed it. By
            default what suits the device.

    Yields:
        Index into ``requests`` and the network, as batches finish.
    """
    drawn = [draw_noise(r.spec, patch_size, standardizer, r.noise) for r in requests]
    lengths = [padded_length(tokens.layout.num_tokens) for tokens in drawn]
    budget = tokens_per_batch or TOKENS_PER_BATCH[torch.device(device).type]
    for members in split_by_length(lengths, budget):
        chosen = [drawn[k] for k in members]
        missing = max(1, budget // lengths[members[0]]) - len(members)
        filled = [*members, *members[:1] * missing]
        noise = collate(
            chosen + chosen[:1] * missing,
            branches=[requests[k].manner for k in filled],
            tasks=[requests[k].task for k in filled],
        )
        content = integrate(predict, noise.to(device), num_steps).content.cpu()
        for k, tokens, clean in zip(members, chosen, content, strict=False):
            clean = clean[: tokens.layout.num_tokens]
            weights, biases = tokens_to_raw(tokens._replace(content=clean), patch_size)
            spec = requests[k].spec
            yield k, Network(spec.hidden_dims, join_layers(unpatchify(spec, weights, biases)))


def split_by_length(lengths: Sequence[int], tokens_per_batch: int) -> list[list[int]]:
    """Split items into batches of one length each, the shortest first, in order.

    Args:
        lengths: Padded tokens of each item.
        tokens_per_batch: Tokens that a batch may hold; one long item may exceed it.
    """
    batches: list[list[int]] = []
    for length in sorted(set(lengths)):
        members = [k for k, found in enumerate(lengths) if found == length]
        size = max(1, tokens_per_batch // length)
        batches += [members[start : start + size] for start in range(0, len(members), size)]
    return batches
