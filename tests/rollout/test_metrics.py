"""Success and its interval."""

import numpy as np
import pytest

from nnit.rollout.metrics import Evaluation, summarise_episode, wilson_interval


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
