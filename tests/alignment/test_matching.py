"""Matching of hidden units."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_examples import INTERFACE, random_layers

from nnit.alignment.matching import (
    best_matching,
    correlations,
    match_activations,
    match_weights,
    reorder,
    same_index,
)
from nnit.mlp import forward, join_layers, permute_hidden

DIMS = (12, 9, 7)
SPEC = INTERFACE.spec(DIMS)
STATES = np.random.default_rng(5).standard_normal((200, INTERFACE.obs_dim), np.float32)


def permuted(layers, seed):
    """Return a network with its hidden units in another order, and the orders."""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(width) for width in DIMS]
    for k, order in enumerate(orders):
        layers = permute_hidden(layers, k, order)
    return layers, orders


def matchers():
    """Return both ways to match, with their names."""
    return {
        "activations": lambda one, other: match_activations(one, other, STATES),
        "weights": match_weights,
    }


@pytest.mark.parametrize("name", matchers())
def test_a_network_is_aligned_with_itself(name):
    """Every unit's best match is itself."""
    layers = random_layers(SPEC, 0)
    assert [same_index(m) for m in matchers()[name](layers, layers)] == [1, 1, 1]


@pytest.mark.parametrize("name", matchers())
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**20))
def test_matching_finds_the_permutation(name, seed):
    """Of a permuted copy, exactly the permutation; aligned is what the permutation left alone."""
    layers = random_layers(SPEC, 0)
    copy, orders = permuted(layers, seed)
    matchings = matchers()[name](layers, copy)
    for matching, order in zip(matchings, orders, strict=True):
        np.testing.assert_array_equal(order[matching], np.arange(len(order)))
        fixed = (order == np.arange(len(order))).sum()
        assert same_index(matching) == pytest.approx(fixed / len(order))


def test_reordering_undoes_the_permutation():
    """The matched copy is the network itself, bit by bit; reordering never changes the function."""
    layers = random_layers(SPEC, 0)
    copy, _ = permuted(layers, 3)
    matched = reorder(copy, match_weights(layers, copy))
    np.testing.assert_array_equal(join_layers(matched), join_layers(layers))
    np.testing.assert_allclose(forward(copy, STATES), forward(layers, STATES), atol=1e-5)


def test_unrelated_networks_are_aligned_by_chance():
    """Over many pairs the fraction is 1 / width, neither more nor less, for both ways."""
    spec = INTERFACE.spec((10,))
    for match in matchers().values():
        pairs = [(random_layers(spec, 2 * k), random_layers(spec, 2 * k + 1)) for k in range(200)]
        found = np.mean([same_index(match(*pair)[0]) for pair in pairs])
        assert found == pytest.approx(0.1, abs=0.03)


def test_a_narrow_layer_is_matched_into_a_wide_one():
    """The first units of a wide layer are the whole of a narrow one: each finds its index."""
    wide = random_layers(INTERFACE.spec((12,)), 0)
    narrow = [
        type(wide[0])(wide[0].weight[:5], wide[0].bias[:5]),
        type(wide[1])(wide[1].weight[:, :5], wide[1].bias),
    ]
    for pair in ((narrow, wide), (wide, narrow)):
        (matching,) = match_activations(*pair, STATES)
        np.testing.assert_array_equal(matching, np.arange(5))


def test_best_matching_is_the_best_of_all():
    """Greedy would take 9 and be left with 0; the best assignment is 8 + 7."""
    np.testing.assert_array_equal(best_matching(np.array([[9.0, 8.0], [7.0, 0.0]])), [1, 0])


def test_a_constant_unit_correlates_with_nothing():
    """Zero instead of NaN; the others are those of numpy."""
    x = np.random.default_rng(0).standard_normal((50, 3))
    x[:, 2] = 4
    found = correlations(x, x)
    np.testing.assert_allclose(found[:2, :2], np.corrcoef(x[:, :2].T))
    assert found[2].tolist() == [0, 0, 0]
