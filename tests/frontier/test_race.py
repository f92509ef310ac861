"""A race loses a network of the front rarely, never by running on, and saves most episodes."""

import numpy as np
import pytest

from nnit.frontier.race import (
    BELOW_FLOOR,
    DOMINATED,
    OUTRUN,
    RaceRules,
    Standing,
    choose_rivals,
    find_front,
    minimum_successes,
    race,
    run_on,
)

RULES = RaceRules(first_episodes=10, race_episodes=40, episodes=100, floor=0.5)
ALPHA = RULES.alpha


def finish(contest, table):
    """Answer every turn of a race from a table of outcomes ``(candidates, episodes)``."""
    turns = next(contest)
    while True:
        found = [
            table[t.candidate, t.first_episode : t.first_episode + t.num_episodes].tolist()
            for t in turns
        ]
        try:
            turns = contest.send(found)
        except StopIteration as end:
            return end.value


def outcomes(rates, generator, episodes=100, shared=0.0):
    """Draw success of networks of known rates; some initial states are hard for all alike."""
    own = generator.random((len(rates), episodes))
    common = generator.random(episodes)
    uniform = np.where(generator.random(episodes) < shared, common, own)
    return uniform < np.array(rates)[:, None]


def held(sizes, table, rules=RULES):
    """Run a race on a table."""
    return finish(race(sizes, rules), table)


def test_where_nothing_works_all_leave_and_no_empty_round_is_asked_for():
    """Without a success in the first round nobody runs on, and the front is empty."""
    contest = race(range(1, 6), RULES)
    assert [turn.candidate for turn in next(contest)] == list(range(5))
    with pytest.raises(StopIteration) as ended:
        contest.send([[False] * RULES.first_episodes] * 5)
    standings = ended.value.value
    assert {(one.left_as, one.round_left) for one in standings} == {(BELOW_FLOOR, 1)}
    assert find_front(range(1, 6), standings, RULES) == []


@pytest.mark.parametrize("shared", [0.0, 0.7])
@pytest.mark.parametrize(
    "rates",
    [
        [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
        [0.5] * 30,  # on the floor, behind many that are as good but for luck
        [0.2, 0.9] + [0.89, 0.1] * 10 + [0.9],
    ],
)
def test_a_network_of_the_front_rarely_leaves(rates, shared):
    """In 500 races the last one, as good as every smaller one, leaves in at most 5 %."""
    generator, lost, runs = np.random.default_rng(1), 0, 500
    rules = RULES._replace(episodes=40)  # the first part alone
    for _ in range(runs):
        contest = held(range(len(rates)), outcomes(rates, generator, 40, shared), rules)
        lost += contest[-1].left_as in (DOMINATED, BELOW_FLOOR)
    assert lost / runs <= ALPHA


def test_dominated_ones_leave_early():
    """Half the success of a smaller one, or none at all: gone after about 20 of 100 episodes."""
    generator = np.random.default_rng(2)
    ran = {"worse": [], "hopeless": []}
    for _ in range(50):
        table = outcomes([0.98, 0.2, 0.0], generator)
        _, worse, hopeless = held([1, 2, 3], table)
        ran["worse"].append(len(worse.outcomes))
        ran["hopeless"].append(len(hopeless.outcomes))
    assert np.mean(ran["worse"]) <= 22
    assert np.mean(ran["hopeless"]) == 10


def test_most_episodes_are_saved():
    """Of 200 shapes whose success rises with size, a third of all episodes is saved."""
    generator = np.random.default_rng(3)
    rates = np.clip(np.linspace(0, 2, 200) + generator.normal(0, 0.1, 200), 0, 0.99)
    contest = held(range(200), outcomes(rates, generator, shared=0.5))
    assert sum(len(standing.outcomes) for standing in contest) < 2 / 3 * 200 * 100


def test_running_on_changes_no_front():
    """Whoever leaves as outrun is not on the front that running everything would give."""
    generator = np.random.default_rng(4)
    for trial in range(50):
        rates = np.sort(generator.random(12)) ** 0.3
        sizes = np.sort(generator.integers(1, 9, 12)).tolist()  # some of the same size
        table = outcomes(rates, generator)
        started = [Standing(tuple(row[:40])) for row in table.tolist()]
        rules = RULES._replace(floor=(0.0, 0.9)[trial % 2])
        standings = list(started)
        finish_run_on(standings, rules, table)
        everything = [Standing(tuple(row)) for row in table.tolist()]
        assert find_front(sizes, standings, rules) == find_front(sizes, everything, rules)


def finish_run_on(standings, rules, table):
    """Drive ``run_on`` from a table; standings change in place."""
    finish(run_on(standings, rules), table)


def test_a_race_by_hand():
    """Always, never, and 15 failures: full distance, out at once, outrun when 85 are reached."""
    table = np.array(
        [[False] * 100, [True] * 100, [True] * 40 + [False] * 15 + [True] * 45, [False] * 100]
    )
    contest = held([1, 2, 3, 4], table)
    assert [(len(s.outcomes), s.round_left, s.left_as) for s in contest] == [
        (10, 1, BELOW_FLOOR),
        (100, 0, ""),
        (90, 10, OUTRUN),
        (10, 1, BELOW_FLOOR),
    ]
    assert find_front([1, 2, 3, 4], contest, RULES) == [1]


def test_rivals_are_the_best_before_and_of_equals_the_first():
    """No success makes no rival; a tie goes to the smaller one."""
    assert choose_rivals([0, 3, 3, 2, 5, 1]) == [None, None, 1, 1, 1, 4]


def test_of_one_size_the_better_is_on_the_front():
    """Two of a size: the one with more successes; of two alike, the first; none below the floor."""
    rules = RaceRules(1, 1, 4, floor=0.5)
    rows = ["1000", "1100", "1110", "1110", "1110", "1111"]
    standings = [Standing(tuple(c == "1" for c in row)) for row in rows]
    assert find_front([1, 2, 2, 2, 3, 4], standings, rules) == [2, 5]


def test_tolerance_keeps_what_is_nearly_as_good():
    """A gap of 0.5 is clear; with a tolerance of 0.6 nobody leaves for it."""
    generator = np.random.default_rng(5)
    table = outcomes([0.98, 0.45], generator)
    assert held([1, 2], table)[1].left_as == DOMINATED
    assert held([1, 2], table, RULES._replace(tolerance=0.9))[1].left_as != DOMINATED


def test_sizes_must_ascend():
    """Otherwise "smaller" would mean nothing."""
    with pytest.raises(ValueError, match="ascending"):
        next(race([2, 1], RULES))


def test_the_fewest_successes_are_known_without_counting_up_to_them():
    """As by trying one after the other, and at once for any number of episodes."""
    for episodes in (1, 7, 10, 100):
        for floor in (0.0, 0.1, 0.29, 0.3, 0.7, 0.95, 1.0):
            by_trying = next(k for k in range(episodes + 1) if k / episodes >= floor)
            assert minimum_successes(RaceRules(1, 1, episodes, floor=floor)) == by_trying
    assert minimum_successes(RaceRules(1, 1, 10**9, floor=0.5)) == 5 * 10**8
