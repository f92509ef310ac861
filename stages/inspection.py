"""What ``nnit inspect`` says of an artifact: what it is, where it came from, what it holds.

Reads:   any artifact
Writes:  nothing
"""

from collections.abc import Sequence
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
from nnit.mlp import format_architecture
from nnit.rollout.metrics import Evaluation, wilson_interval
from stages.audit_tables import alignment_table, audit_table

SHORT_DIGEST = 12  # characters
SHOWN_ITEMS = 8
Row = tuple[str, ...]


@dataclass(frozen=True)
class Description:
    """An artifact in words and numbers."""

    data: dict[str, Any]  # everything, for programs
    facts: dict[str, object]  # the same for people, without what the table says
    table: list[Row]  # the first row is the head; empty where the kind has none


def describe(path: Path) -> Description:
    """Open an artifact and describe it.

    Raises:
        NnitError: there is none, or it is damaged.
    """
    artifact = open_artifact(path, check="sizes")
    data = describe_artifact(artifact)
    table: list[Row] = []
    if artifact.manifest.kind == "rollouts":
        table = success_table(read_rollouts(path)[0].evaluations)
    if artifact.manifest.kind == "frontier":
        table = front_table(read_frontier(path)[0].frontier)
    elif artifact.manifest.kind == "audit":
        table = audit_table(read_audit(path)[0].audit)
    elif artifact.manifest.kind == "alignment":
        table = alignment_table(read_alignment(path)[0].alignment)
    return Description(data, facts_of(data), table)


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
    """Return success_once of every architecture, a column for each source, and means by kind.

    A cell is the share of all episodes with its 95 % Wilson interval. Where an architecture has
    several networks of one source, their episodes are taken together.
    """
    sources = list(dict.fromkeys(evaluation.source for evaluation in evaluations))
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
        ("network", "architecture", "held out as", "parameters", "MACs", "success_once")
    ]
    for place, k in enumerate(frontier.front):
        one = frontier.candidates[k]
        low, high = one.interval
        rows.append(
            (
                network_folder(place),
                format_architecture(one.hidden_dims),
                one.kind,
                f"{frontier.parameters(k):,}",
                f"{frontier.macs(k):,}",
                f"{one.success_once:.3f} [{low:.3f}, {high:.3f}]",
            )
        )
    return rows


def _pooled(evaluations: Sequence[Evaluation]) -> str:
    outcomes = [episode.success_once for e in evaluations for episode in e.episodes]
    if not outcomes:
        return "-"
    successes = sum(outcomes)
    low, high = wilson_interval(successes, len(outcomes))
    return f"{successes / len(outcomes):.3f} [{low:.3f}, {high:.3f}]"


def _shown(value: object) -> object:
    """Shorten what is too long for a line."""
    if isinstance(value, dict):
        value = [f"{key}: {_shown(item)}" for key, item in value.items()]
    if not isinstance(value, list):
        return value
    shown = "; ".join(str(_shown(item)) for item in value[:SHOWN_ITEMS])
    return f"{shown}; …" if len(value) > SHOWN_ITEMS else shown or "none"
