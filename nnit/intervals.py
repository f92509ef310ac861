"""95 % intervals of what networks of several shapes did in the same initial states.

Outcomes of networks that face the same states are not independent: a state that is hard is hard for
all of them. Nor are those of networks of one shape. What is reported is meant for further shapes
and further states, so that both count as drawn: crossed random effects.

Axis letters: S shapes, R initial states (the seeds of resets).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

UPPER = 0.975  # of a distribution, below the upper bound of a 95 % interval
Z_95 = 1.959963984540054  # the standard normal's quantile there
APART = 0.1  # share of networks by which two methods differ in a state
FEW = 5  # hard states; fewer say too little of how hard those are that were not met


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


class Level(NamedTuple):
    """A share of successes with its interval."""

    mean: float
    interval: Interval

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.interval.low:.3f}, {self.interval.high:.3f}]"


class Estimate(NamedTuple):
    """A mean with a 95 % interval."""

    mean: float
    low: float
    high: float
    shapes: int  # that it is the mean of


class Variance(NamedTuple):
    """How far a mean over shapes and states may be from that over all of them."""

    value: float
    freedom: float  # degrees of it, of Student's t


def students_t(freedom: float) -> float:
    """Return the quantile of Student's t below the upper bound of a 95 % interval."""
    from scipy.special import stdtrit  # late: it takes long to import, and seldom is needed

    return float(stdtrit(freedom, UPPER))


def wilson_interval(share: float, trials: float, z: float = Z_95) -> Interval:
    """Return the Wilson score interval of a share of successes.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    Args:
        share: Of the trials, within 0 to 1.
        trials: Their number; of trials that are not independent, that of as many that would be.
        z: The normal quantile.

    Raises:
        ValueError: no trial, or not a share.
    """
    if trials <= 0 or not 0 <= share <= 1:
        raise ValueError(f"a share {share} of {trials} trials")
    denominator = 1 + z**2 / trials
    centre = (share + z**2 / (2 * trials)) / denominator
    half = z * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2)) / denominator
    low = 0.0 if share == 0 else max(0.0, centre - half)
    high = 1.0 if share == 1 else min(1.0, centre + half)
    return Interval(low, high)


def crossed_variance(cells: np.ndarray) -> Variance:
    """Return the variance of the mean of cells whose rows and columns were both drawn.

    The means of rows vary by what rows and cells have of their own, those of columns likewise: what
    cells have is counted twice, and taken off once. A bootstrap over rows and columns counts it
    three times, so that its intervals are too wide where cells are all that varies.

    Source: Owen 2007, "The pigeonhole bootstrap" (doi:10.1214/07-AOAS122); degrees of freedom
    by Satterthwaite 1946.

    Args:
        cells: ``(S, R)``. One row, or one column, says nothing of others like it.
    """
    num_rows, num_columns = cells.shape
    rows, columns = cells.mean(axis=1, keepdims=True), cells.mean(axis=0, keepdims=True)
    of_rows = float(rows.var(ddof=1)) / num_rows if num_rows > 1 else 0.0
    of_columns = float(columns.var(ddof=1)) / num_columns if num_columns > 1 else 0.0
    freedom = (num_rows - 1, num_columns - 1)
    beside = 0.0
    if min(freedom) > 0:
        residual = cells - rows - columns + cells.mean()
        beside = float(np.square(residual).sum()) / math.prod(freedom) / cells.size
    value = max(of_rows + of_columns - beside, of_rows, of_columns)
    parts = (max(0.0, of_rows - beside), max(0.0, of_columns - beside), beside)
    shares = zip(parts, (*freedom, math.prod(freedom)), strict=True)
    spread = sum(part**2 / degrees for part, degrees in shares if part > 0)
    least = min((one for one in freedom if one > 0), default=0)
    return Variance(value, max(least, value**2 / spread) if spread > 0 else least)


def success_interval(cells: np.ndarray) -> Interval:
    """Return Wilson's interval of success, of as many trials as the cells are worth.

    That is ``p (1 - p)`` over the variance of their mean; where nothing varies, the number of
    states. A state that all networks fail in counts as one trial, however many they are, and such
    states are rare: unless ``FEW`` of them were met, the interval allows for those that were not.

    Of few shapes that differ much it covers less than it says, some 90 % with six of them: of how
    much others differ it knows these alone.

    Source: Korn and Graubard 1998, "Confidence intervals for proportions with small expected number
    of positive counts estimated from survey data", with Wilson's in place of theirs, as in
    Dean and Pagano 2015.

    Args:
        cells: ``(S, R)``, the share of the networks of a shape that succeed from a state.
    """
    share = min(1.0, float(cells.mean()))
    variance = crossed_variance(cells)
    states = cells.shape[1] if cells.shape[1] > 1 else cells.shape[0]
    trials, z = float(states), Z_95
    if variance.value > 0:
        trials = share * (1 - share) / variance.value
        z = students_t(variance.freedom)
    low, high = wilson_interval(share, trials, z)
    by_state = cells.mean(axis=0)
    low = min(low, share - unmet_share(1 - by_state, 0.5, FEW))
    high = max(high, share + unmet_share(by_state, 0.5, FEW))
    return Interval(max(0.0, low), min(1.0, high))


def difference_interval(ours: np.ndarray, theirs: np.ndarray) -> Interval:
    """Return the interval of the mean difference of two methods on the same shapes and states.

    Student's, by the crossed variance of the differences. States in which one method is better may
    be rare too; Student's interval being as long on both sides, they are allowed for however many
    were met: more that a method is worse in never make two more alike.

    Args:
        ours: ``(S, R)``, as there.
        theirs: Likewise, of the other method.

    Raises:
        ValueError: not of the same shapes and states.
    """
    if ours.shape != theirs.shape:
        raise ValueError(f"{ours.shape} beside {theirs.shape}: not in pairs")
    cells = ours - theirs
    mean, variance = float(cells.mean()), crossed_variance(cells)
    half = 0.0
    if variance.value > 0:
        half = students_t(variance.freedom) * math.sqrt(variance.value)
    by_state = cells.mean(axis=0)
    low = mean - max(half, unmet_share(-by_state, APART))
    high = mean + max(half, unmet_share(by_state, APART))
    return Interval(max(-1.0, low), min(1.0, high))


def unmet_share(sizes: np.ndarray, least: float, enough: float = math.inf) -> float:
    """Return how much more states of a rare kind may add to a mean than those that were met.

    Wilson's upper bound of their share, less the share, times their size: the mean of those met, of
    ``FEW`` at least, as if those that were not met were as large as can be. So what more states
    of a kind are known of the less is allowed for, step by step.

    Args:
        sizes: ``(R,)``, what each state adds. One state tells nothing.
        least: States that add more are of the kind.
        enough: As many of them leave nothing to be allowed for.
    """
    met = sizes[sizes > least]
    if len(sizes) == 1 or len(met) >= enough:
        return 0.0
    known = max(FEW, len(met))
    size = (float(met.sum()) + known - len(met)) / known
    share = len(met) / len(sizes)
    return size * (wilson_interval(share, len(sizes)).high - share)


def mean_interval(values: Sequence[float]) -> Estimate:
    """Return the mean of values, one for each shape, with Student's interval.

    Raises:
        ValueError: no value at all.
    """
    if not len(values):
        raise ValueError("the mean of nothing")
    mean, half = float(np.mean(values)), 0.0
    if len(values) > 1:
        half = float(students_t(len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
    return Estimate(mean, mean - half, mean + half, len(values))
