"""Levels and paired differences of the methods of a task and a training seed."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from nnit.intervals import Interval, Level, difference_interval, success_interval
from nnit.mlp import Architecture, format_architecture
from studies.outcomes import Outcome, Study, cells_of

Networks = Sequence[Outcome]
WITHIN, BEYOND = ("unseen_combo", "unseen_width"), ("wider", "deeper")
OURS = "generated"
MARGIN = 0.05  # of success: methods that surely differ by less are alike


class Lowest(NamedTuple):
    """The network with the fewest successes."""

    success: float
    hidden_dims: Architecture

    def __str__(self) -> str:
        return f"{self.success:.2f} ({format_architecture(self.hidden_dims)})"


class Difference(NamedTuple):
    """What one method has more than another, on the same shapes from the same states."""

    mean: float
    interval: Interval

    @property
    def verdict(self) -> str:
        """Whether it is better, worse, alike, or none of them for sure: open."""
        if self.interval.low > 0:
            return "better"
        if self.interval.high < 0:
            return "worse"
        return "alike" if max(map(abs, self.interval)) <= MARGIN else "open"

    def __str__(self) -> str:
        words = f"{self.mean:+.3f} [{self.interval.low:+.3f}, {self.interval.high:+.3f}]"
        return f"**{words}**" if self.verdict == "worse" else words


class Row(NamedTuple):
    """What is said of a method."""

    method: str
    within: Level
    beyond: Level | None  # None: it was not asked, or cannot
    lowest: Lowest
    ahead: Difference  # of the generated networks, on the shapes that both have
    loss: float  # median over networks


def of_kinds(networks: Networks, kinds: Sequence[str]) -> list[Outcome]:
    """Return the networks of shapes that are held out as one of some kinds."""
    return [one for one in networks if one.kind in kinds]


def level(networks: Networks) -> Level:
    """Return success with its interval over shapes and states."""
    cells = cells_of(networks)
    return Level(float(cells.mean()), success_interval(cells))


def lowest(networks: Networks) -> Lowest:
    """Return the network with the fewest successes."""
    worst = min(networks, key=lambda one: one.success_once)
    return Lowest(worst.success_once, worst.hidden_dims)


def difference(ours: Networks, theirs: Networks) -> Difference:
    """Hold a method against another, on the shapes that both have."""
    shared = {one.hidden_dims for one in ours} & {one.hidden_dims for one in theirs}
    one, other = (
        cells_of([network for network in networks if network.hidden_dims in shared])
        for networks in (ours, theirs)
    )
    return Difference(float((one - other).mean()), difference_interval(one, other))


def apart(
    found: Mapping[str, Networks], ours: str, others: Iterable[str] | None = None
) -> dict[str, Difference]:
    """Hold a method against others, by default all that there are."""
    there = [name for name in others or found if ours in found and name in found and name != ours]
    return {name: difference(found[ours], found[name]) for name in there}


def rows_of(methods: Mapping[str, Networks]) -> dict[str, Row]:
    """Return a row for each method."""
    return {
        method: Row(
            method,
            level(of_kinds(networks, WITHIN)),
            level(beyond) if (beyond := of_kinds(networks, BEYOND)) else None,
            lowest(networks),
            difference(methods[OURS], networks),
            statistics.median(one.loss for one in networks),
        )
        for method, networks in methods.items()
    }


def over_seeds(studies: Sequence[Study], method: str) -> tuple[Level, Lowest]:
    """Return success of a method over all training seeds, whose networks count as samples."""
    networks = [one for study in studies for one in study.methods[method]]
    return level(networks), lowest(networks)
