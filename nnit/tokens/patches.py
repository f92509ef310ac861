"""Cut weight matrices and biases into patches, and join them again: exact inverses.

Axis letters: R, C rows and columns of patches; p, q rows and columns within a patch.
"""

import math
from typing import NamedTuple, TypeVar

import numpy as np
from einops import rearrange
from torch import Tensor

from nnit.mlp import LayerShape, LayerWeights, MlpSpec

ArrayT = TypeVar("ArrayT", np.ndarray, Tensor)


class PatchGrid(NamedTuple):
    """How many patches a layer's weight matrix and bias are cut into."""

    rows: int  # also the number of pieces of the bias
    columns: int

    @property
    def num_weight_patches(self) -> int:
        """Patches of the weight matrix."""
        return self.rows * self.columns


def patch_grid(shape: LayerShape, patch_size: int) -> PatchGrid:
    """Return the grid that covers a layer."""
    return PatchGrid(math.ceil(shape.fan_out / patch_size), math.ceil(shape.fan_in / patch_size))


def count_patches(spec: MlpSpec, patch_size: int) -> tuple[int, int]:
    """Return the number of weight patches and of bias patches of a network."""
    grids = [patch_grid(shape, patch_size) for shape in spec.layers]
    return sum(grid.num_weight_patches for grid in grids), sum(grid.rows for grid in grids)


def cut_matrix(matrix: np.ndarray, patch_size: int) -> np.ndarray:
    """Cut ``(fan_out, fan_in)`` into ``(R * C, patch_size, patch_size)``, zero-padded."""
    rows, columns = patch_grid(LayerShape(*matrix.shape), patch_size)
    padded = np.zeros((rows * patch_size, columns * patch_size), matrix.dtype)
    padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    return rearrange(padded, "(R p) (C q) -> (R C) p q", p=patch_size, q=patch_size)


def join_matrix(patches: ArrayT, shape: LayerShape) -> ArrayT:
    """Inverse of ``cut_matrix``, of arrays or of tensors."""
    grid = patch_grid(shape, patches.shape[-1])
    padded = rearrange(patches, "(R C) p q -> (R p) (C q)", R=grid.rows)
    return padded[: shape.fan_out, : shape.fan_in]


def cut_bias(bias: np.ndarray, patch_size: int) -> np.ndarray:
    """Cut ``(fan_out,)`` into ``(R, patch_size)``, zero-padded."""
    rows = math.ceil(len(bias) / patch_size)
    padded = np.zeros(rows * patch_size, bias.dtype)
    padded[: len(bias)] = bias
    return rearrange(padded, "(R p) -> R p", p=patch_size)


def join_bias(patches: ArrayT, shape: LayerShape) -> ArrayT:
    """Inverse of ``cut_bias``, of arrays or of tensors."""
    return rearrange(patches, "R p -> (R p)")[: shape.fan_out]


def patchify(layers: list[LayerWeights], patch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut a network into weight patches ``(T, p, p)`` and bias patches ``(U, p)``."""
    weights = [cut_matrix(layer.weight, patch_size) for layer in layers]
    biases = [cut_bias(layer.bias, patch_size) for layer in layers]
    return np.concatenate(weights), np.concatenate(biases)


def unpatchify(
    spec: MlpSpec, weight_patches: np.ndarray, bias_patches: np.ndarray
) -> list[LayerWeights]:
    """Inverse of ``patchify`` for a network of shape ``spec``.

    Raises:
        ValueError: the number of patches is not that of the architecture.
    """
    patch_size = bias_patches.shape[-1]
    expected = count_patches(spec, patch_size)
    if (len(weight_patches), len(bias_patches)) != expected:
        raise ValueError(
            f"{len(weight_patches)} weight and {len(bias_patches)} bias patches, but "
            f"{spec.hidden_dims} has {expected}"
        )
    layers, weight_at, bias_at = [], 0, 0
    for shape in spec.layers:
        grid = patch_grid(shape, patch_size)
        weight_end, bias_end = weight_at + grid.num_weight_patches, bias_at + grid.rows
        weight = join_matrix(weight_patches[weight_at:weight_end], shape)
        bias = join_bias(bias_patches[bias_at:bias_end], shape)
        layers.append(LayerWeights(weight, bias))
        weight_at, bias_at = weight_end, bias_end
    return layers
