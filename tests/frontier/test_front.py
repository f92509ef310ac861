"""What a frontier answers."""

from dataclasses import replace
from math import comb

import pytest

from nnit.frontier.front import TESTS, Candidate, Frontier, z_of_tests
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


@pytest.mark.parametrize(("failures", "met"), [(1, True), (2, False)])
def test_it_has_to_do_as_well_in_further_episodes(failures, met):
    """Else it was chosen by its luck; the answer says what it reached."""
    found = frontier((True,) * (200 - failures) + (False,) * failures)
    low, high = wilson_interval(1 - failures / 200, 200, z_of_tests(TESTS))
    assert (low >= 0.95, found.smallest, found.is_met) == (met, 0, met)
    said = f"{1 - failures / 200:.3f} [{low:.3f}, {high:.3f}] in 200 fresh episodes"
    between = ", " if met else ", not confirmed: "
    assert found.answer().endswith(f"parameters{between}{said}")


def test_a_larger_one_does_the_job_where_the_smallest_was_lucky():
    """One that the race did not run to its end for the luck of a smaller one; not a worse one."""
    lucky, worse, outrun = (
        Candidate((8,), "train", Standing(ALWAYS), (True,) * 180 + (False,) * 20),
        Candidate((12,), "train", Standing((False,) * 20, 2, BELOW_FLOOR)),
        Candidate((16,), "train", Standing((True,) * 40, 5, OUTRUN)),
    )
    found = Frontier((lucky, worse, outrun), RULES, 0.95, INTERFACE)
    assert (found.smallest, found.is_met, found.front, found.next_to_try) == (0, False, [0], 2)
    tried = found.run_to_the_end(2, (True,) * 60).confirmed({2: (True,) * 200})
    assert tried.candidates[2].standing.outcomes == ALWAYS
    assert (tried.smallest, tried.is_met, tried.front, tried.next_to_try) == (2, True, [0, 2], None)
    assert ": 16 with 98 parameters, 1.000 [" in tried.answer()
    assert tried.answer().endswith("in 200 fresh episodes (1 smaller not confirmed)")
    before = replace(tried, tests=1)
    assert (before.smallest, before.is_met, before.front) == (0, False, [0])
    failed = found.run_to_the_end(2, (False,) * 60)
    assert (failed.smallest, failed.next_to_try) == (0, None)


def one_by_one(outcomes):
    """Try candidates of ever larger size as the stage does, all of which seemed enough."""
    candidates = tuple(Candidate((8 + k,), "train", Standing(ALWAYS)) for k in range(len(outcomes)))
    found = Frontier(candidates, RULES, 0.9, INTERFACE).confirmed({0: outcomes[0]})
    while (k := found.next_to_try) is not None:
        found = found.confirmed({k: outcomes[k]})
    return found


def test_only_so_many_are_tried():
    """Further ones are not, whatever they would have done."""
    failing, passing = (False,) * 100, (True,) * 100
    assert one_by_one([failing] * (TESTS - 1) + [passing]).smallest == TESTS - 1
    last = one_by_one([failing] * TESTS + [passing])
    assert (last.is_met, last.candidates[TESTS].confirmation) == (False, ())
    assert not last.confirmed({TESTS: passing}).is_met


@pytest.mark.parametrize("episodes", [100, 200, 500])
@pytest.mark.parametrize("wanted", [0.8, 0.9, 0.95])
def test_all_tests_together_are_wrong_as_seldom_as_one(wanted, episodes):
    """Of candidates that miss what is wanted by a hair, one search in forty confirms any.

    By the binomial distribution, however alike they fare in the states that they share. Were each
    test as lenient as if it were alone, more would, where they fare independently.
    """

    def chance_of_one(z):
        enough = [
            count
            for count in range(episodes + 1)
            if wilson_interval(count / episodes, episodes, z).low >= wanted
        ]
        return sum(comb(episodes, k) * wanted**k * (1 - wanted) ** (episodes - k) for k in enough)

    assert TESTS * chance_of_one(z_of_tests(TESTS)) <= 0.025
    assert 1 - (1 - chance_of_one(z_of_tests(1))) ** TESTS > 0.025
