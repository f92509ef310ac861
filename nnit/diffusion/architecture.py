"""Absorbing diffusion over architecture tokens: train it, and generate architectures with it.

Tokens are masked and unmasked, one after the other in random order; the network predicts what is
under the mask (Austin et al. 2021, D3PM, arXiv:2107.03006; as an any-order autoregressive model,
Hoogeboom et al. 2022, arXiv:2110.02037). The depth comes first, because it says how many widths
there are; the weights come last, when the architecture is clean.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from nnit.diffusion.batch import TokenBatch, collate
from nnit.diffusion.transformer import DiffusionTransformer, TransformerConfig
from nnit.errors import UsageError, shorten
from nnit.mlp import Architecture, PolicyInterface, format_architecture
from nnit.patterns import ArchitectureBounds, PartialArchitecture, format_pattern
from nnit.tokens.sequence import NetworkTokens, architecture_layout

LENGTH_STEP = 8  # architecture sequences are short
IGNORED = -100  # target of tokens that are not masked: cross-entropy's own convention


class MaskedBatch(NamedTuple):
    """Architectures with masked tokens, and what is under the masks."""

    batch: TokenBatch
    t_arch: Tensor  # (B,) share of the tokens that is known
    targets: Tensor  # (B, S) int64 into the vocabulary, IGNORED elsewhere


class ArchitectureValues(NamedTuple):
    """What architecture tokens may be: the depths and widths of some training networks."""

    depths: tuple[int, ...]  # ascending, as are the widths
    widths: tuple[int, ...]


def values_of(architectures: Sequence[Architecture]) -> ArchitectureValues:
    """Return the depths and widths that occur."""
    return ArchitectureValues(
        tuple(sorted({len(widths) for widths in architectures})),
        tuple(sorted({width for widths in architectures for width in widths})),
    )


def arch_sequence(widths: PartialArchitecture | None, patch_size: int) -> NetworkTokens:
    """Return a sequence of architecture tokens alone, masked where ``widths`` has None."""
    layout = architecture_layout(widths, patch_size)
    return NetworkTokens(layout, torch.zeros(layout.mask.shape))


def mask_architecture(
    widths: Architecture, config: TransformerConfig, generator: torch.Generator
) -> tuple[PartialArchitecture | None, list[int], float]:
    """Mask an architecture at a random time of the absorbing diffusion.

    Each of the ``L + 1`` numbers of masked tokens is equally likely; the depth is masked only
    together with all widths.

    Returns:
        What is left, the target of each token of that sequence, and the share that is known.
    """
    num_tokens = len(widths) + 1
    num_masked = 1 + int(torch.randint(num_tokens, (), generator=generator))
    if num_masked == num_tokens:
        return None, [config.arch_depths.index(len(widths))], 0.0
    masked = set(torch.randperm(len(widths), generator=generator)[:num_masked].tolist())
    left = tuple(None if k in masked else width for k, width in enumerate(widths))
    first_width = len(config.arch_depths)
    targets = [
        first_width + config.arch_widths.index(width) if k in masked else IGNORED
        for k, width in enumerate(widths)
    ]
    return left, [IGNORED, *targets], 1 - num_masked / num_tokens


def mask_batch(
    architectures: list[Architecture],
    config: TransformerConfig,
    generator: torch.Generator,
    *,
    tasks: Sequence[int] | None = None,
) -> MaskedBatch:
    """Mask architectures, each at a time of its own; by default all are of the first task."""
    parts = [mask_architecture(widths, config, generator) for widths in architectures]
    sequences = [arch_sequence(left, config.patch_size) for left, _, _ in parts]
    batch = collate(sequences, tasks=tasks, length_step=LENGTH_STEP)
    targets = torch.full(batch.real.shape, IGNORED)
    for row, (_, wanted, _) in enumerate(parts):
        targets[row, : len(wanted)] = torch.tensor(wanted)
    return MaskedBatch(batch, torch.tensor([known for _, _, known in parts]), targets)


def architecture_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of masked tokens ``(B, S, V)``, averaged over tokens, then networks."""
    losses = F.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none"
    ).view(targets.shape)
    masked = targets != IGNORED
    return (losses.sum(1) / masked.sum(1)).mean()


@torch.no_grad()
def generate_architecture(
    model: DiffusionTransformer,
    pattern: PartialArchitecture | None,
    bounds: ArchitectureBounds,
    interface: PolicyInterface,
    generator: torch.Generator,
    *,
    task: int = 0,
    values: ArchitectureValues | None = None,
) -> Architecture:
    """Generate the masked tokens of an architecture, within bounds, exactly.

    A value is only drawn where the tokens that are still masked can be completed within the
    bounds, so that no draw is ever thrown away.

    Args:
        model: The trained transformer.
        pattern: Hidden widths, None where one shall be generated; None to generate the depth too.
        bounds: What may be generated.
        interface: Observation and action sizes.
        generator: Of this network alone.
        task: Index of the task.
        values: The depths and widths of the task's training networks; by default those of all.

    Raises:
        UsageError: nothing that may be generated is within the bounds.
    """
    config = model.config
    values = values or ArchitectureValues(config.arch_depths, config.arch_widths)
    if pattern is None:
        allowed = [
            depth
            for depth in values.depths
            if smallest(values, (None,) * depth, bounds, interface) is not None
        ]
        if not allowed:
            raise UsageError(refusal(values, None, bounds, interface))
        logits = predict_token(model, None, 0, task)[: len(config.arch_depths)]
        # Training hides all of an architecture once in L + 1 times, the deep ones more seldom.
        logits = logits + torch.tensor([depth + 1.0 for depth in config.arch_depths]).log()
        depth = draw(logits, [config.arch_depths.index(d) for d in allowed], generator)
        pattern = (None,) * config.arch_depths[depth]
    elif smallest(values, pattern, bounds, interface) is None:
        raise UsageError(refusal(values, pattern, bounds, interface))
    open_places = [k for k, width in enumerate(pattern) if width is None]
    order = torch.randperm(len(open_places), generator=generator).tolist()
    for place in (open_places[k] for k in order):
        fitting = [
            config.arch_widths.index(width)
            for width in values.widths
            if smallest(values, replace(pattern, place, width), bounds, interface) is not None
        ]
        logits = predict_token(model, pattern, 1 + place, task)[len(config.arch_depths) :]
        pattern = replace(pattern, place, config.arch_widths[draw(logits, fitting, generator)])
    return tuple(width for width in pattern if width is not None)


def replace(pattern: PartialArchitecture, place: int, width: int | None) -> PartialArchitecture:
    """Return the pattern with another width at ``place``."""
    return (*pattern[:place], width, *pattern[place + 1 :])


def smallest(
    values: ArchitectureValues,
    pattern: PartialArchitecture,
    bounds: ArchitectureBounds,
    interface: PolicyInterface,
) -> Architecture | None:
    """Complete a pattern with the smallest widths; None where even that is out of bounds."""
    widths = tuple(min(values.widths) if width is None else width for width in pattern)
    return widths if bounds.admit(interface.spec(widths)) else None


def predict_token(
    model: DiffusionTransformer, pattern: PartialArchitecture | None, place: int, task: int
) -> Tensor:
    """Return the logits ``(V,)`` of one masked token of a task's network."""
    sequence = arch_sequence(pattern, model.config.patch_size)
    batch = collate([sequence], tasks=[task], length_step=LENGTH_STEP)
    batch = batch.to(str(model.arch_out.weight.device))
    num_masked = 1 if pattern is None else sum(width is None for width in pattern)
    known = 0.0 if pattern is None else 1 - num_masked / (len(pattern) + 1)
    t_arch = torch.full((1,), known, device=batch.content.device)
    return model.architecture_logits(batch, t_arch)[0, place].cpu()


def draw(logits: Tensor, allowed: list[int], generator: torch.Generator) -> int:
    """Draw one of the allowed indices with the probabilities of the logits ``(V,)``."""
    chances = logits[allowed].double().softmax(dim=0)
    return allowed[int(torch.multinomial(chances, 1, generator=generator))]


def refusal(
    values: ArchitectureValues,
    pattern: PartialArchitecture | None,
    bounds: ArchitectureBounds,
    interface: PolicyInterface,
) -> str:
    """Say that nothing is within bounds, and what there is."""
    named = "" if pattern is None else f"--arch {shorten(format_pattern(pattern))}: "
    depths = values.depths if pattern is None else (len(pattern),)
    line = f"{named}no architecture is within {describe(bounds)}"
    if bounds.depth is not None and bounds.depth not in depths:
        return f"{line}; hidden layers may be {', '.join(map(str, depths))}"
    layers = min(depths) if bounds.depth is None else bounds.depth
    widths = smallest(values, pattern or (None,) * layers, ArchitectureBounds(), interface)
    assert widths is not None
    spec = interface.spec(widths)
    return (
        f"{line}; the smallest, {shorten(format_architecture(widths))}, has {spec.num_parameters} "
        f"parameters and {spec.num_macs} MACs"
    )


def describe(bounds: ArchitectureBounds) -> str:
    """Say the bounds as the command line does."""
    flags = {
        "--max-params": bounds.max_params,
        "--max-macs": bounds.max_macs,
        "--depth": bounds.depth,
    }
    return " ".join(f"{flag} {value}" for flag, value in flags.items() if value is not None)
