"""Means with an interval, by resampling the groups that the values come from."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

RESAMPLES = 2000
PERCENTILES = (2.5, 97.5)


class Estimate(NamedTuple):
    """A mean with a 95 % interval."""

    mean: float
    low: float
    high: float
    shapes: int  # that it is the mean of


def bootstrap_mean(values: Sequence[float | None], generator: np.random.Generator) -> Estimate:
    """Return the mean of values, one for each shape, and its percentile bootstrap interval.

    Shapes are what is resampled, with replacement, since networks of one shape are alike.

    Args:
        values: One for each shape; None where a shape has none, which is left out.
        generator: Draws the resamples.

    Raises:
        ValueError: no value at all.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13.
    """
    known = np.array([value for value in values if value is not None])
    if not len(known):
        raise ValueError("the mean of nothing")
    chosen = generator.integers(len(known), size=(RESAMPLES, len(known)))
    low, high = np.percentile(known[chosen].mean(axis=1), PERCENTILES)
    return Estimate(float(known.mean()), float(low), float(high), len(known))


def estimate_or_none(
    values: Sequence[float | None], generator: np.random.Generator
) -> Estimate | None:
    """Return ``bootstrap_mean``, or None where there is no value."""
    return None if all(value is None for value in values) else bootstrap_mean(values, generator)
