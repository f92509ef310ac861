"""Growing a network changes its shape and not its function."""

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnit.growing import Growth, deepen, grow, plan_growth, widen
from nnit.mlp import MAX_DEPTH, MlpSpec, forward, split_layers

SPEC = MlpSpec(5, 3, (6, 4))


@pytest.fixture
def layers():
    """A network with random weights and biases."""
    rng = np.random.default_rng(0)
    return split_layers(SPEC, rng.standard_normal(SPEC.num_parameters).astype(np.float32))


@pytest.mark.parametrize("wanted", [(6, 4), (7, 4), (6, 9), (12, 8), (40, 5)])
def test_function_stays(layers, wanted):
    """On random inputs the outputs agree up to rounding, and the widths are those wanted."""
    x = np.random.default_rng(1).standard_normal((50, 5)).astype(np.float32)
    widened = widen(layers, wanted)
    assert [layer.weight.shape for layer in widened] == list(MlpSpec(5, 3, wanted).layers)
    np.testing.assert_allclose(forward(widened, x), forward(layers, x), rtol=1e-4, atol=1e-4)


def test_no_unit_is_dead(layers):
    """Every unit reads something and is read."""
    first, second, last = widen(layers, (13, 9))
    for before, after in ((first, second), (second, last)):
        assert (np.abs(before.weight).sum(axis=1) > 0).all()
        assert (np.abs(after.weight).sum(axis=0) > 0).all()


def test_old_units_keep_their_places(layers):
    """The incoming weights of the first units are the old ones, bit for bit."""
    first = widen(layers, (13, 4))[0]
    np.testing.assert_array_equal(first.weight[:6], layers[0].weight)


def test_copying_without_dividing_would_change_the_function(layers):
    """The negative: twice the units with undivided weights give something else."""
    x = np.random.default_rng(1).standard_normal((50, 5)).astype(np.float32)
    widened = widen(layers, (12, 4))
    undivided = [widened[0], layers[1]._replace(weight=np.tile(layers[1].weight, 2)), layers[2]]
    assert np.abs(forward(undivided, x) - forward(layers, x)).max() > 0.1


@pytest.mark.parametrize("wanted", [(6,), (6, 4, 4), (5, 4), (6, 3)])
def test_narrower_or_of_another_depth_is_refused(layers, wanted):
    """The message names both shapes."""
    with pytest.raises(ValueError, match=r"\(6, 4\) cannot be widened to"):
        widen(layers, wanted)


@pytest.mark.parametrize("lengths", [(1, 1), (3, 1), (1, 2), (2, 3)])
def test_deeper_networks_compute_the_same(layers, lengths):
    """Bit for bit: identities pass what is not negative."""
    x = np.random.default_rng(1).standard_normal((50, 5)).astype(np.float32)
    deeper = deepen(layers, lengths)
    assert len(deeper) == sum(lengths) + 1
    np.testing.assert_array_equal(forward(deeper, x), forward(layers, x))


def test_an_identity_before_the_first_layer_would_not_do(layers):
    """The negative: observations may be below zero, and ReLU does not pass those."""
    x = np.random.default_rng(1).standard_normal((50, 5)).astype(np.float32)
    same = layers[0]._replace(weight=np.eye(5, dtype=np.float32), bias=np.zeros(5, np.float32))
    assert np.abs(forward([same, *layers], x) - forward(layers, x)).max() > 0.1


@pytest.mark.parametrize(
    ("wanted", "core"),
    [
        ((8, 8), (8, 8)),  # within bounds: nothing to do
        ((20, 8), (16, 8)),  # too wide
        ((8, 8, 8), (8, 8)),  # too deep
        ((4, 9, 9), (4, 9)),  # the narrow layer stands alone
        ((9, 9, 4), (9, 4)),
        ((30, 20, 30, 5, 6), (16, 5)),  # both
    ],
)
def test_the_core_is_the_largest_within_bounds(wanted, core):
    """By hand, for cores of up to 16 units and two layers."""
    growth = plan_growth(wanted, widest=16, deepest=2)
    assert growth.core == core
    assert sum(growth.lengths) == len(wanted)


@given(
    wanted=st.lists(st.integers(1, 40), min_size=1, max_size=7).map(tuple),
    widest=st.integers(1, 40),
    deepest=st.integers(1, 4),
)
def test_no_way_to_split_has_a_larger_core(wanted, widest, deepest):
    """Against all ways to split the layers into runs, tried one by one."""
    growth = plan_growth(wanted, widest, deepest)
    runs = min(len(wanted), deepest)
    largest = 0.0
    for ends in itertools.combinations(range(1, len(wanted)), runs - 1):
        edges = [0, *ends, len(wanted)]
        parts = [wanted[start:end] for start, end in itertools.pairwise(edges)]
        largest = max(largest, math.prod(min(widest, *part) for part in parts))
    assert math.prod(growth.core) == pytest.approx(largest)
    assert len(growth.core) == len(growth.lengths) == runs


@pytest.mark.parametrize("deepest", [4, 512])
def test_the_deepest_network_is_planned_in_seconds(deepest):
    """Of the most hidden layers that a network may have, one of them narrow."""
    wanted = (*(8,) * 500, 2, *(8,) * (MAX_DEPTH - 501))
    started = time.process_time()
    growth = plan_growth(wanted, widest=16, deepest=deepest)
    assert time.process_time() - started < 5
    assert sorted(growth.core) == [2, *(8,) * (deepest - 1)]
    assert sum(growth.lengths) == MAX_DEPTH


@pytest.mark.parametrize("wanted", [(7, 9), (6, 6, 4), (9, 7, 4, 11), (6, 4, 30, 4, 4)])
def test_a_grown_network_computes_the_same(layers, wanted):
    """Of a core (6, 4), wider and deeper at once."""
    growth = plan_growth(wanted, widest=6, deepest=2)
    spec = MlpSpec(5, 3, growth.core)
    flat = np.random.default_rng(2).standard_normal(spec.num_parameters).astype(np.float32)
    core = split_layers(spec, flat)
    x = np.random.default_rng(1).standard_normal((50, 5)).astype(np.float32)
    grown = grow(core, wanted, growth)
    assert [layer.weight.shape for layer in grown] == list(MlpSpec(5, 3, wanted).layers)
    np.testing.assert_allclose(forward(grown, x), forward(core, x), rtol=1e-3, atol=1e-4)


def test_a_run_that_narrows_its_layer_would_lose_units(layers):
    """The negative: a core wider than the narrowest layer of its run cannot be grown."""
    with pytest.raises(ValueError, match="cannot be widened"):
        grow(layers, (6, 5, 4), Growth((6, 4), (2, 1)))
