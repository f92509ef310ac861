"""A race of networks on common initial states: which of them are on the front of size and success.

Two parts. In the first, all candidates run the same episodes, and after each round those leave
that are clearly no part of the front; what "clearly" means has a bound on the error. In the
second, what is left runs on from the smallest to the largest, and a network leaves as soon as it
can't overtake a smaller one any more; that makes no error at all.

Source: Hoeffding races (Maron and Moore 1993) drop a model when its interval lies below another's
on common test points; successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943) drops
the worse half after each round. What differs here: the question is not the one best but the best
of each size, so that a candidate is held against smaller ones alone; the test is exact and
paired (a sign test on the episodes where two networks differ) where Hoeffding's bound would need
several times as many episodes; and the number dropped follows from the evidence, not from a
schedule.
"""

import math
from collections.abc import Generator, Sequence
from functools import cache
from typing import NamedTuple

DOMINATED, BELOW_FLOOR, OUTRUN = "dominated", "below floor", "outrun"
LEFT_AS = (DOMINATED, BELOW_FLOOR, OUTRUN)
FLOOR_SHARE = 0.2  # of alpha, for the test against the floor
TOGETHER = 8  # networks that run on at a time in the second part, whatever the number of workers


class RaceRules(NamedTuple):
    """How many episodes, and when a candidate leaves."""

    first_episodes: int  # of a round
    race_episodes: int  # after which candidates run on in order of size
    episodes: int  # of a network that is on the front
    alpha: float = 0.05  # chance that a candidate of the front leaves in the first part
    tolerance: float = 0.0  # a candidate doesn't leave for so small a difference of success
    floor: float = 0.0  # the front begins at this success

    def round_ends(self) -> list[int]:
        """Return the episodes that a candidate has run after each round of the first part."""
        last = min(self.race_episodes, self.episodes)
        return [*range(self.first_episodes, last, self.first_episodes), last]


class Turn(NamedTuple):
    """Episodes that one candidate runs next."""

    candidate: int
    first_episode: int
    num_episodes: int


class Standing(NamedTuple):
    """What became of a candidate."""

    outcomes: tuple[bool, ...]  # success of the episodes that it ran, from the first one on
    round_left: int = 0  # 0: it ran all episodes
    left_as: str = ""  # one of LEFT_AS

    @property
    def successes(self) -> int:
        """Episodes with success."""
        return sum(self.outcomes)


Outcomes = Sequence[Sequence[bool]]  # of each turn, success of each episode
Race = Generator[list[Turn], Outcomes, list[Standing]]


def race(sizes: Sequence[int], rules: RaceRules) -> Race:
    """Run a race; yields the turns of each round and is sent what they gave.

    A candidate is on the front where its success is at least ``floor`` and no smaller one's is as
    high. After the first round each candidate gets one rival: of those before it, the one with
    the most successes, the smallest of these. From then on a candidate leaves

    - ``dominated``: if, over the episodes after the first round, its rival won so many of those
      that they ended differently, and more than ``tolerance`` of all, that an exact one-sided sign
      test of "the rival is no better" refuses it;
    - ``below floor``: if an exact binomial test refuses that its success is ``floor``.

    The rivals, at most one for each number of successes in the first round, don't leave.

    The guarantee: where initial states are independent draws, a candidate whose success is at
    least ``floor`` and that of every smaller one leaves the first part with a chance of at most
    ``alpha``. The rival is chosen by the first round and tested on the others, so that neither
    the number of candidates nor the choice needs a correction; the number of rounds is corrected
    for by Bonferroni's bound. The second part (``run_on``) leaves the front as it would be if all
    that are left ran all episodes.

    Args:
        sizes: Of each candidate, ascending.
        rules: How many episodes, and the bounds.

    Returns:
        Each candidate's standing.

    Raises:
        ValueError: the sizes do not ascend.
    """
    if list(sizes) != sorted(sizes):
        raise ValueError("candidates must come in ascending size")
    standings = [Standing(()) for _ in sizes]
    ends = rules.round_ends()
    rivals: list[int | None] = [None] * len(sizes)
    begin = 0
    for number, end in enumerate(ends, 1):
        active = [k for k, standing in enumerate(standings) if not standing.round_left]
        yield from _take_turns(standings, [Turn(k, begin, end - begin) for k in active])
        if number == 1:
            rivals = choose_rivals([standing.successes for standing in standings])
        if number < len(ends):  # after the last round there is nothing to save here
            for k in set(active) - set(rivals):
                reason = _reason_to_leave(standings, k, rivals[k], number, rules)
                if reason:
                    standings[k] = standings[k]._replace(round_left=number, left_as=reason)
        begin = end
    yield from run_on(standings, rules)
    return standings


def run_on(standings: list[Standing], rules: RaceRules) -> Generator[list[Turn], Outcomes, None]:
    """Run what is left to the full number of episodes, from small to large, where it matters.

    A candidate that can't have more successes in the end than a smaller one has already won't be
    on the front, and leaves as ``outrun``. No test is involved: the front is that of all who were
    left running everything. Standings are changed in place.
    """
    number = len(rules.round_ends())
    while True:
        number += 1
        waiting = []
        record = minimum_successes(rules) - 1
        for k, standing in enumerate(standings):
            if standing.round_left:
                continue
            left = rules.episodes - len(standing.outcomes)
            if left and standing.successes + left <= record:
                standings[k] = standing._replace(round_left=number, left_as=OUTRUN)
                continue
            if left:
                waiting.append(Turn(k, len(standing.outcomes), min(left, rules.first_episodes)))
            record = max(record, standing.successes)
        if not waiting:
            return
        yield from _take_turns(standings, waiting[:TOGETHER])


def choose_rivals(successes: Sequence[int]) -> list[int | None]:
    """Return for each candidate the best before it, the earliest of equals; None without any."""
    rivals: list[int | None] = []
    best: int | None = None
    for k, count in enumerate(successes):
        rivals.append(best)
        if count > (0 if best is None else successes[best]):
            best = k
    return rivals


def find_front(sizes: Sequence[int], standings: Sequence[Standing], rules: RaceRules) -> list[int]:
    """Return the candidates of the front, from small to large.

    They ran all episodes, with at least ``floor`` of them in success and more than every other of
    the same size or smaller; of two alike the earlier one counts.
    """
    done = [k for k, standing in enumerate(standings) if not standing.round_left]
    front, record = [], minimum_successes(rules) - 1
    for k in sorted(done, key=lambda k: (sizes[k], -standings[k].successes, k)):
        if standings[k].successes > record:
            front.append(k)
            record = standings[k].successes
    return front


def minimum_successes(rules: RaceRules) -> int:
    """Return the fewest successes of all episodes that are not below the floor."""
    fewest = max(0, math.ceil(rules.floor * rules.episodes) - 1)  # or one less, as floats round
    while fewest / rules.episodes < rules.floor:
        fewest += 1
    return fewest


@cache
def chance_of_at_most(successes: int, trials: int, rate: float) -> float:
    """Return the chance of no more successes than these, each having the chance ``rate``."""
    from scipy.stats import binom  # late: it takes a second to import, and races alone need it

    return float(binom.cdf(successes, trials, rate))


def _take_turns(
    standings: list[Standing], turns: list[Turn]
) -> Generator[list[Turn], Outcomes, None]:
    if not turns:  # everybody has left
        return
    outcomes = yield turns
    for turn, found in zip(turns, outcomes, strict=True):
        standing = standings[turn.candidate]
        standings[turn.candidate] = standing._replace(outcomes=(*standing.outcomes, *found))


def _reason_to_leave(
    standings: Sequence[Standing], k: int, rival: int | None, number: int, rules: RaceRules
) -> str:
    """Return why a candidate leaves after a round, or nothing."""
    looks = len(rules.round_ends()) - 1
    mine = standings[k]
    if chance_of_at_most(mine.successes, len(mine.outcomes), rules.floor) <= (
        FLOOR_SHARE * rules.alpha / looks
    ):
        return BELOW_FLOOR
    if rival is None or number == 1:
        return ""
    pairs = list(zip(standings[rival].outcomes, mine.outcomes, strict=True))
    pairs = pairs[rules.first_episodes :]
    wins = sum(theirs and not my for theirs, my in pairs)
    losses = sum(my and not theirs for theirs, my in pairs)
    chance = chance_of_at_most(losses, wins + losses, 0.5)
    clear = chance <= (1 - FLOOR_SHARE) * rules.alpha / (looks - 1)
    return DOMINATED if clear and wins - losses > rules.tolerance * len(pairs) else ""
