"""Mean and variance of all that was seen, kept up to date as more comes.

Source: Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance".
"""

from typing import NamedTuple

import numpy as np

FEWEST = 1e-4  # rows that stand for what is believed before anything was seen


class Statistics(NamedTuple):
    """Of rows of ``D`` numbers."""

    rows: np.ndarray  # () float64, how many
    mean: np.ndarray  # (D,) float64
    variance: np.ndarray  # (D,) float64

    @property
    def deviation(self) -> np.ndarray:
        """The standard deviation ``(D,)``."""
        return np.sqrt(self.variance)


def no_statistics(size: int) -> Statistics:
    """Return mean 0 and variance 1, which the first rows replace."""
    return Statistics(np.array(FEWEST), np.zeros(size), np.ones(size))


def updated(known: Statistics, rows: np.ndarray) -> Statistics:
    """Return the statistics with more rows ``(N, D)``."""
    more, mean, variance = len(rows), rows.mean(axis=0), rows.var(axis=0)
    total = known.rows + more
    difference = mean - known.mean
    squares = known.variance * known.rows + variance * more
    squares = squares + difference**2 * known.rows * more / total
    return Statistics(np.array(total), known.mean + difference * more / total, squares / total)
