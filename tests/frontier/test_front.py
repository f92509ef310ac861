"""What a frontier answers."""

import pytest

from nnit.frontier.front import Candidate, Frontier
from nnit.frontier.race import RaceRules, Standing
from nnit.intervals import wilson_interval
from nnit.mlp import PolicyInterface

RULES = RaceRules(10, 40, 100, 0.05, 0.0, 0.5)
INTERFACE = PolicyInterface("PushCube-v1", "joint", 3, 2, 50, (0.0,) * 3, (1.0,) * 3)
ALWAYS = (True,) * 100


def frontier(*confirmed):
    """Return two candidates that always succeeded, the smaller one with a further run."""
    candidates = tuple(Candidate((k,), "train", Standing(ALWAYS)) for k in (8, 16))
    found = Frontier(candidates, RULES, 0.95, INTERFACE)
    return found.confirmed({0: confirmed[0]}) if confirmed else found


def test_the_smallest_of_the_race_is_the_answer_where_nothing_was_confirmed():
    """Its lower bound is enough."""
    found = frontier()
    assert (found.smallest, found.is_met) == (0, True)
    assert found.answer().endswith(": 8 with 50 parameters")


@pytest.mark.parametrize(("successes", "met"), [(100, True), (96, False)])
def test_it_has_to_do_as_well_in_further_episodes(successes, met):
    """Else it was chosen by its luck; the answer says what it reached."""
    found = frontier((True,) * successes + (False,) * (100 - successes))
    low, high = wilson_interval(successes / 100, 100)
    assert (low >= 0.95, found.smallest, found.is_met) == (met, 0, met)
    said = f"{successes / 100:.3f} [{low:.3f}, {high:.3f}] in 100 fresh episodes"
    between = ", " if met else ", not confirmed: "
    assert found.answer().endswith(f"parameters{between}{said}")
