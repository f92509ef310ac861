"""Grow the hidden layers of a network without changing its function."""

import numpy as np

from nnit.mlp import Architecture, LayerWeights


def widen(layers: list[LayerWeights], wanted: Architecture) -> list[LayerWeights]:
    """Widen hidden layers; what the network computes stays the same up to rounding.

    A new unit is a copy of an old one, the first ones first, and what follows divides the weight
    of a unit evenly among its copies. So no unit is dead, as it would be with zeros.

    Args:
        layers: A ReLU MLP.
        wanted: Its new hidden widths, none below the old one.

    Raises:
        ValueError: another depth, or a width below the old one.

    Source: Chen et al. 2016, "Net2Net: Accelerating Learning via Knowledge Transfer"
    (arXiv:1511.05641), Net2WiderNet with copies in order instead of drawn ones.
    """
    widths = tuple(layer.bias.size for layer in layers[:-1])
    if len(widths) != len(wanted) or any(
        new < old for new, old in zip(wanted, widths, strict=True)
    ):
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
