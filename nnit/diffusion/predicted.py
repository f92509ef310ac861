"""The networks that the transformer predicts, and how well they clone demonstrations.

A squared error of weights says little of what a network does: one that is small beside the spread
of a layer's weights need not be small in its outputs. The predicted networks themselves may be held
to the demonstrations, as those of a hypernetwork are; the error of weights then says which of the
many networks that act alike is meant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from nnit.cloning import CloningData, LayerTensors, Transitions, run_mlp
from nnit.diffusion.batch import TokenBatch
from nnit.mlp import MlpSpec
from nnit.tokens.patches import count_patches, join_bias, join_matrix, patch_grid
from nnit.tokens.sequence import SequenceLayout, patch_size_of

LEAST_LOSS = 1e-6  # that a training network is taken to have


@dataclass(frozen=True)
class PredictedCloning:
    """How the predictions of N training networks are held to demonstrations."""

    data: tuple[CloningData | None, ...]  # for each; None: its weights are all that matters
    specs: tuple[MlpSpec, ...]  # the shape of each
    losses: Tensor  # (N,) the cloning loss of each
    share: float  # weight of the relative loss beside the error of weights
    batch_size: int  # transitions for each network


class HeldLosses(NamedTuple):
    """What holding a batch to demonstrations gives."""

    losses: Tensor  # the cloning loss of each network that has demonstrations
    minimised: Tensor  # what is added to the error of weights


def raw_content(predicted: Tensor, layouts: Sequence[SequenceLayout]) -> Tensor:
    """Return weights ``(B, S, C)``, not standardised, of predicted content; gradients flow through.

    Args:
        predicted: Standardised content of B networks, padded.
        layouts: That of each.
    """
    shift, scale = (
        pad_sequence([getattr(layout, name) for layout in layouts], batch_first=True)
        for name in ("shift", "scale")
    )
    missing = predicted.shape[1] - shift.shape[1]
    shift, scale = (F.pad(part, (0, 0, 0, missing)) for part in (shift, scale))
    return predicted * scale.to(predicted) + shift.to(predicted)


def predicted_networks(
    predicted: Tensor, layouts: Sequence[SequenceLayout], specs: Sequence[MlpSpec]
) -> list[list[LayerTensors]]:
    """Return the networks of a batch of predicted content; gradients flow through.

    Args:
        predicted: Standardised content ``(B, S, C)``.
        layouts: That of each network, of at most S tokens.
        specs: The shape of each.
    """
    raw = raw_content(predicted, layouts)
    return [layers_of(spec, content) for spec, content in zip(specs, raw, strict=True)]


def layers_of(spec: MlpSpec, content: Tensor) -> list[LayerTensors]:
    """Join the patches of a sequence ``(S, C)``, not standardised, to layers."""
    patch_size = patch_size_of(content.shape[-1])
    num_weights, num_biases = count_patches(spec, patch_size)
    first = 1 + len(spec.hidden_dims)  # architecture tokens come before
    weights, biases = content[first : first + num_weights + num_biases].split(
        [num_weights, num_biases]
    )
    grids = [patch_grid(shape, patch_size) for shape in spec.layers]
    matrices = weights[:, : patch_size**2].unflatten(-1, (patch_size, patch_size))
    of_layers = zip(
        spec.layers,
        matrices.split([grid.num_weight_patches for grid in grids]),
        biases[:, patch_size**2 :].split([grid.rows for grid in grids]),
        strict=True,
    )
    return [
        LayerTensors(join_matrix(weight, shape), join_bias(bias, shape))
        for shape, weight, bias in of_layers
    ]


def predicted_losses(
    networks: Sequence[list[LayerTensors]],
    data: Sequence[CloningData],
    transitions: Sequence[Transitions],
) -> Tensor:
    """Return the cloning loss ``(B,)`` of each of B networks on transitions of its own task."""
    return torch.stack(
        [
            of_one.loss(run_mlp(layers, drawn.observations), drawn.rows)
            for layers, of_one, drawn in zip(networks, data, transitions, strict=True)
        ]
    )


def stacked_losses(
    raw: Tensor,
    clean: TokenBatch,
    specs: Sequence[MlpSpec],
    data: CloningData,
    transitions: Sequence[Transitions],
) -> Tensor:
    """Do what ``predicted_losses`` does for networks of one task, all at once: few calls of a GPU.

    All layers of all networks lie in one tensor, padded with zeros. Where others have more layers,
    a network has identities before its last one: what a ReLU gave passes another unchanged.

    Args:
        raw: Weights of B networks ``(B, S, C)``.
        clean: Says of which layer, row and column a patch is.
        specs: The shape of each.
        data: The demonstrations.
        transitions: Of each.
    """
    patch = patch_size_of(raw.shape[-1])
    depth = max(len(spec.layers) for spec in specs)
    side = max(-(-size // patch) for spec in specs for shape in spec.layers for size in shape)
    ends = torch.tensor([len(spec.layers) - 1 for spec in specs]).to(raw.device)
    layer = torch.where(clean.layer == ends[:, None], depth - 1, clean.layer)
    network = torch.arange(len(specs), device=raw.device)[:, None]
    row = ((network * depth + layer) * side + clean.cell[..., 0]).flatten()
    content = (raw * clean.mask).flatten(0, 1)
    count = len(specs) * depth * side
    # Tokens that are no patch have zeros, and add these to the first place.
    bias = raw.new_zeros(count, patch).index_add(0, row, content[:, patch**2 :])
    weight = raw.new_zeros(count * side, patch**2).index_add(
        0, row * side + clean.cell[..., 1].flatten(), content[:, : patch**2]
    )
    weight = rearrange(
        weight, "(B L R C) (p q) -> L B (C q) (R p)", B=len(specs), R=side, C=side, p=patch
    )
    bias = rearrange(bias, "(B L R) p -> L B 1 (R p)", B=len(specs), R=side)
    identity = torch.eye(side * patch, device=raw.device)
    x = torch.stack([drawn.observations for drawn in transitions])
    x = F.pad(x, (0, side * patch - x.shape[-1]))
    for k in range(depth):
        passes = ((ends <= k) & (k < depth - 1)).to(raw)[:, None, None]
        x = torch.baddbmm(bias[k], x, weight[k] + passes * identity)
        x = x.relu() if k < depth - 1 else x
    rows = torch.stack([drawn.rows for drawn in transitions])
    outputs = x[..., : specs[0].act_dim]
    return data.errors(outputs, rows).flatten(1).mean(dim=1)


def relative_loss(losses: Tensor, own: Tensor) -> Tensor:
    """Return the mean of ``log(1 + loss / own)`` of predicted networks.

    Far above the loss of the training network that was to be predicted, the gradient is relative to
    the loss itself: a small network, whose loss is large at its best, weighs no more than another,
    nor does a task with large losses. Far below, it fades, and the error of weights decides.

    Args:
        losses: Of the predicted networks ``(B,)``.
        own: Of the training networks that they should be ``(B,)``.
    """
    return (losses / own.clamp(min=LEAST_LOSS)).log1p().mean()


def held_losses(
    predicted: Tensor,
    clean: TokenBatch,
    members: Sequence[int],
    layouts: Sequence[SequenceLayout],
    cloning: PredictedCloning,
    transitions: Sequence[Transitions | None],
) -> HeldLosses | None:
    """Hold a batch of predicted content to demonstrations; None where none of it has any.

    Args:
        predicted: Standardised content ``(B, S, C)``.
        clean: The training networks that it should be.
        members: Which ones these are.
        layouts: That of each.
        cloning: The demonstrations.
        transitions: What was drawn for each.
    """
    held = [
        Held(i, k, data, drawn)
        for i, (k, drawn) in enumerate(zip(members, transitions, strict=True))
        if (data := cloning.data[k]) is not None and drawn is not None
    ]
    if not held:
        return None
    places = [one.place for one in held]
    if predicted.is_cuda:
        raw = raw_content(predicted, layouts)
        losses = losses_by_task(raw, clean, held, cloning)
    else:
        networks = predicted_networks(
            predicted[places],
            [layouts[place] for place in places],
            [cloning.specs[one.network] for one in held],
        )
        data, drawn = [one.data for one in held], [one.drawn for one in held]
        losses = predicted_losses(networks, data, drawn)
    share = cloning.share * len(held) / len(members)
    own = cloning.losses[[one.network for one in held]].to(losses)
    return HeldLosses(losses, share * relative_loss(losses, own))


class Held(NamedTuple):
    """A network of a batch that has demonstrations."""

    place: int  # in the batch
    network: int  # among all
    data: CloningData
    drawn: Transitions


def losses_by_task(
    raw: Tensor, clean: TokenBatch, held: Sequence[Held], cloning: PredictedCloning
) -> Tensor:
    """Return the cloning loss of each network that is held, those of a task together."""
    losses: list[Tensor] = [raw.new_zeros(())] * len(held)
    for data in {id(one.data): one.data for one in held}.values():
        mine = [k for k, one in enumerate(held) if one.data is data]
        places = torch.tensor([held[k].place for k in mine]).to(raw.device)
        found = stacked_losses(
            raw[places],
            TokenBatch(*(tensor[places] for tensor in clean)),
            [cloning.specs[held[k].network] for k in mine],
            data,
            [held[k].drawn for k in mine],
        )
        for k, loss in zip(mine, found, strict=True):
            losses[k] = loss
    return torch.stack(losses)
