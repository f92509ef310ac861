"""Baselines that take their networks from the zoo."""

import numpy as np
import pytest
from learning_examples import INTERFACE, make_zoo

from nnit.mlp import Network, split_layers
from nnit.zoo.members import build_zoo
from nnit.zoo.neighbours import add_noise, average, nearest_networks, nearest_of_branches
from nnit.zoo.resize import match_layers, resize

DIMS = [(8, 8), (16, 8), (8,), (16, 8), (24, 24)]  # the later a network, the higher its loss


def test_the_nearest_come_first_and_the_better_of_two_equals():
    """Order and distances by hand, and networks that fit."""
    zoo = make_zoo(DIMS)
    found = nearest_networks(zoo, (16, 8), 3)
    assert found.indices == (1, 3, 0)
    assert found.distances == (0, 0, 1)
    assert [network.hidden_dims for network in found.networks] == [(16, 8)] * 3
    np.testing.assert_array_equal(found.networks[1].weights, zoo.network(3).weights)
    expected = resize(zoo.network(0), (16, 8), INTERFACE)
    np.testing.assert_array_equal(found.networks[2].weights, expected.weights)


def test_a_small_zoo_gives_all_it_has():
    """Asked for more networks than there are."""
    found = nearest_networks(make_zoo(DIMS), (3, 3, 3), 16)
    assert sorted(found.indices) == list(range(len(DIMS)))
    distances = [match_layers(DIMS[k], (3, 3, 3)).distance for k in found.indices]
    assert list(found.distances) == distances == sorted(distances)


def test_the_nearest_of_each_branch_come_in_turn():
    """The nearest of every branch before the second of any; by hand."""
    zoo = make_zoo(DIMS)
    members = [m._replace(branch=b) for m, b in zip(zoo.members, (1, 0, 0, 0, 1), strict=True)]
    zoo = build_zoo(members, [zoo.network(k).weights for k in range(len(zoo))], INTERFACE)
    assert nearest_networks(zoo, (16, 8), 5).indices == (1, 3, 0, 4, 2)
    assert nearest_of_branches(zoo, (16, 8), 5).indices == (1, 0, 3, 4, 2)


def test_average_is_the_mean_weight_by_weight():
    """Of networks of one architecture; one network is its own average; two shapes are refused."""
    zoo = make_zoo(DIMS)
    one, other = zoo.network(1), zoo.network(3)
    mean = average((one, other))
    np.testing.assert_allclose(mean.weights, (one.weights + other.weights) / 2, atol=1e-7)
    np.testing.assert_array_equal(average((one,)).weights, one.weights)
    with pytest.raises(ValueError, match="too many"):
        average((one, zoo.network(0)))


def test_noise_has_the_size_of_each_layer():
    """Its standard deviation is the given share of that of the layer's weights; 0 adds nothing."""
    zoo = make_zoo([(200, 100)])
    spec = INTERFACE.spec((200, 100))
    flat = np.concatenate(
        [
            3.0**k * layer.weight.ravel() if part == 0 else layer.bias
            for k, layer in enumerate(split_layers(spec, zoo.network(0).weights))
            for part in (0, 1)
        ]
    )
    network = Network((200, 100), flat.astype(np.float32))
    noisy = add_noise(network, zoo, 0.05, np.random.default_rng(0))
    pairs = zip(split_layers(spec, noisy.weights), split_layers(spec, network.weights), strict=True)
    for ours, theirs in pairs:
        added = ours.weight - theirs.weight
        assert added.std() == pytest.approx(0.05 * theirs.weight.std(), rel=0.12)
    still = add_noise(network, zoo, 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(still.weights, network.weights)
