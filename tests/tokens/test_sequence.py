"""One sequence for a whole network."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_examples import INTERFACE, make_zoo, random_flat

from nnit.mlp import join_layers, split_layers
from nnit.tokens.patches import count_patches, patch_grid, patchify, unpatchify
from nnit.tokens.sequence import (
    NUM_FEATURES,
    Modality,
    arch_features,
    architecture_layout,
    build_layout,
    raw_to_tokens,
    tokens_to_raw,
)
from nnit.tokens.standardizer import fit_standardizer

DIMS = [(5,), (16, 8), (7, 9, 3)]
STANDARDIZER = fit_standardizer(make_zoo(DIMS))
relaxed = settings(deadline=None, derandomize=True, max_examples=40)
architectures = st.lists(st.integers(1, 24), min_size=1, max_size=5).map(tuple)


def layout_of(hidden_dims, patch_size=4):
    """Lay out a network of this shape."""
    return build_layout(INTERFACE.spec(hidden_dims), patch_size, STANDARDIZER)


def test_architecture_tokens_of_a_network_are_those_of_its_architecture_alone():
    """The depth, then the widths; whether patches follow makes no difference."""
    layout, alone = layout_of((16, 8)), architecture_layout((16, 8), 4)
    assert alone.num_tokens == 3
    assert torch.equal(layout.features[:3], alone.features)
    assert not alone.mask.any()


def test_masked_width_hides_its_value_and_nothing_else():
    """Two architectures that differ in the masked width look the same; unmasked they don't."""
    known = arch_features((16, 8, 24))
    masked = arch_features((16, None, 24))
    differing = (known != masked).any(dim=1)
    assert differing.tolist() == [False, False, True, False]
    assert not torch.equal(known, arch_features((16, 12, 24)))
    assert len(arch_features(None)) == 1  # a masked depth also hides how many widths there are


@relaxed
@given(architectures, st.integers(1, 12))
def test_layout_has_a_token_for_every_number_and_patch(hidden_dims, patch_size):
    """Architecture tokens first, then weight patches, then bias patches, each layer by layer."""
    spec = INTERFACE.spec(hidden_dims)
    layout = layout_of(hidden_dims, patch_size)
    weights, biases = count_patches(spec, patch_size)
    assert layout.num_tokens == len(hidden_dims) + 1 + weights + biases
    kinds = [Modality.ARCH] * (len(hidden_dims) + 1)
    kinds += [Modality.WEIGHT] * weights + [Modality.BIAS] * biases
    assert layout.modality.tolist() == kinds
    assert layout.features.shape == (layout.num_tokens, NUM_FEATURES)
    assert layout.mask.shape == (layout.num_tokens, patch_size * (patch_size + 1))
    for kind in Modality:
        layers = layout.layer[layout.modality == kind]
        assert torch.equal(layers, layers.sort().values)


@relaxed
@given(architectures, st.integers(1, 12))
def test_mask_counts_every_parameter_once(hidden_dims, patch_size):
    """By layer, weights in the first p * p entries of weight tokens, biases in the last p."""
    spec = INTERFACE.spec(hidden_dims)
    layout = layout_of(hidden_dims, patch_size)
    square = patch_size**2
    assert int(layout.mask.sum()) == spec.num_parameters
    for layer, shape in enumerate(spec.layers):
        here = layout.layer == layer
        weight_mask = layout.mask[here & (layout.modality == Modality.WEIGHT)]
        bias_mask = layout.mask[here & (layout.modality == Modality.BIAS)]
        assert int(weight_mask[:, :square].sum()) == shape.fan_out * shape.fan_in
        assert int(bias_mask[:, square:].sum()) == shape.fan_out
        assert not weight_mask[:, square:].any()
        assert not bias_mask[:, :square].any()


@relaxed
@given(architectures, st.integers(1, 12))
def test_tokens_to_raw_is_the_inverse_of_raw_to_tokens(hidden_dims, patch_size):
    """Standardised and back, a network has its weights again up to rounding."""
    spec = INTERFACE.spec(hidden_dims)
    flat = random_flat(spec, seed=3)
    raw = patchify(split_layers(spec, flat), patch_size)
    tokens = raw_to_tokens(layout_of(hidden_dims, patch_size), *raw)
    back = join_layers(unpatchify(spec, *tokens_to_raw(tokens, patch_size)))
    np.testing.assert_allclose(back, flat, rtol=1e-5, atol=1e-6)


def test_content_is_zero_where_there_is_no_weight():
    """Padding and architecture tokens have no content, although the standardiser has a mean."""
    spec = INTERFACE.spec((7, 9))
    layout = layout_of((7, 9))
    tokens = raw_to_tokens(layout, *patchify(split_layers(spec, random_flat(spec, 0) + 5), 4))
    assert not tokens.content[~layout.mask].any()
    assert tokens.content[layout.mask].all()


def test_content_of_the_training_zoo_is_standardised():
    """Over the layers of each role: mean 0 and mean square 1."""
    zoo = make_zoo(DIMS)
    standardizer = fit_standardizer(zoo)
    means = {}
    for k in range(len(zoo)):
        spec = zoo.spec(k)
        raw = patchify(split_layers(spec, zoo.network(k).weights), 4)
        layout, content = raw_to_tokens(build_layout(spec, 4, standardizer), *raw)
        for kind in (Modality.WEIGHT, Modality.BIAS):
            for layer in range(len(spec.layers)):
                here = (layout.modality == kind) & (layout.layer == layer)
                values = content[here][layout.mask[here]].double()
                role = (kind, layer == 0, layer == spec.depth)
                moments = (float(values.mean()), float(values.square().mean()))
                means.setdefault(role, []).append(moments)
    assert len(means) == 6
    for moments in means.values():
        np.testing.assert_allclose(np.mean(moments, axis=0), [0, 1], atol=1e-5)


@pytest.mark.parametrize(("narrow", "wide"), [((8, 8), (16, 8)), ((8, 8), (8, 20)), ((4,), (64,))])
def test_growing_a_width_only_adds_patches(narrow, wide):
    """A patch of the narrow layer has its twin in the wide one, with the same row and column.

    Their features differ by what the layer's size says, the same for all patches of the layer.
    """
    ours, theirs = layout_of(narrow), layout_of(wide)
    for kind in (Modality.WEIGHT, Modality.BIAS):
        for layer, (small, large) in enumerate(
            zip(INTERFACE.spec(narrow).layers, INTERFACE.spec(wide).layers, strict=True)
        ):
            columns = [patch_grid(shape, 4).columns for shape in (small, large)]
            if kind is Modality.BIAS:
                columns = [1, 1]
            few, many = (
                lay.features[(lay.modality == kind) & (lay.layer == layer)].unflatten(0, (-1, n))
                for lay, n in zip((ours, theirs), columns, strict=True)
            )
            rows, cols = few.shape[:2]
            difference = many[:rows, :cols] - few
            torch.testing.assert_close(difference, difference[:1, :1].expand_as(difference))


def test_every_token_of_a_network_is_told_apart():
    """No two tokens have the same features."""
    features = layout_of((16, 16, 16)).features
    distances = torch.cdist(features, features) + 10 * torch.eye(len(features))
    assert distances.min() > 1e-2


def test_rows_and_columns_are_not_mixed_up():
    """The transposed place within a square layer has other features."""
    layout = layout_of((12, 12))
    here = (layout.modality == Modality.WEIGHT) & (layout.layer == 1)
    grid = layout.features[here].unflatten(0, (3, 3))
    assert (grid[0, 2] - grid[2, 0]).abs().max() > 0.1
