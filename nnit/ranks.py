"""Which of the processes that train one model together a process is: the ranks of ``torchrun``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

LAUNCHED = "TORCHELASTIC_RUN_ID"  # torchrun sets it; others set RANK and WORLD_SIZE too


class Share(NamedTuple):
    """The rows of a batch that a rank computes in one round."""

    rows: slice
    is_last: bool  # of its rounds


@dataclass(frozen=True)
class Ranks:
    """A process among those that train together, and how it goes about its share of a batch."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # among those of this machine
    rounds: int = 1  # in which a share is computed, for lack of memory

    @property
    def is_first(self) -> bool:
        """Whether this is the one that locks, writes and talks."""
        return self.rank == 0

    def shares(self, count: int) -> list[Share]:
        """Return which of ``count`` rows of a batch are this rank's, round by round.

        All ranks' shares together are all rows, once; some may be empty.
        """
        every = self.size * self.rounds
        return [
            Share(slice(k * self.size + self.rank, count, every), k + 1 == self.rounds)
            for k in range(self.rounds)
        ]


ALONE = Ranks()


def ranks_of(environment: Mapping[str, str]) -> Ranks:
    """Return which rank a process is, by the variables that torchrun sets."""
    if LAUNCHED not in environment:
        return ALONE
    return Ranks(*(int(environment[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))
