"""The hypernetwork that is kept is one that was measured, and none was measured better."""

import numpy as np

from nnit.ppo.best import WINDOW, Best, load_best

NAN = float("nan")


def judged(returns, best=None) -> Best:
    """Judge iterations whose arrays are their own numbers."""
    best = best or Best()
    for mean_return in returns:
        best.judge(mean_return, {"made of": np.array([mean_return])})
    return best


def test_a_collapse_after_the_best_does_not_count():
    """As it happens on CartPole: perfect for a while, then unlearnt."""
    best = judged([20, 100, 500, 500, 500, 500, 500, 300, 40, 30])
    assert best.score == 500
    assert best.arrays["made of"] == [500]


def test_one_lucky_iteration_is_not_the_best():
    """The mean of the last ones counts: 100 after a lot of 10 is less than 60 throughout."""
    best = judged([*[60] * WINDOW, *[10] * WINDOW, 100])
    assert best.score == 60
    assert best.arrays["made of"] == [60]


def test_luck_at_the_beginning_is_not_the_best():
    """The first iterations, with few before them to be averaged with, do not win by that."""
    best = judged([100, *[10] * WINDOW, *[60] * (2 * WINDOW)])
    assert best.score == 60
    assert best.arrays["made of"] == [60]


def test_of_equals_the_latest_and_nothing_without_episodes():
    """Ties go to what has learnt longer; iterations that finished no episode say nothing."""
    best = Best()
    for k, mean_return in enumerate([NAN, 5.0, 5.0, NAN]):
        best.judge(mean_return, {"iteration": np.array([k])})
    assert best.arrays["iteration"] == [2]
    assert judged([NAN]).arrays == {}


def test_saved_and_loaded_it_goes_on_the_same():
    """State as named arrays, before anything was measured too."""
    first, rest = [NAN, 3.0, 7.0, 6.0], [6.5, 7.0, 1.0]
    for count in range(len(first) + 1):
        part = judged(first[:count])
        arrays = {"other": np.zeros(1), **part.state("best/")}
        resumed, whole = judged(rest, load_best(arrays, "best/")), judged([*first[:count], *rest])
        assert (resumed.score, resumed.returns) == (whole.score, whole.returns)
        assert resumed.arrays == whole.arrays
