"""Cutting into patches and joining: exact inverses for every shape."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_examples import random_flat

from nnit.mlp import LayerShape, MlpSpec, join_layers, split_layers
from nnit.tokens.patches import (
    PatchGrid,
    count_patches,
    cut_bias,
    cut_matrix,
    join_bias,
    join_matrix,
    patch_grid,
    patchify,
    unpatchify,
)

relaxed = settings(deadline=None, derandomize=True)
sides = st.integers(1, 40)
patch_sizes = st.integers(1, 48)
specs = st.builds(
    MlpSpec,
    st.integers(1, 20),
    st.integers(1, 5),
    st.lists(st.integers(1, 20), min_size=1, max_size=4).map(tuple),
)


def noise(*shape):
    """Return float32 noise."""
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def naive_cut(matrix, patch_size):
    """Cut a matrix one entry at a time."""
    rows, columns = (-(-side // patch_size) for side in matrix.shape)
    patches = np.zeros((rows * columns, patch_size, patch_size), matrix.dtype)
    for row, column in np.ndindex(matrix.shape):
        patch = (row // patch_size) * columns + column // patch_size
        patches[patch, row % patch_size, column % patch_size] = matrix[row, column]
    return patches


def test_grid_by_hand():
    """A layer of 33 units with 16 inputs is three rows of one patch of 16."""
    assert patch_grid(LayerShape(33, 16), 16) == PatchGrid(3, 1)
    assert count_patches(MlpSpec(16, 4, (33,)), 16) == (3 + 3, 3 + 1)


@relaxed
@given(sides, sides, patch_sizes)
def test_cut_matrix_equals_the_loop_and_joins_back(fan_out, fan_in, patch_size):
    """Also where a side is no multiple of the patch, and where the patch is larger than it."""
    matrix = noise(fan_out, fan_in)
    patches = cut_matrix(matrix, patch_size)
    np.testing.assert_array_equal(patches, naive_cut(matrix, patch_size))
    np.testing.assert_array_equal(join_matrix(patches, LayerShape(fan_out, fan_in)), matrix)


@relaxed
@given(sides, patch_sizes)
def test_cut_bias_equals_the_loop_and_joins_back(fan_out, patch_size):
    """A bias is cut as the first column of a matrix would be."""
    bias = noise(fan_out)
    pieces = cut_bias(bias, patch_size)
    column = naive_cut(bias[:, None], patch_size)[:, :, 0]
    np.testing.assert_array_equal(pieces, column)
    np.testing.assert_array_equal(join_bias(pieces, LayerShape(fan_out, 1)), bias)


@relaxed
@given(specs, patch_sizes)
def test_unpatchify_is_the_inverse_of_patchify(spec, patch_size):
    """Every weight of a network comes back bit for bit, from as many patches as were counted."""
    flat = random_flat(spec, seed=1)
    weights, biases = patchify(split_layers(spec, flat), patch_size)
    assert (len(weights), len(biases)) == count_patches(spec, patch_size)
    np.testing.assert_array_equal(join_layers(unpatchify(spec, weights, biases)), flat)


@relaxed
@given(specs, patch_sizes)
def test_padding_is_zero(spec, patch_size):
    """Patches hold the weights and nothing else."""
    flat = np.abs(random_flat(spec, seed=2)) + 1
    weights, biases = patchify(split_layers(spec, flat), patch_size)
    assert np.count_nonzero(weights) + np.count_nonzero(biases) == spec.num_parameters


@pytest.mark.parametrize(("extra_weights", "extra_biases"), [(1, 0), (0, 1), (-1, 0), (0, -1)])
def test_patches_of_another_architecture_are_refused(extra_weights, extra_biases):
    """The message says how many there are and how many there should be."""
    spec = MlpSpec(5, 3, (9, 4))
    weights, biases = count_patches(spec, 4)
    with pytest.raises(ValueError, match=rf"\(9, 4\) has \({weights}, {biases}\)"):
        unpatchify(spec, noise(weights + extra_weights, 4, 4), noise(biases + extra_biases, 4))
