"""Alarms of collapse."""

import numpy as np
import pytest
from learning_examples import INTERFACE, random_flat

from nnit.audit.collapse import alarms_of, role_sizes, size_ranges
from nnit.mlp import Network

DIMS = (8, 8)
SPEC = INTERFACE.spec(DIMS)


def test_sizes_scale_with_the_network():
    """Twice the weights, twice the size of every role."""
    flat = random_flat(SPEC, 0)
    one, two = role_sizes(SPEC, flat), role_sizes(SPEC, 2 * flat)
    assert {role: 2 * size for role, size in one.items()} == pytest.approx(two)
    assert set(one) == {f"{r} {p}" for r in ("first", "middle", "last") for p in ("weight", "bias")}


@pytest.mark.parametrize(
    ("factor", "expected"),
    [(1.0, ""), (1.4, ""), (1.6, "too large"), (1 / 1.4, ""), (1 / 1.6, "too small")],
)
def test_alarm_beyond_one_and_a_half_times_the_range(factor, expected):
    """A size may leave the zoo's range by 1.5, in both directions, and no further."""
    network = Network(DIMS, random_flat(SPEC, 0))
    ranges = size_ranges([network], INTERFACE)
    sizes = role_sizes(SPEC, np.float32(factor) * network.weights)
    alarms = alarms_of(sizes, ranges, loss=0.0, constant_loss=1.0)
    assert alarms == (tuple(f"{role} {expected}" for role in sizes) if expected else ())


def test_alarm_where_a_constant_action_would_do():
    """Half the loss of the best constant is the limit."""
    assert alarms_of({}, {}, loss=0.49, constant_loss=1.0) == ()
    assert alarms_of({}, {}, loss=0.5, constant_loss=1.0) == ("no better than a constant action",)


def test_ranges_span_all_networks():
    """A network among those that made the range raises no alarm."""
    networks = [Network(d, random_flat(INTERFACE.spec(d), k)) for k, d in enumerate([(5,), (8, 8)])]
    ranges = size_ranges(networks, INTERFACE)
    for network in networks:
        sizes = role_sizes(INTERFACE.spec(network.hidden_dims), network.weights)
        assert all(ranges[role][0] <= size <= ranges[role][1] for role, size in sizes.items())
