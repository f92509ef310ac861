"""What a frontier answers."""

from dataclasses import replace

import pytest

from nnit.frontier.front import Candidate, Frontier
from nnit.frontier.race import BELOW_FLOOR, OUTRUN, RaceRules, Standing
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


def test_a_larger_one_does_the_job_where_the_smallest_was_lucky():
    """One that the race did not run to its end for the luck of a smaller one; not a worse one."""
    lucky, worse, outrun = (
        Candidate((8,), "train", Standing(ALWAYS), (True,) * 90 + (False,) * 10),
        Candidate((12,), "train", Standing((False,) * 20, 2, BELOW_FLOOR)),
        Candidate((16,), "train", Standing((True,) * 40, 5, OUTRUN)),
    )
    found = Frontier((lucky, worse, outrun), RULES, 0.95, INTERFACE)
    assert (found.smallest, found.is_met, found.front, found.next_to_try) == (0, False, [0], 2)
    tried = found.run_to_the_end(2, (True,) * 60).confirmed({2: ALWAYS})
    assert tried.candidates[2].standing.outcomes == ALWAYS
    assert (tried.smallest, tried.is_met, tried.front, tried.next_to_try) == (2, True, [0, 2], None)
    assert ": 16 with 98 parameters, 1.000 [" in tried.answer()
    assert tried.answer().endswith("in 100 fresh episodes (1 smaller not confirmed)")
    before = replace(tried, goes_on=False)
    assert (before.smallest, before.is_met, before.front) == (0, False, [0])
    failed = found.run_to_the_end(2, (False,) * 60)
    assert (failed.smallest, failed.next_to_try) == (0, None)
