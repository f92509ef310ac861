"""What a frontier has found: each candidate's sizes, success and place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import NamedTuple

from nnit.frontier.race import OUTRUN, RaceRules, Standing, find_front
from nnit.intervals import UPPER, Z_95, Interval, Level, wilson_interval
from nnit.mlp import Architecture, PolicyInterface, format_architecture

TESTS = 10  # of whether a candidate does the job in further states, until one does


class Candidate(NamedTuple):
    """A shape and how its network fared."""

    hidden_dims: Architecture
    kind: str  # "train", or how the shape is held out
    standing: Standing
    confirmation: tuple[bool, ...] = ()  # outcomes in states that it was not chosen by

    @property
    def success_once(self) -> float:
        """Share of the episodes of the race that it ran."""
        return self.standing.successes / len(self.standing.outcomes)

    @property
    def interval(self) -> Interval:
        """95 % Wilson interval of ``success_once``."""
        return wilson_interval(self.success_once, len(self.standing.outcomes))


@dataclass(frozen=True)
class Frontier:
    """All candidates in ascending size, and what was asked of them."""

    candidates: tuple[Candidate, ...]
    rules: RaceRules
    min_success: float  # what the smallest network is wanted for
    interface: PolicyInterface
    tests: int | None = TESTS  # that share one error; None: any number, each with its own

    def parameters(self, k: int) -> int:
        """Weights and biases of a candidate."""
        return self.interface.spec(self.candidates[k].hidden_dims).num_parameters

    def macs(self, k: int) -> int:
        """Multiplications of one forward pass of a candidate."""
        return self.interface.spec(self.candidates[k].hidden_dims).num_macs

    def confirmed_success(self, k: int) -> Level | None:
        """Success of a candidate in further states, if it ran in any.

        The interval is for ``tests`` of them together (Bonferroni): the chance that the lower bound
        of any is above its success is at most that of one alone in a 95 % interval.
        """
        outcomes = self.candidates[k].confirmation
        if not outcomes:
            return None
        share = sum(outcomes) / len(outcomes)
        return Level(share, wilson_interval(share, len(outcomes), z_of_tests(self.tests)))

    @property
    def front(self) -> list[int]:
        """The candidates of the front, from small to large, and the smallest that does the job."""
        return sorted({*self._of_race, *self._confirmed[:1]})

    @property
    def smallest(self) -> int | None:
        """The smallest candidate that does the job: its lower bound is at least ``min_success``.

        That is in the race and, where it ran any, in states that it was not chosen by: the best of
        many looks better in the episodes that it was chosen by than it is. Where none is confirmed,
        the smallest of the race.
        """
        return next(iter([*self._confirmed, *filter(self.seems_enough, self._of_race)]), None)

    @property
    def is_met(self) -> bool:
        """Whether there is one, and it is confirmed if it ran in further states."""
        if self.smallest is None:
            return False
        return not self.candidates[self.smallest].confirmation or bool(self._confirmed)

    @property
    def next_to_try(self) -> int | None:
        """The next larger candidate, where what seemed to do the job is not confirmed.

        One that did as well in the race, or was not run to its end for no other reason than that a
        smaller one had as many successes, which may have been luck.
        """
        if self.smallest is None or self.is_met or len(self._tested) == self.tests:
            return None
        for k in range(self.smallest + 1, len(self.candidates)):
            one = self.candidates[k]
            if one.standing.left_as == OUTRUN or (self.seems_enough(k) and not one.confirmation):
                return k
        return None

    def seems_enough(self, k: int) -> bool:
        """Whether a candidate does the job in the race, run to its end."""
        one = self.candidates[k]
        return not one.standing.round_left and one.interval.low >= self.min_success

    @property
    def _of_race(self) -> list[int]:
        sizes = [self.parameters(k) for k in range(len(self.candidates))]
        return find_front(sizes, [one.standing for one in self.candidates], self.rules)

    @property
    def _tested(self) -> list[int]:
        """The candidates whose success in further states decides, from small to large."""
        ran = [k for k, one in enumerate(self.candidates) if one.confirmation]
        return list(filter(self.seems_enough, ran))[: self.tests]

    @property
    def _confirmed(self) -> list[int]:
        levels = {k: self.confirmed_success(k) for k in self._tested}
        return [k for k, one in levels.items() if one and one.interval.low >= self.min_success]

    def confirmed(self, outcomes: Mapping[int, tuple[bool, ...]]) -> "Frontier":
        """Return it with outcomes of candidates in further states."""
        candidates = (
            one._replace(confirmation=outcomes.get(k, one.confirmation))
            for k, one in enumerate(self.candidates)
        )
        return replace(self, candidates=tuple(candidates))

    def run_to_the_end(self, k: int, outcomes: tuple[bool, ...]) -> "Frontier":
        """Return it with the rest of the race's outcomes of a candidate that had left."""
        one = self.candidates[k]
        standing = Standing((*one.standing.outcomes, *outcomes))
        candidates = (
            *self.candidates[:k],
            one._replace(standing=standing),
            *self.candidates[k + 1 :],
        )
        return replace(self, candidates=candidates)

    def answer(self) -> str:
        """Say in one line which is the smallest network that does the job."""
        wanted = f"smallest network with success >= {self.min_success:g} (lower bound)"
        if self.smallest is None:
            return f"{wanted}: none of {len(self.candidates)}"
        chosen = self.candidates[self.smallest]
        shape = format_architecture(chosen.hidden_dims)
        found = f"{wanted}: {shape} with {self.parameters(self.smallest):,} parameters"
        level = self.confirmed_success(self.smallest)
        if level is None:
            return found
        said = f"{level} in {len(chosen.confirmation)} fresh episodes"
        if not self.is_met:
            return f"{found}, not confirmed: {said}"
        lucky = sum(map(self.seems_enough, range(self.smallest)))
        return f"{found}, {said}" + f" ({lucky} smaller not confirmed)" * (lucky > 0)


def z_of_tests(tests: int | None) -> float:
    """Return the normal quantile of intervals of which so many share the error of one."""
    return NormalDist().inv_cdf(1 - (1 - UPPER) / tests) if tests and tests > 1 else Z_95


def episodes_run(candidates: Sequence[Candidate]) -> int:
    """Return the episodes of all candidates together."""
    return sum(len(one.standing.outcomes) for one in candidates)
