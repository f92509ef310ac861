"""What was measured of a task, read from the committed files of ``results/TASK/``.

Everything may be missing: a figure that was not measured is None.
"""

import json
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnit.intervals import Interval, crossed_variance, wilson_interval

GROUPS = {  # what the page calls a group of held-out shapes
    "unseen_combo": "unseen combination",
    "unseen_width": "unseen width",
    "wider-1.5": "wider, to 1.5 x",
    "wider-2": "wider, 1.5 x to 2 x",
    "deeper": "deeper",
}
REACH = 0.90  # how far it goes: the widest and the deepest network that still reach this
_SEED_FILE = re.compile(r"networks-(\d+)\.json")


class Network(NamedTuple):
    """One evaluated network."""

    source: str
    hidden_dims: tuple[int, ...]
    group: str  # one of GROUPS, or "train"
    successes: int
    episodes: int
    loss: float | None


class Share(NamedTuple):
    """A share of episodes with its interval."""

    mean: float
    interval: Interval
    shapes: int
    lowest: float  # of the shapes
    lowest_shape: tuple[int, ...]


@dataclass(frozen=True)
class TaskResults:
    """All that was measured of one task."""

    task: str
    seeds: dict[int, tuple[Network, ...]] = field(default_factory=dict)
    limits: tuple[Network, ...] = ()
    joint: tuple[Network, ...] = ()
    reports: dict[str, Any] = field(default_factory=dict)  # audit, alignment, frontier, ...

    @property
    def networks(self) -> tuple[Network, ...]:
        """The comparison: networks of all methods, of the first seed."""
        return self.seeds[min(self.seeds)] if self.seeds else ()

    @property
    def each_seed(self) -> list["TaskResults"]:
        """What was measured with each training seed, alone."""
        return [replace(self, seeds={seed: networks}) for seed, networks in self.seeds.items()]

    @property
    def sources(self) -> list[str]:
        """All methods."""
        return list(dict.fromkeys(network.source for network in self.networks))

    def select(self, source: str, *groups: str) -> list[Network]:
        """Return the networks of a method, of some groups."""
        return [n for n in self.networks if n.source == source and n.group in groups]

    def share(self, source: str, *groups: str) -> Share | None:
        """Return the success of a method over groups, None where it was not measured."""
        return share_of(self.select(source, *groups))

    def number(self, report: str, *path: str) -> float | None:
        """Return a number within a report, None where it is not there."""
        value = self.reports.get(report)
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return float(value) if isinstance(value, int | float) else None

    def audit_mean(self, name: str, group: str = "all", *, report: str = "audit") -> float | None:
        """Return the mean over shapes of a figure of an audit."""
        groups = self.reports.get(report, {}).get("groups", [])
        found = next((g.get(name) for g in groups if g["group"] == group), None)
        return None if found is None else found["mean"]


def read_task(folder: Path) -> TaskResults:
    """Read the files of one task."""
    seeds, reports = {}, {}
    tables: dict[str, tuple[Network, ...]] = {"limits": (), "joint": ()}
    for file in sorted(folder.rglob("*.json")):
        content = json.loads(file.read_text())
        match = _SEED_FILE.fullmatch(file.name)
        if match:
            seeds[int(match[1])] = parse_table(content)
        elif file.stem in tables:
            tables[file.stem] = parse_table(content)
        elif file.parent == folder:
            reports[file.stem] = content
        else:
            reports[f"{file.parent.name}/{file.stem}"] = content
    # Samples beyond the trained range are grown everywhere else: these are other networks.
    limits = tuple(
        one._replace(source="extrapolated") if one.source == "sample" else one
        for one in tables["limits"]
    )
    return TaskResults(folder.name, seeds, limits, tables["joint"], reports)


def parse_table(content: dict[str, Any]) -> tuple[Network, ...]:
    """Read a table that ``benchmarks.collect`` wrote."""
    return tuple(
        Network(
            one["source"],
            tuple(one["hidden_dims"]),
            group_of(one["kind"], one["hidden_dims"], content["widths_max"]),
            one["successes"],
            one["episodes"],
            one["loss"],
        )
        for one in content["networks"]
    )


def group_of(kind: str, hidden_dims: Sequence[int], widths_max: int) -> str:
    """Return the group of a shape: its kind, with the wider ones in two."""
    if kind == "wider":
        return "wider-1.5" if max(hidden_dims) <= 1.5 * widths_max else "wider-2"
    return kind


def by_shape(networks: Sequence[Network]) -> dict[tuple[int, ...], list[Network]]:
    """Put networks of one shape together."""
    shapes: dict[tuple[int, ...], list[Network]] = {}
    for network in networks:
        shapes.setdefault(network.hidden_dims, []).append(network)
    return shapes


def share_of(networks: Sequence[Network]) -> Share | None:
    """Return the success of networks, with Wilson's interval.

    The trials are at most the initial states, which all networks share, and fewer where shapes
    differ by more than that many would.
    """
    if not networks:
        return None
    shares = {
        dims: sum(n.successes for n in same) / sum(n.episodes for n in same)
        for dims, same in by_shape(networks).items()
    }
    lowest = min(shares, key=shares.__getitem__)
    mean = statistics.fmean(shares.values())
    variance = crossed_variance(np.array([[share] for share in shares.values()])).value
    states = networks[0].episodes
    trials = min(states, mean * (1 - mean) / variance) if variance else states
    return Share(mean, wilson_interval(mean, trials), len(shares), shares[lowest], lowest)


def shape_losses(networks: Sequence[Network]) -> dict[tuple[int, ...], float]:
    """Return the mean cloning loss of each shape all of whose networks were measured."""
    losses = {}
    for dims, same in by_shape(networks).items():
        known = [network.loss for network in same if network.loss is not None]
        if len(known) == len(same):
            losses[dims] = statistics.fmean(known)
    return losses


def median_loss(networks: Sequence[Network]) -> float | None:
    """Return the median over shapes of the cloning loss, None where it was not measured."""
    losses = shape_losses(networks)
    return statistics.median(losses.values()) if losses else None


def share_below(mine: Sequence[Network], theirs: Sequence[Network]) -> float | None:
    """Return the share of shapes where the first have the lower loss."""
    one, other = shape_losses(mine), shape_losses(theirs)
    common = [dims for dims in one if dims in other]
    return statistics.fmean(one[d] < other[d] for d in common) if common else None


def loss_ratio(mine: Sequence[Network], theirs: Sequence[Network]) -> float | None:
    """Return the ratio of the mean losses over the shapes that both have."""
    one, other = shape_losses(mine), shape_losses(theirs)
    common = [dims for dims in one if dims in other]
    total = sum(other[d] for d in common)
    return sum(one[d] for d in common) / total if total else None


def farthest(networks: Sequence[Network], *, deepest: bool) -> tuple[tuple[int, ...], Share] | None:
    """Return the widest, or the deepest, shape whose networks reach ``REACH`` in the mean."""
    shares = {dims: share_of(same) for dims, same in by_shape(networks).items()}
    enough = [(dims, share) for dims, share in shares.items() if share and share.mean >= REACH]
    size = (lambda one: len(one[0])) if deepest else (lambda one: max(one[0]))
    return max(enough, key=size, default=None)
