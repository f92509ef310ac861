"""Grow a network in width and depth without changing its function.

Source: Chen et al. 2016, "Net2Net: Accelerating Learning via Knowledge Transfer"
(arXiv:1511.05641): Net2WiderNet, with copies in order instead of drawn ones, and Net2DeeperNet.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from nnit.mlp import (
    Architecture,
    LayerWeights,
    MlpSpec,
    Network,
    join_layers,
    split_layers,
)


class Growth(NamedTuple):
    """How an architecture comes out of a smaller one."""

    core: Architecture  # the smaller one
    lengths: tuple[int, ...]  # hidden layers that each of its hidden layers becomes


def plan_growth(wanted: Architecture, widest: int, deepest: int) -> Growth:
    """Find the largest core of an architecture that is within bounds.

    The wanted hidden layers are split into as many runs as the core may have layers. The first
    layer of a run does what the core's layer does, and the others pass its units on, so that the
    core's layer is as wide as the narrowest of its run. Of all ways to split, the one with the
    largest product of widths is taken.

    Args:
        wanted: Hidden widths to grow to; the core itself where it is within bounds.
        widest: Largest width of the core.
        deepest: Most hidden layers of the core.
    """
    capped = tuple(min(width, widest) for width in wanted)
    runs = list(pairwise((0, *_best_ends(capped, min(len(capped), deepest)))))
    return Growth(
        tuple(min(capped[start:end]) for start, end in runs),
        tuple(end - start for start, end in runs),
    )


def _best_ends(widths: Architecture, runs: int) -> list[int]:
    """Return where the runs end in the split with the largest product of their narrowest widths.

    ``best[start]`` is the logarithm of that product for the layers from ``start`` on, first in
    one run, then in two, and so on.
    """
    depth, logs = len(widths), np.array([math.log(width) for width in widths])
    narrowest = [np.minimum.accumulate(logs[start:]) for start in range(depth)]
    best = np.array([run[-1] for run in narrowest])
    choices: list[np.ndarray] = []  # the end of the first run, by start; the last split first
    for rest in range(1, runs):
        # With `rest` runs behind it, the first run leaves a layer for each of them.
        scores, ends = np.full(depth, -np.inf), np.zeros(depth, np.int64)
        for start in range(depth - rest):
            options = narrowest[start][: depth - rest - start] + best[start + 1 : depth - rest + 1]
            ends[start] = start + 1 + options.argmax()
            scores[start] = options.max()
        best = scores
        choices.append(ends)
    chosen, start = [], 0
    for ends in reversed(choices):
        start = int(ends[start])
        chosen.append(start)
    return [*chosen, depth]


def grow(layers: list[LayerWeights], wanted: Architecture, growth: Growth) -> list[LayerWeights]:
    """Grow a network of the core's architecture; what it computes stays the same up to rounding.

    Args:
        layers: A ReLU MLP with the hidden widths ``growth.core``.
        wanted: The architecture that ``growth`` was planned for.
        growth: What becomes of each hidden layer.
    """
    return widen(deepen(layers, growth.lengths), wanted)


def grow_network(network: Network, spec: MlpSpec, growth: Growth) -> Network:
    """Grow a network to the shape that is wanted, if it is of another; its function stays.

    Args:
        network: Of the core's shape, or of the wanted one.
        spec: What is wanted.
        growth: How it comes out of the core.
    """
    if network.hidden_dims == spec.hidden_dims:
        return network
    core = split_layers(replace(spec, hidden_dims=network.hidden_dims), network.weights)
    return Network(spec.hidden_dims, join_layers(grow(core, spec.hidden_dims, growth)))


def deepen(layers: list[LayerWeights], lengths: Sequence[int]) -> list[LayerWeights]:
    """Put identities behind hidden layers, which ReLU passes: its input has been through ReLU.

    Args:
        layers: A ReLU MLP.
        lengths: Hidden layers that each of its hidden layers becomes, at least 1.
    """
    deeper: list[LayerWeights] = []
    for layer, length in zip(layers[:-1], lengths, strict=True):
        width = layer.bias.size
        same = LayerWeights(np.eye(width, dtype=np.float32), np.zeros(width, np.float32))
        deeper += [layer, *[same] * (length - 1)]
    return [*deeper, layers[-1]]


def widen(layers: list[LayerWeights], wanted: Architecture) -> list[LayerWeights]:
    """Widen hidden layers.

    A new unit is a copy of an old one, the first ones first, and what follows divides the weight
    of a unit evenly among its copies. So no unit is dead, as it would be with zeros.

    Args:
        layers: A ReLU MLP.
        wanted: Its new hidden widths, none below the old one.

    Raises:
        ValueError: another depth, or a width below the old one.
    """
    widths = tuple(layer.bias.size for layer in layers[:-1])
    narrower = any(new < old for old, new in zip(widths, wanted, strict=False))
    if len(widths) != len(wanted) or narrower:
        raise ValueError(f"{widths} cannot be widened to {tuple(wanted)}")
    sources = np.arange(layers[0].weight.shape[1])  # the old unit of each unit before the layer
    copies = np.ones(len(sources), np.float32)
    widened = []
    for layer, width in zip(layers, (*wanted, layers[-1].bias.size), strict=True):
        weight = layer.weight[:, sources] / copies[sources]
        sources = np.arange(width) % layer.bias.size
        copies = np.bincount(sources).astype(np.float32)
        widened.append(LayerWeights(weight[sources], layer.bias[sources]))
    return widened
