"""``nnit report``: artifacts as one page for people, with their figures and where they came from.

Reads:   any artifacts, the logs of trainings beside them, and loss curves as CSV files
Writes:  one HTML file
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnit.artifacts.loose import fault_of_file, write_loose
from nnit.artifacts.manifest import MANIFEST_NAME
from nnit.artifacts.reading import Artifact, open_artifact
from nnit.errors import DamagedArtifactError, MissingArtifactError, OutputExistsError, UsageError
from nnit.figures.lineage import Node, draw_lineage
from nnit.figures.page import Row, Section, Table, html_page, is_page
from nnit.opening import read_bounded
from stages.inspection import SHORT_DIGEST, Description, describe
from stages.report_sections import (
    Success,
    charts_of,
    curve_chart,
    curve_of,
    films_of,
    headline_of,
    network_table,
    pictures_of,
    read_success,
    shown_rows,
    success_charts,
    trained_shapes,
    weights_of,
)

TITLE = "nnit report"
SHOWN_TASKS = 12  # in headlines
SHOWN_SETS = 1  # samples whose weights are shown
SHOWN_BOXES = 60  # of a drawing of lineage; of more there is the table alone
MAX_CURVE_BYTES = 2**26
MAX_STEP = 2**53
FOLDED = ("with", "param ", "digest")  # beginnings of the facts that lie behind a fold


@dataclass(frozen=True)
class Inputs:
    """What the report is of."""

    paths: tuple[Path, ...]  # artifacts, or folders of artifacts
    curves: tuple[Path, ...] = ()  # CSV files as ``--curve`` of a training writes them


@dataclass(frozen=True)
class Summary:
    """What was written."""

    artifacts: int
    curves: int
    bytes: int


@dataclass(frozen=True)
class Shown:
    """An artifact of the report."""

    artifact: Artifact
    description: Description


def write_report(inputs: Inputs, out: Path, *, force: bool = False) -> Summary:
    """Describe artifacts on one HTML page; parents come before what was made from them.

    Raises:
        NnitError: no artifact, a damaged one, a curve that is none, or an output that is there.
    """
    refuse_output(out, force=force)
    curves = {path: read_curve(path) for path in inputs.curves}
    paths = {
        path.resolve(): path for given in inputs.paths for path in find_artifacts(given)
    }.values()
    shown = parents_first([Shown(open_artifact(p, check="sizes"), describe(p)) for p in paths])
    successes = {
        one.artifact.digest: read_success(one.artifact)
        for one in shown
        if one.artifact.manifest.kind == "rollouts"
    }
    first = first_of_tasks(list(successes.values()))
    headlines = [headline_of(found) for found in first]
    overview = overview_of(shown, first, list(successes.values()), curves, out)
    names = {one.artifact.digest: str(one.artifact.path) for one in shown}
    others = {digest: found for digest, found in successes.items() if found not in first}
    parts = [
        section_of(one, names, others.get(one.artifact.digest), shown_rows(len(successes)))
        for one in shown
    ]
    tasks = ", ".join(dict.fromkeys(headline.task for headline in headlines))
    title = f"{tasks}: {TITLE}" if tasks else TITLE
    data = html_page(title, headlines, overview, parts).encode()
    refuse_output(out, force=force)
    write_loose(out, data, is_page)
    return Summary(len(shown), len(curves), len(data))


def refuse_output(out: Path, *, force: bool) -> None:
    """Make sure that the page may be written.

    Raises:
        OutputExistsError: it is there and ``force`` is off.
        UsageError: something else is there, or it lies inside an artifact.
        ResourceError: the folder around it cannot be written to.
    """
    fault = fault_of_file(out, is_page)
    if fault:
        raise UsageError(f"--out {out}: {fault}")
    if out.exists() and not force:
        raise OutputExistsError(f"{out}: exists already; replace it with --force, or choose --out")


def find_artifacts(path: Path) -> list[Path]:
    """Return the path, or the artifacts that lie in it where it is a folder of some.

    Raises:
        MissingArtifactError: there is none.
    """
    if not path.is_dir():
        raise MissingArtifactError(f"{path}: no such artifact")
    if (path / MANIFEST_NAME).exists():
        return [path]
    inside = sorted(
        entry
        for entry in path.iterdir()
        if not entry.name.startswith(".") and (entry / MANIFEST_NAME).exists()
    )
    if not inside:
        raise MissingArtifactError(
            f"{path}: neither an artifact nor a folder with artifacts: no {MANIFEST_NAME} in it"
        )
    return inside


def parents_first(shown: Sequence[Shown]) -> list[Shown]:
    """Sort artifacts so that each comes after those that it was made from, else as they were."""
    waiting, placed = list(shown), []
    while waiting:
        missing = {one.artifact.digest for one in waiting}
        ready = next(
            one for one in waiting if not missing & set(one.artifact.manifest.parents.values())
        )
        waiting.remove(ready)
        placed.append(ready)
    return placed


def first_of_tasks(successes: Sequence[Success]) -> list[Success]:
    """Return the rollouts of each task with the most shapes that nobody trained."""
    best: dict[str, Success] = {}
    for found in [found for found in successes if found.evaluations]:
        task = found.interface.task
        if task not in best or _untrained_shapes(found) > _untrained_shapes(best[task]):
            best[task] = found
    return list(best.values())[:SHOWN_TASKS]


def _untrained_shapes(found: Success) -> int:
    return len({one.hidden_dims for one in found.untrained(found.methods[0])})


def overview_of(
    shown: Sequence[Shown],
    first: Sequence[Success],
    successes: Sequence[Success],
    curves: Mapping[Path, Mapping[str, list[tuple[int, float]]]],
    out: Path,
) -> list[Section]:
    """Return what is shown before the single artifacts: sections that have something to show."""
    sections, limit = [], shown_rows(len(successes))
    for found in first:
        name = f" on {found.interface.task}" if len(first) > 1 else ""
        trained = trained_shapes([found.artifact])
        charts = success_charts(found, trained, limit)
        networks = network_table(found, limit)
        sections.append(Section(f"Success{name}", charts=charts, tables=[networks]))
    films = films_of([found.artifact for found in successes], out)
    made = [
        *(curve_of(one.artifact) for one in shown),
        *(curve_chart(f"curve: {path}", dict(series)) for path, series in curves.items()),
    ]
    patches = patch_sizes(shown)
    weights = [
        image
        for one in shown_samples(shown, first)
        for image in weights_of(one.artifact, _patch_of(one, patches))
    ]
    sections += [
        Section("Films", films=films, note="The first episode of each network that was filmed."),
        Section("Training", charts=[chart for chart in made if chart]),
        Section("Weights", weights=weights),
        lineage_section(shown),
    ]
    return [one for one in sections if one.charts or one.films or one.weights or one.tables]


def shown_samples(shown: Sequence[Shown], first: Sequence[Success]) -> list[Shown]:
    """Return the samples whose weights are shown, those that the headlines are about first."""
    samples = [one for one in shown if one.artifact.manifest.kind == "samples"]
    about = {digest for found in first for digest in found.artifact.manifest.parents.values()}
    return sorted(samples, key=lambda one: one.artifact.digest not in about)[:SHOWN_SETS]


def patch_sizes(shown: Sequence[Shown]) -> dict[str, int]:
    """Return the side of a patch of each generator, by its digest."""
    generators = [one.artifact for one in shown if one.artifact.manifest.kind == "generator"]
    sizes = {one.digest: one.manifest.attributes.get("patch_size") for one in generators}
    return {digest: size for digest, size in sizes.items() if type(size) is int and size > 0}


def _patch_of(one: Shown, patches: Mapping[str, int]) -> int:
    parents = one.artifact.manifest.parents.values()
    return next((patches[digest] for digest in parents if digest in patches), 0)


def lineage_section(shown: Sequence[Shown]) -> Section:
    """Draw what was made from what, above a table that says the same."""
    names = {one.artifact.digest: str(one.artifact.path) for one in shown}
    drawing = draw_lineage(lineage_nodes(shown))
    return Section(
        "What was made from what",
        tables=[Table("Artifacts", lineage_table(shown, names))],
        lineage=drawing if len(drawing.boxes) <= SHOWN_BOXES else None,
    )


def lineage_nodes(shown: Sequence[Shown]) -> list[Node]:
    """Return a node for each artifact, and before them one for each parent that is not shown."""
    digests = {one.artifact.digest for one in shown}
    parents = [item for one in shown for item in one.artifact.manifest.parents.items()]
    elsewhere = {digest: name for name, digest in parents if digest not in digests}
    places = {digest: place for place, digest in enumerate(elsewhere)}
    nodes = [Node(digest[:SHORT_DIGEST], name, ()) for digest, name in elsewhere.items()]
    for k, one in enumerate(shown):
        manifest = one.artifact.manifest
        above = tuple(sorted({places[digest] for digest in manifest.parents.values()}))
        nodes.append(Node(one.artifact.path.name, manifest.kind, above, f"#part-{k}"))
        places[one.artifact.digest] = len(nodes) - 1
    return nodes


def lineage_table(shown: Sequence[Shown], names: Mapping[str, str]) -> list[Row]:
    """Return a row for each artifact: its kind, what made it, and from what."""
    rows: list[Row] = [("artifact", "kind", "made by", "from", "size")]
    for one in shown:
        manifest = one.artifact.manifest
        rows.append(
            (
                str(one.artifact.path),
                manifest.kind,
                f"nnit {manifest.stage}, seed {manifest.seed}",
                ", ".join(parents_of(one, names).values()) or "-",
                f"{manifest.num_bytes / 2**20:.2f} MiB",
            )
        )
    return rows


def parents_of(one: Shown, names: Mapping[str, str]) -> dict[str, str]:
    """Name the parents by their place in the report, others by the beginning of their digest."""
    return {
        name: names.get(digest, f"{name} {digest[:SHORT_DIGEST]}")
        for name, digest in one.artifact.manifest.parents.items()
    }


def section_of(
    one: Shown, names: Mapping[str, str], success: Success | None, limit: int
) -> Section:
    """Describe one artifact; ``success`` is drawn too, of at most ``limit`` networks."""
    manifest, path = one.artifact.manifest, one.artifact.path
    facts = dict(one.description.facts)
    facts |= {f"from {name}": where for name, where in parents_of(one, names).items()}
    folded = {name: value for name, value in facts.items() if name.startswith(FOLDED)}
    charts = charts_of(one.artifact)
    tables = [Table(title, rows) for title, rows in one.description.tables.items()]
    if success:
        charts += success_charts(success, trained_shapes([one.artifact]), limit)
        tables.append(network_table(success, limit))
    return Section(
        f"{manifest.kind}: {path}",
        facts={name: value for name, value in facts.items() if name not in folded},
        details=folded,
        tables=tables,
        charts=charts,
        pictures=pictures_of(one.artifact),
    )


def read_curve(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Read a CSV file of steps and one value, as ``--curve`` writes it, as name -> points.

    Raises:
        MissingArtifactError: there is no such file.
        DamagedArtifactError: it is something else; the line says where.
    """
    try:
        rows = list(csv.reader(read_bounded(path, MAX_CURVE_BYTES).decode().splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DamagedArtifactError(f"{path}: not a CSV file: {error}") from None
    if not rows or len(rows[0]) != 2 or rows[0][0] != "step":
        raise DamagedArtifactError(
            f"{path}:1: found {','.join(rows[0]) if rows else 'nothing'}, expected a head such "
            "as step,loss; give a file that a training wrote with --curve"
        )
    points = []
    for number, row in enumerate(rows[1:], start=2):
        try:
            step, value = row
            points.append((int(step), float(value)))
            if abs(points[-1][0]) > MAX_STEP:
                raise ValueError
        except ValueError:
            raise DamagedArtifactError(
                f"{path}:{number}: found {','.join(row)!r}, expected a step and a number"
            ) from None
        if not math.isfinite(points[-1][1]):
            raise DamagedArtifactError(f"{path}:{number}: found {row[1]}, expected a finite number")
    return {rows[0][1]: points}
