"""The tables of an audit and of an alignment report, for people."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from nnit.alignment.report import (
    Alignment,
    Interpolation,
    LayerRank,
    Smoothness,
    ZooAlignment,
    layers_between,
)
from nnit.audit.report import TRAINED, Audit, GroupAudit
from nnit.intervals import Estimate

Row = tuple[str, ...]
NOTHING = "-"
NOT_HELD_OUT = "not held out"
OUTER = {("first", "input units"), ("last", "output units")}  # observations and actions
MEASURES = {  # field of a group -> how the table calls it
    "novel_weights": "novel weights: share farther from the zoo than 0.5 x usual",
    "far_weights": "novel weights: share farther than 1 x usual",
    "weight_ratio": "nearest weight distance / usual",
    "novel_actions": "novel actions: share farther than 0.5 x usual",
    "far_actions": "novel actions: share farther than 1 x usual",
    "action_ratio": "nearest action distance / usual",
    "novel_and_performs": "novel weights and as good as the zoo: share",
    "weight_spread_ratio": "weight distance between samples / branches",
    "action_spread_ratio": "action distance between samples / branches",
    "failure_iou": "failures on the same seeds (IoU)",
    "loss": "cloning loss",
    "ghn_loss": "cloning loss of the GHN asked again",
    "below_ghn": "loss below the GHN's: share of shapes",
    "ensemble_below_mean": "ensemble below the mean loss: share of shapes",
    "ensemble_below_best": "ensemble below the best sample: share of shapes",
}


def audit_table(audit: Audit) -> list[Row]:
    """Return a row for each measure and a column for each kind of shape.

    A cell is a mean over shapes with its 95 % interval.
    """
    counts = [
        ("shapes", *(str(group.shapes) for group in audit.groups)),
        ("samples", *(str(group.samples) for group in audit.groups)),
        ("samples with an alarm", *(str(group.alarmed) for group in audit.groups)),
    ]
    measures = [
        (title, *(_cell(getattr(group, name)) for group in audit.groups))
        for name, title in MEASURES.items()
        if any(_known(group, name) for group in audit.groups)
    ]
    return [("measure", *(kind_name(group.group) for group in audit.groups)), *counts, *measures]


def kind_name(kind: str | None) -> str:
    """Return what people call a kind of shape; one that no list holds out may be untrained too."""
    return NOT_HELD_OUT if kind == TRAINED else kind or "unknown"


def _known(group: GroupAudit, name: str) -> bool:
    return getattr(group, name) is not None


def alignment_table(alignment: Alignment) -> list[Row]:
    """Return a row for each measure and a column for each zoo, chance and controls beside."""
    zoos = alignment.zoos
    rows: list[Row] = [("measure", *(zoo.label for zoo in zoos))]
    rows += [
        ("same index, by activations", *(_cell(z.same_shape.by_activations) for z in zoos)),
        ("same index, by weights", *(_cell(z.same_shape.by_weights) for z in zoos)),
        ("  by chance", *(_number(z.same_shape.chance) for z in zoos)),
        ("same index across widths", *(_cell(z.across_widths.by_activations) for z in zoos)),
        ("  by chance", *(_number(z.across_widths.chance) for z in zoos)),
        ("weight correlation", *(_cell(z.weight_correlation) for z in zoos)),
        ("  after matching", *(_cell(z.weight_correlation_matched) for z in zoos)),
        ("loss halfway", *(_number(_halfway(z.line)) for z in zoos)),
        ("barrier", *(_cell(z.line.barrier) for z in zoos)),
        ("  after matching", *(_cell(z.line_matched.barrier) for z in zoos)),
        ("barrier / loss of the ends", *(_cell(z.line.relative) for z in zoos)),
        ("  after matching", *(_cell(z.line_matched.relative) for z in zoos)),
    ]
    if any(zoo.ranks for zoo in zoos):
        rows += _rank_rows(zoos)
    spots = [spot for zoo in zoos for spot in zoo.smoothness]
    places = [p for p in dict.fromkeys(map(_place, spots)) if (p[0], p[1]) not in OUTER]
    for place in places:
        found = [_spot(zoo, place) for zoo in zoos]
        rows.append((_title(place), *(_cell(s and s.autocorrelation) for s in found)))
        rows.append(("  shuffled", *(_cell(s and s.shuffled) for s in found)))
    return rows


def _rank_rows(zoos: Sequence[ZooAlignment]) -> list[Row]:
    """Say how many directions layers use, the mean over layers and shapes."""
    layers: dict[str, Callable[[ZooAlignment], list[LayerRank]]] = {
        "first": lambda zoo: [rank for rank in zoo.ranks if rank.layer == 1],
        "between hidden ones": lambda zoo: layers_between(zoo.ranks),
        "last": lambda zoo: [rank for rank in zoo.ranks if rank.layer > len(rank.hidden_dims)],
    }
    rows: list[Row] = []
    for name, chosen in layers.items():
        title = f"weights of layers, {name}: singular values at 99 % of the energy"
        rows.append((title, *(_of_largest(chosen(zoo)) for zoo in zoos)))
        rows.append(
            ("  participation ratio", *(_mean(r.participation for r in chosen(z)) for z in zoos))
        )
    title = "hidden activations: singular values at 99 % of the energy"
    rows.append((title, *(_mean(r.activation_values for r in z.ranks) for z in zoos)))
    ratios = (_mean(r.activation_participation for r in z.ranks) for z in zoos)
    rows.append(("  participation ratio", *ratios))
    return rows


def _of_largest(ranks: list[LayerRank]) -> str:
    values = _mean(rank.values for rank in ranks)
    return f"{values} of {_mean(rank.largest for rank in ranks)}" if ranks else NOTHING


def _mean(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return _number(float(np.mean(known))) if known else NOTHING


Place = tuple[str, str, int, int]


def _place(spot: Smoothness) -> Place:
    return spot.role, spot.axis, spot.block, spot.lag


def _spot(zoo: ZooAlignment, place: Place) -> Smoothness | None:
    return next((spot for spot in zoo.smoothness if _place(spot) == place), None)


def _title(place: Place) -> str:
    role, axis, block, lag = place
    distance = f"lag {lag}" if block == 1 else f"neighbouring {block} x {block} blocks"
    return f"autocorrelation, {role}, along {axis}, {distance}"


def _halfway(line: Interpolation) -> float:
    return line.losses[len(line.losses) // 2]


def _cell(estimate: Estimate | None) -> str:
    if estimate is None:
        return NOTHING
    return f"{_number(estimate.mean)} [{_number(estimate.low)}, {_number(estimate.high)}]"


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3g}"
