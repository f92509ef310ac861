"""Barriers, pairs, and the report of a zoo."""

import numpy as np
import pytest
from learning_examples import INTERFACE, make_demos, make_zoo, random_layers

from nnit.alignment.barrier import Line, line_losses
from nnit.alignment.matching import match_weights, reorder
from nnit.alignment.measure import (
    AlignmentSettings,
    draw_pairs,
    draw_pairs_across,
    layers_of,
    measure_zoo,
    weight_correlation,
)
from nnit.cloning import cloning_data
from nnit.mlp import join_layers, permute_hidden
from nnit.progress import silent
from nnit.state_bank import draw_states
from nnit.zoo.members import ZooMember, build_zoo

DIMS = (16,)
SPEC = INTERFACE.spec(DIMS)
EXPERT = 99  # the seed of the network whose actions are the labels
DEMOS = make_demos()
DATA = cloning_data(DEMOS)
SETTINGS = AlignmentSettings(repeats=4, shapes=2, pairs=3, seed=0)


def turned(layers):
    """Return a network with the units of every hidden layer in reverse order."""
    for k in range(len(layers) - 1):
        layers = permute_hidden(layers, k, np.arange(len(layers[k].bias))[::-1])
    return layers


def measured(zoo):
    """Report on a zoo."""
    return measure_zoo("x", zoo, draw_states(DEMOS, 60, 0), DATA, SETTINGS, silent)


def zoo_of(variant):
    """Return four networks of one shape that are one network, each as ``variant(k, layers)``."""
    layers = random_layers(SPEC, EXPERT)
    members = [ZooMember(DIMS, k % 2, 0, 0.1, float("nan")) for k in range(4)]
    return build_zoo(members, [join_layers(variant(k, layers)) for k in range(4)], INTERFACE)


def test_no_barrier_between_a_network_and_itself():
    """The loss is the same all along a line of length zero."""
    flat = join_layers(random_layers(SPEC, EXPERT))
    line = line_losses(SPEC, flat, flat, DATA)
    assert line.barrier == 0
    assert len(set(line.losses)) == 1


def test_barrier_to_a_permuted_copy_goes_away_with_matching():
    """The same function, and yet a barrier in between; after matching there is none."""
    layers = random_layers(SPEC, EXPERT)
    copy = turned(layers)
    before = line_losses(SPEC, join_layers(layers), join_layers(copy), DATA)
    matched = reorder(copy, match_weights(layers, copy))
    after = line_losses(SPEC, join_layers(layers), join_layers(matched), DATA)
    assert before.losses[0] == pytest.approx(before.losses[-1], abs=1e-6)
    assert before.barrier > 0.01
    assert after.barrier == 0


def test_barrier_worked_by_hand():
    """Ends 1 and 3: halfway is 2 by the straight line, so 2.5 is 0.5 above; a dip is none."""
    assert Line((1.0, 1.4, 2.5, 2.0, 3.0)).barrier == pytest.approx(0.5)
    assert Line((1.0, 1.0, 1.0, 1.0, 3.0)).barrier == 0


def test_a_zoo_of_copies_is_aligned_and_one_of_permuted_copies_is_not():
    """All figures say so, before matching; after it both zoos are the same."""
    same = measured(zoo_of(lambda k, layers: layers))
    apart = measured(zoo_of(lambda k, layers: turned(layers) if k % 2 else layers))
    assert same.same_shape.by_activations.mean == same.same_shape.by_weights.mean == 1
    assert apart.same_shape.by_activations.mean == apart.same_shape.by_weights.mean == 0
    assert same.weight_correlation.mean == pytest.approx(1)
    assert abs(apart.weight_correlation.mean) < 0.3
    assert apart.weight_correlation_matched.mean == pytest.approx(1)
    assert same.line.barrier.mean == apart.line_matched.barrier.mean == 0
    assert apart.line.barrier.mean > 0
    assert same.same_shape.chance == pytest.approx(1 / 16)
    assert [layer.layer for layer in same.same_shape.layers] == [1]


def test_pairs_are_of_different_branches():
    """Where there are several; of a zoo of one branch any pair will do."""
    zoo = make_zoo([(8,)] * 6 + [(5,)])
    ((shape, pairs),) = draw_pairs(zoo, SETTINGS).items()
    assert shape == (8,)
    assert len(set(pairs)) == SETTINGS.pairs
    assert all(zoo.members[a].branch != zoo.members[b].branch for a, b in pairs)
    alone = build_zoo(
        [m._replace(branch=0) for m in zoo.members],
        [zoo.network(k).weights for k in range(len(zoo))],
        INTERFACE,
    )
    assert len(draw_pairs(alone, SETTINGS)[(8,)]) == SETTINGS.pairs


def test_pairs_across_widths_differ_in_every_layer():
    """The same depth, no layer of the same width, and no network in two pairs."""
    zoo = make_zoo([(8,), (8,), (16,), (5, 7), (5, 9), (6, 7), (7, 5)])
    pairs = draw_pairs_across(zoo, SETTINGS._replace(pairs=10))
    assert pairs
    used = [k for pair in pairs for k in pair]
    assert len(set(used)) == len(used)
    for a, b in pairs:
        one, other = zoo.members[a].hidden_dims, zoo.members[b].hidden_dims
        assert len(one) == len(other)
        assert all(x != y for x, y in zip(one, other, strict=True))


def test_correlation_is_that_of_numpy():
    """Of equally scaled layers the plain correlation coefficient; with itself 1."""
    zoo = make_zoo([DIMS, DIMS])
    one, other = (layers_of(zoo, k) for k in (0, 1))
    scaled = [
        np.concatenate([(x.weight * np.sqrt(x.weight.shape[1])).ravel() for x in layers])
        for layers in (one, other)
    ]
    assert weight_correlation(one, other) == pytest.approx(np.corrcoef(*scaled)[0, 1], abs=1e-6)
    assert weight_correlation(one, one) == pytest.approx(1)


def test_the_same_seed_gives_the_same_report():
    """And another one draws other pairs."""
    zoo = make_zoo([DIMS] * 6 + [(8,), (5,)])
    assert measured(zoo) == measured(zoo)
    drawn = {tuple(draw_pairs(zoo, SETTINGS._replace(seed=s))[DIMS]) for s in range(4)}
    assert len(drawn) > 1


def test_report_has_the_rank_of_every_layer_of_the_compared_shapes():
    """A network that uses one direction of its first layer, beside one that uses all."""

    def flattened(k, layers):
        (first, last) = layers
        same = np.linspace(-1, 1, 16, dtype=np.float32)[:, None] * (first.weight[0] + k)
        return [first._replace(weight=same), last]

    full, low = (measured(zoo_of(v)).ranks for v in (lambda k, layers: layers, flattened))
    assert [(r.hidden_dims, r.layer, r.largest) for r in full] == [(DIMS, 1, 6), (DIMS, 2, 3)]
    assert low[0].values == 1 < 4 < full[0].values <= 6
    assert low[0].participation == pytest.approx(1)
    assert full[0].participation > 2
    assert low[0].activation_values is not None
    assert full[0].activation_values is not None
    assert low[0].activation_values < full[0].activation_values
    assert full[1].activation_values is None
