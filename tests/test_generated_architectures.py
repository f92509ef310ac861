"""The chi-square tests of generated architectures accept the zoo's own and refuse others."""

import numpy as np
import pytest

from benchmarks.architectures import chi_square, compare, width_classes

ZOO = [tuple(row) for depth in (1, 2, 3) for row in np.indices((4,) * depth).reshape(depth, -1).T]
SHAPES = [tuple(16 + 16 * int(k) for k in dims) for dims in ZOO]


def drawn(count, seed=0):
    """Draw architectures as often as the zoo has them."""
    chosen = np.random.default_rng(seed).integers(len(SHAPES), size=count)
    return [SHAPES[k] for k in chosen]


def test_the_statistic_is_pearsons():
    """Expected 5 and 5, seen 8 and 2: 9/5 + 9/5, one degree of freedom."""
    found = chi_square([1, 2], [1] * 8 + [2] * 2)
    assert found["statistic"] == pytest.approx(3.6)
    assert found["freedom"] == 1
    assert found["p"] == pytest.approx(0.0578, abs=1e-4)


def test_one_label_is_no_test():
    """As of depths, where one depth was asked for."""
    assert chi_square([2, 2], [2]) == {"statistic": 0.0, "freedom": 0, "p": 1.0}


def test_classes_hold_equally_many_widths_and_never_part_equal_ones():
    """Eight classes of a hundred different widths; one class where all are equal."""
    widths = list(range(800))
    assert np.bincount(width_classes(widths, widths)).tolist() == [100] * 8
    assert len(set(width_classes([5] * 10, [5, 5]))) == 1


def test_draws_from_the_zoo_are_accepted():
    """p-values of twenty sets are not all small, and everything is valid."""
    found = [compare(SHAPES, drawn(300, seed)) for seed in range(20)]
    assert all(one["valid"] == 300 for one in found)
    assert sum(one["depth"]["p"] < 0.05 for one in found) <= 4
    assert sum(one["width"]["p"] < 0.05 for one in found) <= 4


def test_other_distributions_are_refused():
    """Equal depths instead of the zoo's; and one width too often."""
    by_depth = [[dims for dims in SHAPES if len(dims) == depth] for depth in (1, 2, 3)]
    assert (
        compare(SHAPES, [some[k % 4] for some in by_depth for k in range(100)])["depth"]["p"] < 1e-9
    )
    narrow = [tuple(16 for _ in dims) if k % 3 else dims for k, dims in enumerate(drawn(300))]
    assert compare(SHAPES, narrow)["width"]["p"] < 1e-9


def test_what_the_zoo_does_not_have_is_not_valid():
    """A width between trained ones, and one layer too many."""
    assert compare(SHAPES, [(16,), (20,), (16,) * 4])["valid"] == 1
