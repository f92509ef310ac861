"""What a frontier has found: each candidate's sizes, success and place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nnit.frontier.race import RaceRules, Standing, find_front
from nnit.intervals import Interval, wilson_interval
from nnit.mlp import Architecture, PolicyInterface, format_architecture


class Candidate(NamedTuple):
    """A shape and how its network fared."""

    hidden_dims: Architecture
    kind: str  # "train", or how the shape is held out
    standing: Standing

    @property
    def success_once(self) -> float:
        """Share of the episodes that it ran."""
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
        """The smallest candidate whose lower bound of success is at least ``min_success``."""
        enough = (k for k in self.front if self.candidates[k].interval.low >= self.min_success)
        return next(enough, None)

    def answer(self) -> str:
        """Say in one line which is the smallest network that does the job."""
        wanted = f"smallest network with success >= {self.min_success:g} (lower bound)"
        if self.smallest is None:
            return f"{wanted}: none of {len(self.candidates)}"
        shape = format_architecture(self.candidates[self.smallest].hidden_dims)
        return f"{wanted}: {shape} with {self.parameters(self.smallest):,} parameters"


def episodes_run(candidates: Sequence[Candidate]) -> int:
    """Return the episodes of all candidates together."""
    return sum(len(one.standing.outcomes) for one in candidates)
