"""Whether neighbouring weights are alike: autocorrelation of weight matrices.

Along ``output units`` means from row to row of ``(fan_out, fan_in)``, along ``input units`` from
column to column. The control is the same network with its hidden units in random order: the same
function and the same numbers, without what their order says.
"""

from typing import NamedTuple

import numpy as np
from einops import reduce

from nnit.mlp import LayerWeights, permute_hidden
from nnit.tokens.standardizer import role_index
from nnit.tokens.token_set import ROLES

LAGS = (1, 2, 4, 8)
BLOCK = 4  # side of a block: the CNN decoder shuffles its pixels in blocks of 4 x 4
AXES = ("output units", "input units")


class Spot(NamedTuple):
    """Where and at what distance autocorrelation is measured."""

    role: str  # "first", "middle", "last"
    axis: str  # one of AXES
    block: int  # side of the blocks whose means are compared; 1: the weights themselves
    lag: int  # in blocks


def autocorrelation(field: np.ndarray, axis: int, lag: int) -> float | None:
    """Return the correlation of entries that are ``lag`` apart along an axis of a matrix.

    None where the matrix is too small, or constant.
    """
    moved = np.moveaxis(field, axis, 0)
    if len(moved) <= lag:
        return None
    here, there = moved[lag:].reshape(-1), moved[:-lag].reshape(-1)
    here, there = here - here.mean(), there - there.mean()
    size = np.linalg.norm(here) * np.linalg.norm(there)
    return float(here @ there / size) if size > 0 else None


def block_means(field: np.ndarray, side: int) -> np.ndarray:
    """Return the means of ``side x side`` blocks; what does not fill a block is left out."""
    rows, columns = (size - size % side for size in field.shape)
    cropped = field[:rows, :columns]
    return reduce(cropped, "(r a) (c b) -> r c", "mean", a=side, b=side)


def network_smoothness(layers: list[LayerWeights]) -> dict[Spot, float]:
    """Return all autocorrelations of a network, the mean over its layers of a role."""
    found: dict[Spot, list[float]] = {}
    for k, layer in enumerate(layers):
        role = ROLES[role_index(k, len(layers))]
        field = layer.weight.astype(np.float64) / np.sqrt(2 / layer.weight.shape[1])
        for axis, name in enumerate(AXES):
            for lag in LAGS:
                _keep(found, Spot(role, name, 1, lag), autocorrelation(field, axis, lag))
            if min(field.shape) >= BLOCK:
                means = block_means(field, BLOCK)
                _keep(found, Spot(role, name, BLOCK, 1), autocorrelation(means, axis, 1))
    return {spot: float(np.mean(values)) for spot, values in found.items()}


def shuffle_units(layers: list[LayerWeights], generator: np.random.Generator) -> list[LayerWeights]:
    """Reorder the units of every hidden layer at random; the network's function stays."""
    for k, layer in enumerate(layers[:-1]):
        layers = permute_hidden(layers, k, generator.permutation(len(layer.bias)))
    return layers


def _keep(found: dict[Spot, list[float]], spot: Spot, value: float | None) -> None:
    if value is not None:
        found.setdefault(spot, []).append(value)
