"""Intervals over shapes and initial states."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from nnit.intervals import (
    Z_95,
    crossed_variance,
    difference_interval,
    mean_interval,
    success_interval,
    wilson_interval,
)

SAMPLES, STATES, RUNS = 3, 100, 300


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (5, 10), (98, 100), (100, 100)])
def test_wilson_interval_bounds_solve_its_equation(successes, trials):
    """An inner bound p satisfies |share - p| = z sqrt(p (1 - p) / n): the interval inverts it."""
    share = successes / trials
    interval = wilson_interval(share, trials)
    assert 0 <= interval.low <= share <= interval.high <= 1
    for bound in interval:
        if 0 < bound < 1:
            distance = Z_95 * np.sqrt(bound * (1 - bound) / trials)
            assert abs(share - bound) == pytest.approx(distance)


@pytest.mark.parametrize(("share", "trials"), [(0, 0), (-0.1, 5), (1.2, 5)])
def test_impossible_shares_are_refused(share, trials):
    """There are between none and all successes, of at least one trial."""
    with pytest.raises(ValueError, match="trials"):
        wilson_interval(share, trials)


def test_the_crossed_variance_is_that_of_random_rows_columns_and_cells():
    """On average, of effects with known variances."""
    rng, found = np.random.default_rng(0), []
    for _ in range(400):
        rows, columns = rng.normal(0, 0.3, (6, 1)), rng.normal(0, 0.5, (1, 10))
        found.append(crossed_variance(rows + columns + rng.normal(0, 1.0, (6, 10))).value)
    assert np.mean(found) == pytest.approx(0.3**2 / 6 + 0.5**2 / 10 + 1 / 60, rel=0.08)


def test_the_crossed_variance_is_symmetric():
    """Rows and columns play the same part; one row alone leaves the columns."""
    cells = np.random.default_rng(0).random((4, 7))
    assert crossed_variance(cells) == pytest.approx(crossed_variance(cells.T))
    alone = crossed_variance(cells[:1])
    assert alone == pytest.approx((cells[0].var(ddof=1) / 7, 6))


def hard_states(share, chance):
    """Return a draw of networks that succeed by chance in some states, and else nearly always."""

    def draw(rng, shapes):
        hard = rng.random(STATES) < share
        chances = np.where(hard, chance, 0.998)
        return rng.random((shapes, SAMPLES, STATES)) < chances, share * chance + (1 - share) * 0.998

    return draw


def differing_shapes(rng, shapes):
    """Draw networks of shapes that differ, in states that don't."""
    chances = rng.beta(9, 1, (shapes, 1, 1))
    return rng.random((shapes, SAMPLES, STATES)) < chances, 0.9


def both(rng, shapes):
    """Draw networks that differ in states that do too."""
    of_states, of_networks = rng.beta(1.5, 0.2, STATES), rng.beta(30, 1, (shapes, SAMPLES, 1))
    return rng.random((shapes, SAMPLES, STATES)) < of_states * of_networks, 1.5 / 1.7 * 30 / 31


CASES: dict[str, Callable] = {
    "3 % of the states can't be solved": hard_states(0.03, 0.0),
    "4 % are hard": hard_states(0.04, 0.1),
    "5 % are hard": hard_states(0.05, 0.3),
    "shapes differ": differing_shapes,
    "networks and states differ": both,
}


@pytest.mark.parametrize("shapes", [12, 24])
@pytest.mark.parametrize("case", CASES)
def test_intervals_cover_what_they_are_of(case, shapes):
    """In 93 to 97 % of simulated evaluations, give or take what 300 of them can tell.

    Intervals that take episodes for independent cover far less where states are hard.
    """
    rng, covered, pooled = np.random.default_rng(0), 0, 0
    for _ in range(RUNS):
        outcomes, truth = CASES[case](rng, shapes)
        low, high = success_interval(outcomes.mean(axis=1))
        covered += low <= truth <= high
        low, high = wilson_interval(outcomes.mean(), outcomes.size)
        pooled += low <= truth <= high
    assert 0.92 <= covered / RUNS <= 0.985
    assert pooled / RUNS < 0.7


@pytest.mark.parametrize("case", CASES)
def test_intervals_of_six_shapes_cover_nearly_as_much(case):
    """Of a kind of shapes there are six; where those differ much, they may all be good ones."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(RUNS):
        outcomes, truth = CASES[case](rng, 6)
        low, high = success_interval(outcomes.mean(axis=1))
        covered += low <= truth <= high
    assert 0.86 <= covered / RUNS <= 0.99


@pytest.mark.parametrize("rare", [0.005, 0.01])
def test_states_that_were_not_met_are_allowed_for(rare):
    """Where none or one of the states is hard, most draws do not show that there are such."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(RUNS):
        outcomes, truth = hard_states(rare, 0.0)(rng, 12)
        low, high = success_interval(outcomes.mean(axis=1))
        covered += low <= truth <= high
    assert covered / RUNS >= 0.93


def test_success_everywhere_is_worth_as_many_trials_as_there_are_states():
    """And failure likewise; a single state leaves the shapes."""
    assert success_interval(np.ones((12, 100))) == wilson_interval(1, 100)
    assert success_interval(np.zeros((12, 100))) == wilson_interval(0, 100)
    assert success_interval(np.ones((12, 1))) == wilson_interval(1, 12)


def test_failures_mirror_successes():
    """The interval of the failures is the other one's, turned round."""
    cells = (np.random.default_rng(0).random((6, 3, 40)) < 0.8).mean(axis=1)
    low, high = success_interval(cells)
    assert success_interval(1 - cells) == pytest.approx((1 - high, 1 - low))


def test_differences_are_paired():
    """Two methods that fail in the same states differ by less than either's level may be off."""
    rng, covered, widths = np.random.default_rng(0), 0, []
    for _ in range(RUNS):
        ours, theirs = two_methods(rng, share=0.3, chances=(0.6, 0.2))
        low, high = difference_interval(ours, theirs)
        covered += low <= 0.3 * 0.4 <= high
        wrong = wilson_interval(ours.mean(), 100), wilson_interval(theirs.mean(), 100)
        widths.append((high - low) / sum(one.high - one.low for one in wrong))
    assert 0.92 <= covered / RUNS <= 0.985
    assert np.mean(widths) < 0.7


def two_methods(rng, share, chances):
    """Draw cells of two methods whose chances differ in some states, the same for both."""
    hard = rng.random(STATES) < share
    return [
        (rng.random((12, SAMPLES, STATES)) < np.where(hard, chance, 0.95)).mean(axis=1)
        for chance in chances
    ]


@pytest.mark.parametrize("share", [0.01, 0.02, 0.05])
def test_rare_differences_are_allowed_for(share):
    """Where few states tell two methods apart, one draw may have none of them."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(RUNS):
        low, high = difference_interval(*two_methods(rng, share, (0.95, 0.0)))
        covered += low <= share * 0.95 <= high
    assert covered / RUNS >= 0.93


def test_small_differences_do_not_hide_rare_large_ones():
    """Where some states tell two methods apart a little, and one in a hundred wholly."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(RUNS):
        kind = rng.choice(3, STATES, p=[0.94, 0.05, 0.01])
        theirs = rng.random((12, SAMPLES, STATES)) < np.array([1.0, 0.8, 0.0])[kind]
        low, high = difference_interval(np.ones((12, STATES)), theirs.mean(axis=1))
        covered += low <= 0.05 * 0.2 + 0.01 <= high
    assert covered / RUNS >= 0.95


def test_no_difference_is_known_no_better_than_the_states_are_many():
    """The other way round it is the same with another sign; only pairs are compared."""
    unmet = wilson_interval(0, 100).high
    same = np.ones((12, 100))
    assert difference_interval(same, same) == pytest.approx((-unmet, unmet))
    ours, theirs = np.random.default_rng(0).random((2, 6, 40))
    low, high = difference_interval(ours, theirs)
    assert difference_interval(theirs, ours) == pytest.approx((-high, -low))
    with pytest.raises(ValueError, match="pairs"):
        difference_interval(ours, theirs[:5])


def test_means_have_students_interval():
    """That of scipy's test; of one value it is the value."""
    values = np.random.default_rng(0).normal(3.0, 2.0, size=12)
    interval = ttest_1samp(values, 0.0).confidence_interval(0.95)
    found = mean_interval(values.tolist())
    assert found == pytest.approx((values.mean(), interval.low, interval.high, 12))
    assert mean_interval([0.5]) == (0.5, 0.5, 0.5, 1)
    with pytest.raises(ValueError, match="nothing"):
        mean_interval([])
