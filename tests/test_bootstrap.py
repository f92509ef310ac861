"""Intervals over shapes."""

import numpy as np
import pytest

from nnit.bootstrap import bootstrap_mean, estimate_or_none
from nnit.seeding import numpy_generator


def test_the_interval_is_that_of_the_normal_distribution():
    """For many values it is the mean plus and minus 1.96 standard errors."""
    values = np.random.default_rng(0).normal(3.0, 2.0, size=400)
    found = bootstrap_mean(values.tolist(), numpy_generator(0))
    half = 1.96 * values.std() / 20
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.03)
    assert found.high == pytest.approx(values.mean() + half, abs=0.03)


def test_missing_values_are_left_out():
    """None is not a zero, and the mean of nothing but None is None."""
    found = bootstrap_mean([1.0, None, 3.0], numpy_generator(0))
    assert (found.mean, found.shapes) == (2.0, 2)
    assert estimate_or_none([None, None], numpy_generator(0)) is None


def test_equal_values_have_no_interval():
    """Where all shapes agree, resampling them changes nothing."""
    assert bootstrap_mean([0.5] * 4, numpy_generator(0)) == (0.5, 0.5, 0.5, 4)
