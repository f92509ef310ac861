"""What ``nnit inspect`` says of an artifact: what it is, where it came from, what it holds.

Reads:   any artifact
Writes:  nothing
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnit.artifacts.alignment import read_alignment
from nnit.artifacts.audit import read_audit
from nnit.artifacts.describe import describe as describe_artifact
from nnit.artifacts.frontier import read_frontier
from nnit.artifacts.reading import open_artifact
from nnit.artifacts.rollouts import read_rollouts
from nnit.artifacts.samples import network_folder
from nnit.frontier.front import Frontier
from nnit.intervals import Level
from nnit.mlp import format_architecture
from nnit.rollout.metrics import Evaluation, success_level
from stages.audit_tables import alignment_table, audit_table

SHORT_DIGEST = 12  # characters
SHOWN_ITEMS = 8
MAX_SIDE_BY_SIDE = 4  # sources that get a column each; of more, each gets a row
Row = tuple[str, ...]


@dataclass(frozen=True)
class Description:
    """An artifact in words and numbers."""

    data: dict[str, Any]  # everything, for programs
    facts: dict[str, object]  # the same for people, without what the table says
    tables: dict[str, list[Row]]  # by title; the first row of each is its head


def describe(path: Path) -> Description:
    """Open an artifact and describe it.

    Raises:
        NnitError: there is none, or it is damaged.
    """
    artifact = open_artifact(path)
    data = describe_artifact(artifact)
    tables: dict[str, list[Row]] = {}
    if artifact.manifest.kind == "rollouts":
        evaluations = read_rollouts(path)[0].evaluations
        tables = {"Success": success_table(evaluations), "Loss": loss_table(evaluations)}
    elif artifact.manifest.kind == "frontier":
        tables = {"Front": front_table(read_frontier(path)[0].frontier)}
    elif artifact.manifest.kind == "audit":
        tables = {"Audit": audit_table(read_audit(path)[0].audit)}
    elif artifact.manifest.kind == "alignment":
        tables = {"Alignment": alignment_table(read_alignment(path)[0].alignment)}
    return Description(
        data, facts_of(data), {title: rows for title, rows in tables.items() if rows}
    )


def facts_of(data: dict[str, Any]) -> dict[str, object]:
    """Return what a person wants to know of an artifact, one fact an entry."""
    made_by = f"nnit {data['stage']} {data['nnit_version']}, seed {data['seed']}"
    size = f"{data['bytes'] / 2**20:.2f} MiB in {data['files'] + 1} files"
    parents = {f"from {name}": digest[:SHORT_DIGEST] for name, digest in data["parents"].items()}
    content = {
        name.replace("_", " "): _shown(value)
        for name, value in data["content"].items()
        if name != "aggregated"
    }
    params = {f"param {name}": _shown(value) for name, value in data["params"].items()}
    versions = ", ".join(f"{name} {version}" for name, version in data["versions"].items())
    return {
        "kind": f"{data['kind']}, schema {data['schema']}",
        "digest": data["digest"],
        "made by": made_by,
        "with": versions,
        **parents,
        **params,
        **content,
        "size": size,
    }


def success_table(evaluations: Sequence[Evaluation]) -> list[Row]:
    """Return success_once with 95 % intervals.

    A cell is the mean over networks, with the interval over shapes and initial states. Few sources
    have a column each and every architecture a row, with means by kind below; many sources have a
    row each, every kind a column, and a last column with the lowest network.
    """
    sources = list(dict.fromkeys(evaluation.source for evaluation in evaluations))
    if len(sources) > MAX_SIDE_BY_SIDE:
        rows = _row_for_each_source(evaluations, _pooled, "success_once of")
        lowest = [_lowest([e for e in evaluations if e.source == source]) for source in sources]
        return [(*row, cell) for row, cell in zip(rows, ["lowest", *lowest], strict=True)]
    rows: list[Row] = [("held out as", "architecture", *sources)]
    for kind in dict.fromkeys(evaluation.kind for evaluation in evaluations):
        members = [evaluation for evaluation in evaluations if evaluation.kind == kind]
        architectures = list(dict.fromkeys(e.hidden_dims for e in members))
        for hidden_dims in architectures:
            same = [e for e in members if e.hidden_dims == hidden_dims]
            cells = (_pooled([e for e in same if e.source == source]) for source in sources)
            rows.append((kind, format_architecture(hidden_dims), *cells))
        if len(architectures) > 1:
            cells = (_pooled([e for e in members if e.source == source]) for source in sources)
            rows.append((kind, f"all {len(architectures)}", *cells))
    return rows


def front_table(frontier: Frontier) -> list[Row]:
    """Return size and success of the networks of the front, from small to large."""
    rows: list[Row] = [
        ("network", "architecture", "held out as", "parameters", "MACs", "race", "fresh episodes")
    ]
    for place, k in enumerate(frontier.front):
        one = frontier.candidates[k]
        rows.append(
            (
                network_folder(place),
                format_architecture(one.hidden_dims),
                one.kind,
                f"{frontier.parameters(k):,}",
                f"{frontier.macs(k):,}",
                str(Level(one.success_once, one.interval)),
                str(one.confirmed or "-"),
            )
        )
    return rows


def loss_table(evaluations: Sequence[Evaluation]) -> list[Row]:
    """Return the median cloning loss over the networks of each source and kind.

    Empty where no loss was measured.
    """
    if all(evaluation.loss is None for evaluation in evaluations):
        return []
    return _row_for_each_source(evaluations, _median_loss, "median cloning loss of")


def _row_for_each_source(
    evaluations: Sequence[Evaluation], cell: Callable[[Sequence[Evaluation]], str], head: str
) -> list[Row]:
    kinds = list(dict.fromkeys(evaluation.kind for evaluation in evaluations))
    rows: list[Row] = [(head, *(kind or "unknown" for kind in kinds))]
    for source in dict.fromkeys(evaluation.source for evaluation in evaluations):
        mine = [evaluation for evaluation in evaluations if evaluation.source == source]
        cells = (cell([e for e in mine if e.kind == kind]) for kind in kinds)
        rows.append((source, *cells))
    return rows


def _pooled(evaluations: Sequence[Evaluation]) -> str:
    if not evaluations:
        return "-"
    return str(success_level(evaluations))


def _lowest(evaluations: Sequence[Evaluation]) -> str:
    """Return the success of the lowest network, and its architecture."""
    worst = min(evaluations, key=lambda evaluation: evaluation.success_once)
    return f"{worst.success_once:.3f} {format_architecture(worst.hidden_dims)}".rstrip()


def _median_loss(evaluations: Sequence[Evaluation]) -> str:
    losses = [evaluation.loss for evaluation in evaluations if evaluation.loss is not None]
    return f"{statistics.median(losses):.5f}" if losses else "-"


def _shown(value: object) -> object:
    """Shorten what is too long for a line."""
    if isinstance(value, dict):
        value = [f"{key}: {_shown(item)}" for key, item in value.items()]
    if not isinstance(value, list):
        return value
    shown = "; ".join(str(_shown(item)) for item in value[:SHOWN_ITEMS])
    return f"{shown}; …" if len(value) > SHOWN_ITEMS else shown or "none"
