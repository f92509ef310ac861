"""Success of networks, and of several together."""

import numpy as np
import pytest

from nnit.intervals import success_interval, wilson_interval
from nnit.rollout.metrics import (
    Evaluation,
    success_cells,
    success_level,
    summarise_episode,
)


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
    assert evaluation.interval == wilson_interval(2 / 3, 3)


def network(name, width, outcomes, first_seed=0):
    """Return a network with an outcome from each of some states."""
    episodes = [summarise_episode(k, first_seed + k, [once]) for k, once in enumerate(outcomes)]
    return Evaluation(name, "zoo", (width,), "", tuple(episodes))


def test_networks_of_a_shape_are_one_row():
    """The share of them that succeeds from each state; the mean is over networks."""
    some = [
        network("a", 8, [True, True, False]),
        network("b", 4, [True, False, False]),
        network("c", 8, [True, False, False]),
    ]
    cells = np.array([[1, 0.5, 0], [1, 0, 0]])
    np.testing.assert_array_equal(success_cells(some), cells)
    level = success_level(some)
    assert level.mean == pytest.approx(4 / 9)
    assert level.interval == success_interval(cells)
    assert str(level) == f"0.444 [{level.interval.low:.3f}, {level.interval.high:.3f}]"


@pytest.mark.parametrize("other", [network("b", 4, [True] * 2), network("b", 4, [True], 1)])
def test_networks_that_faced_other_states_are_not_compared(other):
    """Neither more states nor different ones."""
    with pytest.raises(ValueError, match="2 sets of initial states"):
        success_cells([network("a", 8, [True]), other])
