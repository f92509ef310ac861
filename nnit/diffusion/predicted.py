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
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from nnit.cloning import CloningData, LayerTensors, Transitions, run_mlp
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


def predicted_networks(
    predicted: Tensor, layouts: Sequence[SequenceLayout], specs: Sequence[MlpSpec]
) -> list[list[LayerTensors]]:
    """Return the networks of a batch of predicted content; gradients flow through.

    Args:
        predicted: Standardised content ``(B, S, C)``.
        layouts: That of each network, of at most S tokens.
        specs: The shape of each.
    """
    shift, scale = (
        pad_sequence([getattr(layout, name) for layout in layouts], batch_first=True)
        for name in ("shift", "scale")
    )
    raw = predicted[:, : shift.shape[1]] * scale.to(predicted) + shift.to(predicted)
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
    members: Sequence[int],
    layouts: Sequence[SequenceLayout],
    cloning: PredictedCloning,
    transitions: Sequence[Transitions | None],
) -> HeldLosses | None:
    """Hold a batch of predicted content to demonstrations; None where none of it has any.

    Args:
        predicted: Standardised content ``(B, S, C)``.
        members: Which training network each should be.
        layouts: That of each.
        cloning: The demonstrations.
        transitions: What was drawn for each.
    """
    data = {i: found for i, k in enumerate(members) if (found := cloning.data[k]) is not None}
    if not data:
        return None
    chosen = [members[i] for i in data]
    drawn = [found for found in transitions if found is not None]
    networks = predicted_networks(
        predicted[list(data)], [layouts[i] for i in data], [cloning.specs[k] for k in chosen]
    )
    losses = predicted_losses(networks, list(data.values()), drawn)
    share = cloning.share * len(data) / len(members)
    return HeldLosses(losses, share * relative_loss(losses, cloning.losses[chosen].to(losses)))
