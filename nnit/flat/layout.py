"""Networks of all shapes as vectors of one length, padded with zeros to the largest shape.

Every layer has a slot of the largest size: the first layer, ``deepest - 1`` middle ones, the last.
A layer lies in the top-left corner of its slot; slots of middle layers that a network lacks are
empty. The order of entries is the flat order of ``nnit.mlp``, of the largest network. A network
that is wider or deeper than the largest has no place in such a vector.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nnit.features import slow_features
from nnit.mlp import Architecture, LayerWeights, MlpSpec, Network, join_layers, split_layers
from nnit.tokens.standardizer import layer_affine, role_index
from nnit.tokens.token_set import Standardizer

BIAS_SHARE = 0.2  # of a layer's loss; its weights have the rest, as in the transformer's loss
WIDTH_PERIODS = (4.0, 8.0, 16.0)  # octaves
SLOT_FEATURES = 2 + 2 * len(WIDTH_PERIODS)  # of a hidden layer: its width, and whether it is there


class FlatNetwork(NamedTuple):
    """One network as a padded vector."""

    values: np.ndarray  # (P,) float32, standardised, 0 where there is no weight
    loss_weights: np.ndarray  # (P,) float32, 0 there; they sum to 1


def largest_spec(obs_dim: int, act_dim: int, widest: int, deepest: int) -> MlpSpec:
    """Return the shape whose flat vector has room for every network."""
    return MlpSpec(obs_dim, act_dim, (widest,) * deepest)


def has_room(largest: MlpSpec, hidden_dims: Architecture) -> bool:
    """Whether a network of this architecture fits into the padded vector."""
    return len(hidden_dims) <= largest.depth and max(hidden_dims) <= largest.hidden_dims[0]


def slot_of(layer: int, num_layers: int, largest: MlpSpec) -> int:
    """Return the slot of a layer: the last layer's is always the last."""
    return largest.depth if layer == num_layers - 1 else layer


def pack(largest: MlpSpec, layers: list[LayerWeights]) -> np.ndarray:
    """Lay the layers of a network into a padded vector ``(P,)``."""
    vector = np.zeros(largest.num_parameters, np.float32)
    slots = split_layers(largest, vector)
    for index, layer in enumerate(layers):
        slot = slots[slot_of(index, len(layers), largest)]
        fan_out, fan_in = layer.weight.shape
        slot.weight[:fan_out, :fan_in] = layer.weight
        slot.bias[:fan_out] = layer.bias
    return vector


def unpack(largest: MlpSpec, spec: MlpSpec, vector: np.ndarray) -> list[LayerWeights]:
    """Inverse of ``pack``: views of what a network of shape ``spec`` has in the vector."""
    slots = split_layers(largest, vector)
    return [
        LayerWeights(slot.weight[:fan_out, :fan_in], slot.bias[:fan_out])
        for index, (fan_out, fan_in) in enumerate(spec.layers)
        for slot in [slots[slot_of(index, len(spec.layers), largest)]]
    ]


def flatten(
    largest: MlpSpec, spec: MlpSpec, network: Network, standardizer: Standardizer
) -> FlatNetwork:
    """Standardise a network and pad it; every layer weighs the same in the loss."""
    count = len(spec.layers)
    values, weights = [], []
    for index, layer in enumerate(split_layers(spec, network.weights)):
        affine = layer_affine(standardizer, spec.layers[index], role_index(index, count))
        pairs = zip(layer, affine, strict=True)
        values.append(LayerWeights(*((part - a.shift) / a.scale for part, a in pairs)))
        shares = zip(layer, (1 - BIAS_SHARE, BIAS_SHARE), strict=True)
        weights.append(
            LayerWeights(*(np.full(p.shape, share / p.size / count) for p, share in shares))
        )
    return FlatNetwork(pack(largest, values), pack(largest, weights))


def unflatten(
    largest: MlpSpec, spec: MlpSpec, values: np.ndarray, standardizer: Standardizer
) -> Network:
    """Inverse of ``flatten`` up to rounding."""
    layers = []
    for index, layer in enumerate(unpack(largest, spec, values)):
        affine = layer_affine(standardizer, spec.layers[index], role_index(index, len(spec.layers)))
        pairs = zip(layer, affine, strict=True)
        layers.append(LayerWeights(*((part * a.scale + a.shift) for part, a in pairs)))
    return Network(spec.hidden_dims, join_layers(layers).astype(np.float32))


def condition_features(hidden_dims: Architecture, deepest: int) -> Tensor:
    """Describe an architecture by the width in each slot: ``(deepest * SLOT_FEATURES,)``."""
    widths = torch.ones(deepest)
    widths[: len(hidden_dims)] = torch.tensor(hidden_dims, dtype=torch.float32)
    there = (torch.arange(deepest) < len(hidden_dims)).float()[:, None]
    return torch.cat([slow_features(widths, WIDTH_PERIODS) * there, there], dim=-1).flatten()
