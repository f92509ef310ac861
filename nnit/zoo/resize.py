"""Make a trained network fit another architecture without training.

Hidden layers of the two architectures are matched in order, at the least distance, so that every
layer of the shallower one has a partner. A matched layer is cropped or zero-padded to its new
width; a layer too few is inserted as an identity, which ReLU passes because its input has been
through ReLU; a layer too many is dropped. Where nothing is
cropped or dropped, the function of the network stays exactly as it was (Chen et al. 2016,
"Net2Net", arXiv:1511.05641).
"""

import math
from typing import NamedTuple

import numpy as np

from nnit.mlp import (
    Architecture,
    LayerWeights,
    Network,
    PolicyInterface,
    join_layers,
    split_layers,
)

# Of a layer too few or too many, in octaves of width. Averages of an aligned zoo were best with 4,
# of 1, 2 and 4; a single nearest network was as good with 2.
LAYER_PENALTY = 4.0

Matches = tuple[int | None, ...]  # for each wanted layer its source layer, None where inserted


class Matching(NamedTuple):
    """How the hidden layers of a source serve a wanted architecture."""

    sources: Matches
    distance: float  # octaves: sum of |log2| of the ratios of widths, and penalties


def match_layers(source: Architecture, wanted: Architecture) -> Matching:
    """Match hidden layers in order at the least distance, by dynamic programming.

    Every layer of the shallower architecture has a partner: dropping one layer and inserting
    another would lose what the dropped one does. The first layers are always partners: an
    identity passes only what is not negative, and observations may be.
    """
    best = {(0, 0): Matching((0,), _octaves(source[0], wanted[0]))}
    for s in range(len(source)):
        for w in range(len(wanted)):
            if (s, w) == (0, 0):
                continue
            options = []
            if (s, w - 1) in best and len(source) < len(wanted):  # one too few: inserted
                before = best[s, w - 1]
                # An identity that is narrower than what it has to pass crops it.
                cost = LAYER_PENALTY + max(0.0, math.log2(source[s] / wanted[w]))
                options.append(Matching((*before.sources, None), before.distance + cost))
            if (s - 1, w) in best and len(source) > len(wanted):  # one too many: dropped
                before = best[s - 1, w]
                options.append(before._replace(distance=before.distance + LAYER_PENALTY))
            if (s - 1, w - 1) in best:
                before = best[s - 1, w - 1]
                distance = before.distance + _octaves(source[s], wanted[w])
                options.append(Matching((*before.sources, s), distance))
            if options:
                best[s, w] = min(options, key=lambda matching: matching.distance)
    return best[len(source) - 1, len(wanted) - 1]


def _octaves(one: int, other: int) -> float:
    return abs(math.log2(one / other))


def resize(network: Network, wanted: Architecture, interface: PolicyInterface) -> Network:
    """Crop and pad a network to another architecture; the function is kept where it can be.

    Weights stay as they are, and what is new is zero. Cropped layers are not scaled up for the
    inputs that they lose: on aligned networks ``sqrt(old / new)`` made the cloning loss worse.
    """
    if tuple(wanted) == network.hidden_dims:
        return network
    layers = split_layers(interface.spec(network.hidden_dims), network.weights)
    sources = match_layers(network.hidden_dims, wanted).sources
    resized, fan_in = [], interface.obs_dim
    for source, width in zip(sources, wanted, strict=True):
        resized.append(
            _identity(width, fan_in) if source is None else _fit(layers[source], width, fan_in)
        )
        fan_in = width
    resized.append(_fit(layers[-1], interface.act_dim, fan_in))
    return Network(tuple(wanted), join_layers(resized))


def _identity(fan_out: int, fan_in: int) -> LayerWeights:
    """Return a layer that passes as many inputs as it has room for."""
    return LayerWeights(np.eye(fan_out, fan_in, dtype=np.float32), np.zeros(fan_out, np.float32))


def _fit(layer: LayerWeights, fan_out: int, fan_in: int) -> LayerWeights:
    """Crop and pad one layer."""
    rows, columns = min(fan_out, layer.bias.size), min(fan_in, layer.weight.shape[1])
    weight, bias = np.zeros((fan_out, fan_in), np.float32), np.zeros(fan_out, np.float32)
    weight[:rows, :columns] = layer.weight[:rows, :columns]
    bias[:rows] = layer.bias[:rows]
    return LayerWeights(weight, bias)
