"""Padded vectors: an exact place for every weight, and none for what is larger."""

import numpy as np
import pytest
import torch
from learning_examples import INTERFACE, make_zoo, random_flat

from nnit.flat.layout import (
    BIAS_SHARE,
    condition_features,
    flatten,
    has_room,
    largest_spec,
    pack,
    unflatten,
    unpack,
)
from nnit.mlp import Network, join_layers, split_layers
from nnit.tokens.standardizer import fit_standardizer

DIMS = [(5,), (8, 3), (2, 8, 8), (8, 8, 8)]
LARGEST = largest_spec(INTERFACE.obs_dim, INTERFACE.act_dim, 8, 3)


@pytest.mark.parametrize("dims", DIMS)
def test_unpacking_is_the_exact_inverse_of_packing(dims):
    """Bit for bit, and everything else in the vector is zero."""
    spec = INTERFACE.spec(dims)
    flat = random_flat(spec, 1)
    vector = pack(LARGEST, split_layers(spec, flat))
    assert vector.shape == (LARGEST.num_parameters,)
    np.testing.assert_array_equal(join_layers(unpack(LARGEST, spec, vector)), flat)
    assert np.count_nonzero(vector) == spec.num_parameters


def test_the_largest_network_is_its_own_vector():
    """No padding and no reordering."""
    flat = random_flat(LARGEST, 1)
    np.testing.assert_array_equal(pack(LARGEST, split_layers(LARGEST, flat)), flat)


def test_first_and_last_layers_always_share_a_slot():
    """Whatever lies between, the last layer is at the end of the vector."""
    for dims in DIMS:
        spec = INTERFACE.spec(dims)
        vector = pack(LARGEST, split_layers(spec, random_flat(spec, 1)))
        slots = split_layers(LARGEST, vector)
        layers = split_layers(spec, random_flat(spec, 1))
        np.testing.assert_array_equal(slots[0].weight[: dims[0]], layers[0].weight)
        np.testing.assert_array_equal(slots[-1].weight[:, : dims[-1]], layers[-1].weight)
        np.testing.assert_array_equal(slots[-1].bias, layers[-1].bias)


@pytest.mark.parametrize("dims", DIMS)
def test_flattening_and_back_gives_the_network_again(dims):
    """Up to the rounding of standardising."""
    zoo = make_zoo(DIMS)
    standardizer, spec = fit_standardizer(zoo), INTERFACE.spec(dims)
    network = Network(dims, random_flat(spec, 5))
    padded = flatten(LARGEST, spec, network, standardizer)
    again = unflatten(LARGEST, spec, padded.values, standardizer)
    assert again.hidden_dims == dims
    np.testing.assert_allclose(again.weights, network.weights, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dims", DIMS)
def test_every_layer_weighs_the_same_and_padding_nothing(dims):
    """Weights of a layer have their share of 1 / layers, its bias the rest."""
    spec = INTERFACE.spec(dims)
    network = Network(dims, random_flat(spec, 5))
    weights = flatten(LARGEST, spec, network, fit_standardizer(make_zoo(DIMS))).loss_weights
    assert weights.sum() == pytest.approx(1)
    assert np.count_nonzero(weights) == spec.num_parameters
    for layer in unpack(LARGEST, spec, weights):
        assert layer.weight.sum() == pytest.approx((1 - BIAS_SHARE) / len(spec.layers))
        assert layer.bias.sum() == pytest.approx(BIAS_SHARE / len(spec.layers))


@pytest.mark.parametrize(
    ("dims", "room"), [((8, 8, 8), True), ((1,), True), ((9,), False), ((2, 2, 2, 2), False)]
)
def test_what_is_wider_or_deeper_has_no_room(dims, room):
    """The vector ends where the largest trained network does."""
    assert has_room(LARGEST, dims) == room


def test_condition_tells_architectures_apart():
    """Every architecture has features of its own; a layer that is missing has none."""
    features = [condition_features(dims, 3) for dims in [*DIMS, (1,), (1, 1), (3, 8)]]
    distances = torch.cdist(torch.stack(features), torch.stack(features))
    assert (distances + torch.eye(len(features)) > 0.1).all()
    assert not condition_features((5,), 3).view(3, -1)[1:].any()
