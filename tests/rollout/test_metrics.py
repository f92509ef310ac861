"""Success and its interval."""

import numpy as np
import pytest
from scipy.stats import binom

from nnit.rollout.metrics import (
    Evaluation,
    Interval,
    Tally,
    bootstrap_interval,
    comparison_interval,
    expanded_tail,
    summarise_episode,
    tallies_by_architecture,
    wider,
    wilson_interval,
)


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (5, 10), (98, 100), (100, 100)])
def test_wilson_interval_bounds_solve_its_equation(successes, trials):
    """An inner bound p satisfies |share - p| = z sqrt(p (1 - p) / n): the interval inverts it."""
    share = successes / trials
    interval = wilson_interval(successes, trials)
    assert 0 <= interval.low <= share <= interval.high <= 1
    for bound in interval:
        if 0 < bound < 1:
            distance = 1.959963984540054 * np.sqrt(bound * (1 - bound) / trials)
            assert abs(share - bound) == pytest.approx(distance)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(successes, trials):
    """There are between none and all successes, of at least one trial."""
    with pytest.raises(ValueError, match="trials"):
        wilson_interval(successes, trials)


def test_success_once_and_at_end_differ():
    """Success that is lost again counts once, not at the end; the return counts its steps."""
    lost = summarise_episode(0, 7, [False, True, True, False])
    kept = summarise_episode(1, 8, [False, False, False, True])
    never = summarise_episode(2, 9, [False] * 4)
    assert (lost.success_once, lost.success_at_end, lost.episode_return) == (True, False, 2.0)
    assert (kept.success_once, kept.success_at_end, kept.episode_return) == (True, True, 1.0)
    assert (never.success_once, never.success_at_end, never.episode_return) == (False, False, 0.0)
    assert {episode.episode_len for episode in (lost, kept, never)} == {4}
    evaluation = Evaluation("a", "zoo", (8,), "", (lost, kept, never))
    assert evaluation.success_once == pytest.approx(2 / 3)
    assert evaluation.success_at_end == pytest.approx(1 / 3)
    assert evaluation.interval == wilson_interval(2, 3)


def test_bootstrap_of_equal_architectures_is_a_point():
    """Without differences between architectures there is nothing to resample."""
    assert bootstrap_interval([Tally(9, 10)] * 5) == (0.9, 0.9)
    assert bootstrap_interval([Tally(7, 10)]) == (0.7, 0.7)


def test_bootstrap_of_two_opposite_architectures_spans_everything():
    """Both draws are the failing one a quarter of the time: beyond 2.5 % on either side."""
    assert bootstrap_interval([Tally(0, 10), Tally(10, 10)]) == (0.0, 1.0)


def test_bootstrap_bounds_are_those_of_the_binomial():
    """Of n all-or-nothing architectures the resampled share is binomial; so are its quantiles."""
    successes, n = 70, 100
    tallies = [Tally(4, 4)] * successes + [Tally(0, 4)] * (n - successes)
    low, high = bootstrap_interval(tallies)
    assert low == pytest.approx(binom.ppf(0.025, n, successes / n) / n, abs=0.0101)
    assert high == pytest.approx(binom.ppf(0.975, n, successes / n) / n, abs=0.0101)


def test_bootstrap_weighs_architectures_by_their_episodes():
    """Episodes of the drawn architectures are taken together, as in the pooled interval."""
    low, high = bootstrap_interval([Tally(0, 10), Tally(30, 30)])
    assert (low, high) == (0.0, 1.0)
    many = bootstrap_interval([Tally(0, 10), Tally(30, 30)] * 50)
    assert many.low < 0.75 < many.high


def test_bootstrap_is_the_same_every_time_and_symmetric_in_failure():
    """Constant draws; failures instead of successes mirror the interval."""
    tallies = [Tally(k, 20) for k in (20, 19, 17, 11, 20, 3)]
    mirrored = [Tally(20 - successes, 20) for successes, _ in tallies]
    low, high = bootstrap_interval(tallies)
    assert bootstrap_interval(tallies) == (low, high)
    assert bootstrap_interval(mirrored) == pytest.approx((1 - high, 1 - low))


def test_bootstrap_covers_the_mean_where_architectures_differ_and_wilson_does_not():
    """Drawn 300 times: nearly 95 % for the bootstrap, far less for independent episodes."""
    generator, mean = np.random.default_rng(0), 0.75
    covered = {"bootstrap": 0, "wilson": 0, "wider": 0}
    for _ in range(300):
        shares = generator.beta(3, 1, size=24)  # of mean 3 / 4
        tallies = [Tally(int(generator.binomial(100, share)), 100) for share in shares]
        bootstrap = bootstrap_interval(tallies)
        wilson = wilson_interval(sum(t.successes for t in tallies), 2400)
        for name, interval in {
            "bootstrap": bootstrap,
            "wilson": wilson,
            "wider": wider(wilson, bootstrap),
        }.items():
            covered[name] += interval.low <= mean <= interval.high
    assert 0.89 <= covered["bootstrap"] / 300 <= 0.98
    assert covered["wilson"] / 300 < 0.5
    assert covered["wider"] >= covered["bootstrap"]


def test_the_interval_of_few_shapes_covers_their_mean():
    """Of six shapes, drawn 400 times: more often than the plain percentiles."""
    rng = np.random.default_rng(0)
    covered = {"plain": 0, "expanded": 0}
    for _ in range(400):
        tallies = [Tally(round(1000 * p), 1000) for p in rng.beta(9, 1, 6)]
        intervals = {
            "plain": bootstrap_interval(tallies),
            "expanded": bootstrap_interval(tallies, expanded_tail(6)),
        }
        for name, (low, high) in intervals.items():
            covered[name] += low <= 0.9 <= high
    assert covered["plain"] / 400 < 0.86
    assert covered["expanded"] / 400 > 0.88


def test_the_tail_of_many_shapes_is_the_plain_one():
    """And that of fewer is smaller."""
    tails = [expanded_tail(count) for count in (2, 6, 24, 10_000)]
    assert tails == sorted(tails)
    assert tails[-1] == pytest.approx(0.025, abs=1e-4)


@pytest.mark.parametrize("tallies", [[], [Tally(0, 0)], [Tally(1, 2), Tally(0, 0)]])
def test_bootstrap_of_nothing_is_refused(tallies):
    """Every architecture has a trial."""
    with pytest.raises(ValueError, match="trial"):
        bootstrap_interval(tallies)


def test_a_comparison_uses_the_wider_interval():
    """Wilson's where architectures agree, the bootstrap where they do not."""
    assert wider(Interval(0.1, 0.2), Interval(0.0, 0.05)) == (0.1, 0.2)

    def evaluation(width, *outcomes):
        episodes = [summarise_episode(k, k, [once]) for k, once in enumerate(outcomes)]
        return Evaluation(f"a-{width}", "zoo", (width,), "", tuple(episodes))

    agree = [evaluation(width, True, False) for width in (4, 8)]
    assert comparison_interval(agree) == wilson_interval(2, 4)
    differ = [evaluation(4, *[True] * 20), evaluation(8, *[False] * 20)]
    assert comparison_interval(differ) == (0.0, 1.0)


def test_networks_of_one_architecture_stay_together():
    """Two networks of one shape that succeed and fail say nothing about other shapes."""
    same = [
        Evaluation(name, "zoo", (8,), "", (summarise_episode(0, 0, [once]),))
        for name, once in {"a": True, "b": False}.items()
    ]
    assert bootstrap_interval(tallies_by_architecture(same)) == (0.5, 0.5)
