"""What runs units of work, as a value: it decides nothing of what comes out."""

from collections.abc import Iterable
from dataclasses import dataclass

from nnit.errors import UsageError


@dataclass(frozen=True)
class Shard:
    """A part of the units of a command: one of several runs that share them out."""

    number: int  # from 1
    count: int

    def __str__(self) -> str:
        return f"{self.number} of {self.count}"

    @property
    def others(self) -> "list[Shard]":
        """The other parts."""
        return [one for one in all_shards(self.count) if one != self]


def all_shards(count: int) -> list[Shard]:
    """Return all parts."""
    return [Shard(number, count) for number in range(1, count + 1)]


def shard_of(unit: int, count: int) -> Shard:
    """Return the part that has a unit: they are dealt out in turn."""
    return Shard(unit % count + 1, count)


@dataclass(frozen=True)
class Engine:
    """Where units are run, and which of them.

    Raises:
        UsageError: ``workers`` is below 0.
    """

    workers: int = 0  # processes here; 0: one per core
    scheduler: str | None = None  # HOST:PORT of a Dask scheduler, whose workers are taken instead
    shard: Shard | None = None  # of the units that are kept, run these alone
    merged: int = 0  # shards that have run all units that are kept; 0: there are none

    @property
    def is_shared(self) -> bool:
        """Whether units are run by several commands, which keep them for each other."""
        return self.shard is not None or self.merged > 0

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise UsageError(f"--workers {self.workers}: must be at least 1, or 0 for one per core")


ONE_WORKER = Engine(workers=1)


class ShardEnd(Exception):  # noqa: N818 - it ends a run as it should
    """A shard has run its units, and nothing is left to do without those of the others.

    Args:
        shard: Which.
        label: What its units are.
        kept: How many it has kept.
        needed_for: The units that come after these, once all shards have run them; None: there
            are none.
    """

    def __init__(self, shard: Shard, label: str, kept: int, needed_for: str | None) -> None:
        super().__init__(f"shard {shard}: {kept} {label}")
        self.shard, self.label, self.kept, self.needed_for = shard, label, kept, needed_for


def refuse_gaps(missing: Iterable[int], label: str, total: int, count: int) -> None:
    """Refuse to merge shards that have not run all of their units.

    Args:
        missing: The units that none of them has kept.
        label: What they are.
        total: How many there are.
        count: The shards.

    Raises:
        UsageError: there is one; the line lists the shards.
    """
    gaps = [shard_of(unit, count).number for unit in missing]
    if gaps:
        numbers = sorted(set(gaps))
        listed = ", ".join(map(str, numbers))
        which = f"shard {listed}" if len(numbers) == 1 else f"shards {listed}"
        raise UsageError(
            f"merge: {len(gaps)} of {total} units ({label}) are missing or damaged; run {which} of "
            f"{count} again with --resume"
        )
