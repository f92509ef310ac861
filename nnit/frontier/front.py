"""What a frontier has found: each candidate's sizes, success and place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from nnit.frontier.race import RaceRules, Standing, find_front
from nnit.intervals import Interval, Level, wilson_interval
from nnit.mlp import Architecture, PolicyInterface, format_architecture


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

    @property
    def confirmed(self) -> Level | None:
        """Success in the episodes of the confirmation, if there are any."""
        if not self.confirmation:
            return None
        share = sum(self.confirmation) / len(self.confirmation)
        return Level(share, wilson_interval(share, len(self.confirmation)))


@dataclass(frozen=True)
class Frontier:
    """All candidates in ascending size, and what was asked of them."""

    candidates: tuple[Candidate, ...]
    rules: RaceRules
    min_success: float  # what the smallest network is wanted for
    interface: PolicyInterface

    def parameters(self, k: int) -> int:
        """Weights and biases of a candidate."""
        return self.interface.spec(self.candidates[k].hidden_dims).num_parameters

    def macs(self, k: int) -> int:
        """Multiplications of one forward pass of a candidate."""
        return self.interface.spec(self.candidates[k].hidden_dims).num_macs

    @property
    def front(self) -> list[int]:
        """The candidates of the front, from small to large."""
        sizes = [self.parameters(k) for k in range(len(self.candidates))]
        return find_front(sizes, [one.standing for one in self.candidates], self.rules)

    @property
    def smallest(self) -> int | None:
        """The smallest candidate whose lower bound in the race is at least ``min_success``."""
        enough = (k for k in self.front if self.candidates[k].interval.low >= self.min_success)
        return next(enough, None)

    @property
    def is_met(self) -> bool:
        """Whether the smallest one does the job in states that it was not chosen by, if it ran any.

        The best of many looks better in the episodes that it was chosen by than it is.
        """
        if self.smallest is None:
            return False
        confirmed = self.candidates[self.smallest].confirmed
        return confirmed is None or confirmed.interval.low >= self.min_success

    def confirmed(self, outcomes: Mapping[int, tuple[bool, ...]]) -> "Frontier":
        """Return it with outcomes of candidates in further states."""
        candidates = (
            one._replace(confirmation=outcomes.get(k, ())) for k, one in enumerate(self.candidates)
        )
        return replace(self, candidates=tuple(candidates))

    def answer(self) -> str:
        """Say in one line which is the smallest network that does the job."""
        wanted = f"smallest network with success >= {self.min_success:g} (lower bound)"
        if self.smallest is None:
            return f"{wanted}: none of {len(self.candidates)}"
        chosen = self.candidates[self.smallest]
        shape = format_architecture(chosen.hidden_dims)
        found = f"{wanted}: {shape} with {self.parameters(self.smallest):,} parameters"
        if chosen.confirmed is None:
            return found
        said = f"{chosen.confirmed} in {len(chosen.confirmation)} fresh episodes"
        return f"{found}, {said}" if self.is_met else f"{found}, not confirmed: {said}"


def episodes_run(candidates: Sequence[Candidate]) -> int:
    """Return the episodes of all candidates together."""
    return sum(len(one.standing.outcomes) for one in candidates)
