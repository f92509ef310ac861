"""Unit variance for weights of every role, and back.

Weights are first divided by ``sqrt(2 / fan_in)``, so that the width of a layer does not show in
the size of its patches; then mean and standard deviation of the layer's role are removed.
"""

import math
from typing import NamedTuple

import numpy as np

from nnit.mlp import LayerShape, split_layers
from nnit.tokens.token_set import ROLES, Standardizer
from nnit.zoo.members import ModelZoo

FLOOR = 1e-6  # of a standard deviation, for a zoo whose biases are all alike


class Affine(NamedTuple):
    """``standardised = (raw - shift) / scale`` of one layer's weights or bias."""

    shift: float
    scale: float


class LayerAffine(NamedTuple):
    """The affine maps of one layer."""

    weight: Affine
    bias: Affine


def role_index(layer_index: int, num_layers: int) -> int:
    """Return the index into ``ROLES`` of a layer; the last layer is never the first."""
    if layer_index == num_layers - 1:
        return ROLES.index("last")
    return ROLES.index("first" if layer_index == 0 else "middle")


def layer_affine(standardizer: Standardizer, shape: LayerShape, role: int) -> LayerAffine:
    """Return the affine maps of a layer of this shape and role."""
    fan_in_scale = math.sqrt(2 / shape.fan_in)
    return LayerAffine(
        Affine(
            standardizer.weight_mean[role] * fan_in_scale,
            standardizer.weight_std[role] * fan_in_scale,
        ),
        Affine(standardizer.bias_mean[role], standardizer.bias_std[role]),
    )


def fit_standardizer(zoo: ModelZoo) -> Standardizer:
    """Fit mean and standard deviation per role, every training layer weighing the same.

    Raises:
        ValueError: the zoo has no network of split ``train``.
    """
    moments = np.zeros((2, len(ROLES), 3))  # (weight or bias, role, (count, sum, sum of squares))
    for k, member in enumerate(zoo.members):
        if member.split != "train":
            continue
        layers = split_layers(zoo.spec(k), zoo.network(k).weights)
        for index, layer in enumerate(layers):
            role = role_index(index, len(layers))
            field = layer.weight / math.sqrt(2 / layer.weight.shape[1])
            for part, values in enumerate((field, layer.bias)):
                values = values.astype(np.float64)
                moments[part, role] += (1, values.mean(), np.square(values).mean())
    count = moments[..., 0]
    if not count[0, ROLES.index("last")]:
        raise ValueError("no network of split 'train' to fit the statistics on")
    mean = moments[..., 1] / np.maximum(count, 1)
    variance = moments[..., 2] / np.maximum(count, 1) - mean**2
    # A zoo of one-layer networks has no middle layer: leave its weights as they are.
    std = np.where(count > 0, np.sqrt(np.maximum(variance, FLOOR**2)), 1.0)
    return Standardizer(*(tuple(map(float, row)) for row in (mean[0], std[0], mean[1], std[1])))
