"""A network that is made to fit another shape keeps its function where it can."""

from itertools import combinations

import numpy as np
import pytest
from learning_examples import INTERFACE, random_layers

from nnit.mlp import Network, forward, join_layers, split_layers
from nnit.zoo.resize import LAYER_PENALTY, match_layers, resize

pytestmark = pytest.mark.seconds


def network_of(hidden_dims, seed=0):
    """Return a random network."""
    return Network(hidden_dims, join_layers(random_layers(INTERFACE.spec(hidden_dims), seed)))


def outputs_of(network):
    """Return what a network does on a fixed bank of observations, in float64."""
    observations = np.random.default_rng(1).standard_normal((50, INTERFACE.obs_dim))
    layers = split_layers(INTERFACE.spec(network.hidden_dims), network.weights.astype(np.float64))
    return forward(layers, observations)


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ((8,), (13,)),
        ((8, 5), (8, 9)),
        ((8, 5), (20, 5)),
        ((5, 8, 3), (6, 16, 7)),
        ((8,), (8, 8)),
        ((8,), (8, 12, 9)),
        ((8, 6), (9, 30, 6)),
        ((8, 6), (8, 8, 9, 6, 6)),
        ((64, 64), (64, 64, 64, 64)),
    ],
)
def test_growing_keeps_the_function(source, wanted):
    """Wider layers and inserted identities change no output, up to the rounding of float64."""
    network = network_of(source)
    grown = resize(network, wanted, INTERFACE)
    assert grown.hidden_dims == wanted
    np.testing.assert_allclose(outputs_of(grown), outputs_of(network), rtol=1e-12, atol=1e-12)


def test_growing_and_cropping_again_gives_the_same_bits():
    """What padding added is cut off again."""
    network = network_of((5, 8))
    grown = resize(network, (9, 30), INTERFACE)
    assert grown.weights.size > network.weights.size
    np.testing.assert_array_equal(resize(grown, (5, 8), INTERFACE).weights, network.weights)


def test_cropping_keeps_the_first_units():
    """By hand: what is left is as it was."""
    network = network_of((8,))
    first, last = split_layers(INTERFACE.spec((8,)), network.weights)
    cropped = split_layers(INTERFACE.spec((4,)), resize(network, (4,), INTERFACE).weights)
    np.testing.assert_array_equal(cropped[0].weight, first.weight[:4])
    np.testing.assert_array_equal(cropped[0].bias, first.bias[:4])
    np.testing.assert_array_equal(cropped[1].weight, last.weight[:, :4])
    np.testing.assert_array_equal(cropped[1].bias, last.bias)


def test_a_layer_too_many_is_dropped():
    """By hand: the layer after it takes the units before it in its place."""
    network = network_of((8, 3, 8))
    layers = split_layers(INTERFACE.spec((8, 3, 8)), network.weights)
    assert match_layers((8, 3, 8), (8, 8)).sources == (0, 2)
    shorter = split_layers(INTERFACE.spec((8, 8)), resize(network, (8, 8), INTERFACE).weights)
    np.testing.assert_array_equal(shorter[1].weight[:, :3], layers[2].weight)
    assert not shorter[1].weight[:, 3:].any()
    for ours, theirs in ((shorter[0], layers[0]), (shorter[2], layers[3])):
        np.testing.assert_array_equal(ours.weight, theirs.weight)


def test_the_same_architecture_is_the_same_network():
    """Nothing is copied or changed."""
    network = network_of((7, 9))
    assert resize(network, (7, 9), INTERFACE) is network


def test_an_identity_is_as_wide_as_there_is_room():
    """Inserted and narrower than what comes in, it passes the first units."""
    network = network_of((8,))
    resized = resize(network, (8, 4), INTERFACE)
    _, inserted, after = split_layers(INTERFACE.spec((8, 4)), resized.weights)
    np.testing.assert_array_equal(inserted.weight, np.eye(4, 8))
    before = split_layers(INTERFACE.spec((8,)), network.weights)[1]
    np.testing.assert_array_equal(after.weight, before.weight[:, :4])


@pytest.mark.parametrize(
    ("source", "wanted", "sources", "distance"),
    [
        ((64,), (64,), (0,), 0),
        ((32, 64), (64, 32), (0, 1), 2),
        ((64,), (64, 64), (0, None), LAYER_PENALTY),
        ((64, 16, 128), (64, 128), (0, 2), LAYER_PENALTY),
        ((128,), (16, 128), (0, None), 3 + LAYER_PENALTY),
        ((128,), (128, 32), (0, None), 2 + LAYER_PENALTY),
        ((16, 64), (16, 300, 64, 70), (0, None, 1, None), 2 * LAYER_PENALTY),
        ((64, 64, 16), (64, 16, 64), (0, 1, 2), 4),
    ],
)
def test_layers_are_matched_in_order_at_the_least_distance(source, wanted, sources, distance):
    """By hand; the first layers always belong together, for an identity cannot pass observations.

    No layer is dropped where another is inserted.
    """
    matching = match_layers(source, wanted)
    assert matching.distance == pytest.approx(distance)
    assert matching.sources == sources


def test_distance_is_that_of_the_best_of_all_ways():
    """Equal to the minimum over every choice of matched layers, written naively."""
    rng = np.random.default_rng(3)
    for _ in range(30):
        source, wanted = (tuple(rng.integers(4, 99, rng.integers(1, 5))) for _ in range(2))
        costs = []
        count = min(len(source), len(wanted))
        for mine in combinations(range(len(source)), count):
            for theirs in combinations(range(len(wanted)), count):
                if mine[0] == theirs[0] == 0:
                    pairs = zip(mine, theirs, strict=True)
                    octaves = sum(abs(np.log2(source[s] / wanted[w])) for s, w in pairs)
                    unmatched = len(source) + len(wanted) - 2 * count
                    too_narrow = sum(
                        max(0, np.log2(source[mine[np.searchsorted(theirs, w) - 1]] / wanted[w]))
                        for w in range(len(wanted))
                        if w not in theirs
                    )
                    costs.append(octaves + too_narrow + LAYER_PENALTY * unmatched)
        assert match_layers(source, wanted).distance == pytest.approx(min(costs))
