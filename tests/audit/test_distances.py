"""Distances between networks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learning_examples import INTERFACE, random_flat

from nnit.audit.distances import (
    action_distances,
    actions_of,
    failure_iou,
    mean_pairwise,
    nearest_others,
    scaled_weights,
    weight_distances,
)
from nnit.mlp import LayerWeights, join_layers, split_layers

SPEC = INTERFACE.spec((16, 8))


def test_relative_distance_worked_by_hand():
    """Orthogonal vectors of norms 3 and 4 are 5 / sqrt(12.5) apart; equal ones 0."""
    found = weight_distances(np.array([[3.0, 0.0]]), np.array([[0.0, 4.0], [3.0, 0.0]]))
    np.testing.assert_allclose(found, [[5 / np.sqrt(12.5), 0.0]])


def test_networks_without_any_weight_are_no_distance_apart():
    """Zero against zero is 0, and not NaN."""
    np.testing.assert_array_equal(weight_distances(np.zeros((1, 3)), np.zeros((1, 3))), [[0.0]])


def test_scaling_takes_the_fan_in_out_of_the_weights():
    """A weight of size sqrt(2 / fan_in) counts 1 in any layer, and a bias as it is."""
    layers = [
        LayerWeights(np.full(s, np.sqrt(2 / s.fan_in), np.float32), np.full(s.fan_out, 3.0))
        for s in SPEC.layers
    ]
    scaled = split_layers(SPEC, scaled_weights(SPEC, join_layers(layers)))
    for weight, bias in scaled:
        np.testing.assert_allclose(weight, 1, rtol=1e-6)
        np.testing.assert_array_equal(bias, 3)


def test_action_distance_worked_by_hand():
    """Two states of two dimensions, one entry 1 apart: sqrt(1 / 4); clipped before."""
    outputs = np.array([[[0.0, 0.0], [0.0, 0.0]], [[0.0, 5.0], [0.0, 0.0]]])
    actions = actions_of(outputs, INTERFACE)
    assert action_distances(actions, actions)[0, 1] == pytest.approx(0.5)


def test_classes_are_compared_by_their_probabilities():
    """Two classes at equal outputs against a sure one: 0.5 away in both; shifts do nothing."""
    outputs = np.array([[[0.0, 0.0]], [[100.0, 0.0]], [[107.0, 7.0]]])
    actions = actions_of(outputs, INTERFACE._replace(output="class"))
    distances = action_distances(actions, actions)
    assert distances[0, 1] == pytest.approx(0.5)
    assert distances[1, 2] == pytest.approx(0)


def test_nearest_other_is_never_itself():
    """At 0, 1 and 5 the nearest others are 1, 1 and 4 away; of other groups 5, 4 and 4."""
    places = np.array([0.0, 1.0, 5.0])
    distances = np.abs(places[:, None] - places[None, :])
    np.testing.assert_array_equal(nearest_others(distances, np.zeros(3)), [1, 1, 4])
    np.testing.assert_array_equal(nearest_others(distances, np.array([0, 0, 1])), [5, 4, 4])


def test_only_pairs_of_different_branches_count():
    """Places 0 and 1 of branch 0, 5 of branch 1: pairs 5 and 4; of one branch all three."""
    places = np.array([0.0, 1.0, 5.0])
    distances = np.abs(places[:, None] - places[None, :])
    assert mean_pairwise(distances, np.array([0, 0, 1])) == 4.5
    assert mean_pairwise(distances, np.array([0, 0, 0])) == pytest.approx(10 / 3)
    assert mean_pairwise(distances[:1, :1]) is None


def test_failure_iou_worked_by_hand():
    """{1, 2} and {2, 3} share one of three; both against nothing share none of two."""
    failures = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]], bool)
    assert failure_iou(failures[:2]) == pytest.approx(1 / 3)
    assert failure_iou(failures) == pytest.approx(1 / 9)
    assert failure_iou(failures[2:]) is None
    assert failure_iou(np.zeros((2, 4), bool)) is None


@given(st.integers(0, 2**20), st.integers(0, 2**20))
def test_distance_is_symmetric_and_bounded(one, other):
    """It is the same from both sides, zero only for equal networks, and at most 2."""
    networks = np.stack([scaled_weights(SPEC, random_flat(SPEC, seed)) for seed in (one, other)])
    found = weight_distances(networks, networks)
    assert found[0, 1] == pytest.approx(found[1, 0])
    assert (found[0, 1] == 0) == (one == other)
    assert found[0, 1] <= 2
