"""What ``nnit inspect`` says of an artifact: what it is, where it came from, what it holds.

Reads:   any artifact
Writes:  nothing
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

from nnit.artifacts.alignment import read_alignment
from nnit.artifacts.audit import read_audit
from nnit.artifacts.describe import describe as describe_artifact
from nnit.artifacts.describe import stored_network
from nnit.artifacts.frontier import read_frontier
from nnit.artifacts.interface import interfaces_of
from nnit.artifacts.manifest import MANIFEST_NAME
from nnit.artifacts.reading import open_artifact
from nnit.artifacts.rollouts import VIDEOS, read_rollouts
from nnit.artifacts.samples import CONFIG_NAME, network_folder
from nnit.errors import NnitError
from nnit.frontier.front import Frontier
from nnit.intervals import Level, wilson_interval
from nnit.mlp import format_architecture
from nnit.rollout.metrics import Evaluation, success_level
from stages.audit_tables import alignment_table, audit_table, kind_name

SHORT_DIGEST = 12  # characters
SHOWN_ITEMS = 8
FEW_SHAPES = 6  # of a line
FEW_TASKS = 3
MAX_SIDE_BY_SIDE = 4  # sources that get a column each; of more, each gets a row
SOURCES = {  # of networks, in rollouts -> what people call it
    "sample": "generated",
    "ghn": "GHN asked again",
    "ghn-grown": "GHN asked again, grown",
    "cloned": "cloned directly",
    "constant": "constant action",
}
Row = tuple[str, ...]


@dataclass(frozen=True)
class Description:
    """An artifact in words and numbers."""

    data: dict[str, Any]  # everything, for programs
    facts: dict[str, object]  # the same for people, without what the table says
    tables: dict[str, list[Row]]  # by title; the first row of each is its head


class Headline(NamedTuple):
    """What a command made, in a few words."""

    tasks: str
    result: str
    following: str  # the command to type next; empty where there is none


def describe(path: Path) -> Description:
    """Describe an artifact, one network of it, or a folder of artifacts.

    Raises:
        NnitError: there is none, or it is damaged.
    """
    if not (path / MANIFEST_NAME).exists():
        if (path / CONFIG_NAME).is_file() and (path.parent / MANIFEST_NAME).is_file():
            return describe_network(path)
        if found := artifacts_in(path):
            return describe_folder(path, found)
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
    elif "distinct_architectures" in data["content"]:
        content = data["content"]
        shapes = shape_table(content["architectures"], content["distinct_architectures"])
        tables = {"Architectures": shapes}
    return Description(
        data, facts_of(data), {title: rows for title, rows in tables.items() if rows}
    )


def artifacts_in(folder: Path) -> list[Path]:
    """Return the artifacts that lie in a folder, hidden ones aside, by name."""
    if not folder.is_dir():
        return []
    inside = (one for one in folder.iterdir() if not one.name.startswith("."))
    return sorted(one for one in inside if (one / MANIFEST_NAME).is_file())


def describe_network(path: Path) -> Description:
    """Describe one network of samples or of a frontier.

    Raises:
        NnitError: its artifact is damaged, or has no such network.
    """
    artifact = open_artifact(path.parent)
    network = stored_network(artifact, path.name)
    parent = describe_artifact(artifact)
    (interface,) = interfaces_of(artifact)
    spec = interface.spec(network.architecture)
    data = {
        "path": str(path),
        "kind": "network",
        "artifact": str(path.parent),
        "tasks": parent["tasks"],
        "architecture": list(network.architecture),
        "parameters": spec.num_parameters,
        "sample_index": network.sample_index,
    }
    facts: dict[str, object] = {
        "kind": f"network of {parent['kind']}",
        "artifact": str(path.parent),
        "task": ", ".join(parent["tasks"]),
        "architecture": format_architecture(network.architecture),
        "parameters": f"{spec.num_parameters:,}",
        "made by": made_by(parent),
    }
    return Description(data, facts, {})


def describe_folder(folder: Path, paths: Sequence[Path]) -> Description:
    """List the artifacts of a folder; of one that can't be read, why."""
    rows: list[Row] = [("artifact", "kind", "task", "MiB")]
    listed: list[dict[str, Any]] = []
    for path in paths:
        try:
            artifact = open_artifact(path, check="sizes")
            tasks = [one.task for one in interfaces_of(artifact)]
        except NnitError as error:
            rows.append((path.name, "can't be read", "", ""))
            listed.append({"path": str(path), "fault": error.faults[0]})
            continue
        kind, size = artifact.manifest.kind, artifact.manifest.num_bytes
        listed.append({"path": str(path), "kind": kind, "tasks": tasks, "bytes": size})
        shown = ", ".join(tasks) if len(tasks) <= FEW_TASKS else f"{len(tasks)} tasks"
        rows.append((path.name, kind, shown, f"{size / 2**20:.2f}"))
    data = {"path": str(folder), "kind": "folder", "artifacts": listed}
    return Description(data, {"kind": "folder", "artifacts": len(paths)}, {"Artifacts": rows})


def headline(path: Path) -> Headline:
    """Say of an artifact its tasks, what came out in one line, and what is next.

    Raises:
        NnitError: there is none, or it is damaged.
    """
    data = describe_artifact(open_artifact(path))
    kind, content, tasks = data["kind"], data["content"], data["tasks"]
    name, several = quote(str(path)), len(tasks) > 1
    task = f" --task {tasks[0]}" if several else ""
    counted = ""
    if "distinct_architectures" in content:
        shapes = list(content["architectures"])
        more = content["distinct_architectures"] - FEW_SHAPES
        listed = "  ".join(shapes[:FEW_SHAPES]) + (f"  and {more} more" if more > 0 else "")
        number = content["distinct_architectures"]
        counted = f"{_several(content['networks'], 'network')} of {_several(number, 'shape')}"
        if kind == "samples":
            counted += f": {listed}"
    demos = path.parent / "demos"
    held = f" --demos {quote(str(demos))}" if (demos / MANIFEST_NAME).exists() else ""
    results = {
        "demos": lambda: f"{content['episodes']} episodes, {content['steps']} steps",
        "ghn": lambda: f"a hypernetwork of {content['parameters']:,} parameters",
        "generator": lambda: f"a generator of {content['parameters']:,} parameters",
        "flat": lambda: f"a flat model of {content['parameters']:,} parameters",
        "rollouts": lambda: success_line(read_rollouts(path)[0].evaluations),
        "frontier": lambda: content["answer"],
    }
    nexts = {
        "demos": f"nnit ghn-train {name}",
        "ghn": f"nnit zoo-export {name}",
        "zoo": f"nnit tokenize {name}",
        "tokens": f"nnit diffuse-train {name}{held}",
        "generator": f"nnit sample --model {name}{task} --arch 128,256,128",
        "flat": f"nnit flat-sample --model {name} --arch 64,64",
        "samples": f"nnit rollout {name}",
        "frontier": f"nnit export {name} --onnx",
    }
    result = results[kind]() if kind in results else counted
    return Headline(", ".join(tasks), result, nexts.get(kind, f"nnit report {name}"))


def success_line(evaluations: Sequence[Evaluation]) -> str:
    """Return the success of the networks that were asked for, the first source."""
    source = evaluations[0].source if evaluations else ""
    mine = [one for one in evaluations if one.source == source]
    if not mine:
        return "no networks were run"
    episodes = sum(len(one.episodes) for one in mine)
    networks = _several(len(mine), "network")
    return f"success {_pooled(mine)} of {networks} in {episodes} episodes"


def level_of(evaluations: Sequence[Evaluation]) -> Level:
    """Return mean success and its interval over shapes and states.

    Where networks faced different states, the interval is that of as many trials as the one with
    the fewest episodes had.
    """
    if len({tuple(episode.seed for episode in one.episodes) for one in evaluations}) == 1:
        return success_level(evaluations)
    mean = statistics.fmean(one.success_once for one in evaluations)
    fewest = min(len(one.episodes) for one in evaluations)
    return Level(mean, wilson_interval(mean, fewest))


def shape_table(architectures: dict[str, int], distinct: int) -> list[Row]:
    """Return how many networks there are of each shape, the most frequent ones first."""
    rows: list[Row] = [("architecture", "networks")]
    rows += [(shape, str(number)) for shape, number in architectures.items()]
    more = distinct - len(architectures)
    return [*rows, (f"and {more} more", "")] if more > 0 else rows


def made_by(data: dict[str, Any]) -> str:
    """Say which command wrote an artifact."""
    return f"nnit {data['stage']} {data['nnit_version']}, seed {data['seed']}"


def _several(number: int, word: str) -> str:
    return f"{number:,} {word}{'s' * (number != 1)}"


def facts_of(data: dict[str, Any]) -> dict[str, object]:
    """Return what a person wants to know of an artifact, one fact an entry."""
    size = f"{data['bytes'] / 2**20:.2f} MiB in {data['files'] + 1} files"
    parents = {f"from {name}": digest[:SHORT_DIGEST] for name, digest in data["parents"].items()}
    content = {
        name.replace("_", " "): _shown(value)
        for name, value in data["content"].items()
        if name not in ("aggregated", "tasks", "films") and not isinstance(value, dict)
    }
    if films := data["content"].get("films"):
        where = Path(data["path"], VIDEOS)
        content["films"] = f"{len(films)} in {where}: {_shown(films)}"
    params = {f"param {name}": _shown(value) for name, value in data["params"].items()}
    versions = ", ".join(f"{name} {version}" for name, version in data["versions"].items())
    return {
        "kind": f"{data['kind']}, schema {data['schema']}",
        "digest": data["digest"],
        "task": ", ".join(data["tasks"]),
        "made by": made_by(data),
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
    rows: list[Row] = [("held out as", "architecture", *map(source_name, sources))]
    for kind in dict.fromkeys(evaluation.kind for evaluation in evaluations):
        members = [evaluation for evaluation in evaluations if evaluation.kind == kind]
        architectures = list(dict.fromkeys(e.hidden_dims for e in members))
        for hidden_dims in architectures:
            same = [e for e in members if e.hidden_dims == hidden_dims]
            cells = (_pooled([e for e in same if e.source == source]) for source in sources)
            rows.append((kind_name(kind), format_architecture(hidden_dims), *cells))
        if len(architectures) > 1:
            cells = (_pooled([e for e in members if e.source == source]) for source in sources)
            rows.append((kind_name(kind), f"all {len(architectures)}", *cells))
    return rows


def source_name(source: str) -> str:
    """Return what people call a source of rollouts."""
    return SOURCES.get(source, source)


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
                kind_name(one.kind),
                f"{frontier.parameters(k):,}",
                f"{frontier.macs(k):,}",
                str(Level(one.success_once, one.interval)),
                str(frontier.confirmed_success(k) or "-"),
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
    rows: list[Row] = [(head, *map(kind_name, kinds))]
    for source in dict.fromkeys(evaluation.source for evaluation in evaluations):
        mine = [evaluation for evaluation in evaluations if evaluation.source == source]
        cells = (cell([e for e in mine if e.kind == kind]) for kind in kinds)
        rows.append((source_name(source), *cells))
    return rows


def _pooled(evaluations: Sequence[Evaluation]) -> str:
    if not evaluations:
        return "-"
    return str(level_of(evaluations))


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
    if value and all(isinstance(item, int) for item in value):
        return ",".join(map(str, value))
    shown = "; ".join(str(_shown(item)) for item in value[:SHOWN_ITEMS])
    return f"{shown}; …" if len(value) > SHOWN_ITEMS else shown or "none"
