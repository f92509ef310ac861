"""``nnit report``: artifacts as one page for people, with their figures and where they came from.

Reads:   any artifacts, and loss curves as CSV files
Writes:  one HTML file
"""

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnit.artifacts.alignment import SMOOTHNESS_FIGURE, WEIGHTS_FIGURE
from nnit.artifacts.frontier import FIGURE_NAME
from nnit.artifacts.loose import fault_of_file, write_loose
from nnit.artifacts.manifest import MANIFEST_NAME
from nnit.artifacts.reading import Artifact, open_artifact, read_bytes
from nnit.artifacts.rollouts import read_rollouts
from nnit.artifacts.samples import SampleSet, read_samples
from nnit.artifacts.zoo import read_zoo
from nnit.errors import DamagedArtifactError, MissingArtifactError, OutputExistsError, UsageError
from nnit.figures.alignment import WeightImages, weights_figure
from nnit.figures.by_architecture import ArchitectureSuccess, draw_by_architecture
from nnit.figures.canvas import png_bytes
from nnit.figures.curves import draw_curves, draw_sizes
from nnit.figures.page import Row, Section, html_page
from nnit.mlp import Network, PolicyInterface, format_architecture, split_layers
from nnit.opening import read_bounded
from nnit.rollout.metrics import Evaluation, success_level
from stages.inspection import SHORT_DIGEST, Description, describe

TITLE = "nnit report"
SHOWN_LAYERS = 3  # weight images of so many networks
SHOWN_ROWS, SHOWN_SOURCES = 200, 20  # of a figure of success; more could not be read
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
    curves = {str(path): read_curve(path) for path in inputs.curves}
    paths = {
        path.resolve(): path for given in inputs.paths for path in find_artifacts(given)
    }.values()
    shown = parents_first([Shown(open_artifact(p, check="sizes"), describe(p)) for p in paths])
    names = {one.artifact.digest: str(one.artifact.path) for one in shown}
    sections = [
        Section("What was made from what", tables=[lineage_table(shown, names)]),
        *(section_of(one, names) for one in shown),
        *curve_sections(curves),
    ]
    data = html_page(TITLE, sections).encode()
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


def is_page(data: bytes) -> bool:
    """Whether a file is a page that ``write_report`` wrote."""
    return f"<title>{TITLE}</title>".encode() in data[:1000]


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


def section_of(one: Shown, names: Mapping[str, str]) -> Section:
    """Describe one artifact."""
    manifest, path = one.artifact.manifest, one.artifact.path
    facts = dict(one.description.facts)
    facts |= {f"from {name}": where for name, where in parents_of(one, names).items()}
    folded = {name: value for name, value in facts.items() if name.startswith(FOLDED)}
    return Section(
        f"{manifest.kind}: {path}",
        facts={name: value for name, value in facts.items() if name not in folded},
        details=folded,
        tables=one.description.tables,
        figures=FIGURES.get(manifest.kind, _none)(one.artifact),
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


def curve_sections(curves: Mapping[str, Mapping[str, list[tuple[int, float]]]]) -> list[Section]:
    """Return a section for each loss curve."""
    sections = []
    for path, (label, points) in ((p, *c.items()) for p, c in curves.items()):
        figure = draw_curves({Path(path).stem: points}, label)
        sections.append(Section(f"curve: {path}", figures={f"{label} by step": png_bytes(figure)}))
    return sections


def _none(artifact: Artifact) -> dict[str, bytes]:
    return {}


def _rollouts_figures(artifact: Artifact) -> dict[str, bytes]:
    """Draw success of the first architectures, the networks of one source together."""
    evaluations = read_rollouts(artifact.path)[0].evaluations
    groups: dict[tuple[str, str], list[Evaluation]] = {}
    for one in evaluations:
        row = f"{format_architecture(one.hidden_dims) or 'expert'}  ({one.kind or 'unknown'})"
        groups.setdefault((one.source, row), []).append(one)
    sources, rows = (list(dict.fromkeys(names)) for names in zip(*groups, strict=True))
    shown = {(one, row) for one in sources[:SHOWN_SOURCES] for row in rows[:SHOWN_ROWS]}
    methods: dict[str, list[ArchitectureSuccess]] = {}
    for (source, row), same in groups.items():
        if (source, row) not in shown:
            continue
        level = success_level(same)
        reached = ArchitectureSuccess(row, level.mean, *level.interval)
        methods.setdefault(source, []).append(reached)
    figure = draw_by_architecture(methods, "success_once with 95 % intervals")
    return {"Success by architecture": png_bytes(figure)}


def _zoo_figures(artifact: Artifact) -> dict[str, bytes]:
    """Draw the losses of the networks by their size."""
    zoo, _ = read_zoo(artifact.path)
    sizes = [zoo.spec(k).num_parameters for k in range(len(zoo))]
    losses = [member.loss for member in zoo.members]
    figure = draw_sizes(sizes, losses, "loss over all demonstrations")
    return {"Loss of each network by its size": png_bytes(figure)}


def _samples_figures(artifact: Artifact) -> dict[str, bytes]:
    """Draw a weight matrix of the first networks that are of different architectures."""
    samples, _ = read_samples(artifact.path)
    images = weight_images(samples)
    if not images:
        return {}
    return {"The largest layer between hidden ones of some networks": weights_figure(images)}


def weight_images(samples: SampleSet) -> list[WeightImages]:
    """Return the largest layer between hidden ones of some networks that have one."""
    distinct: dict[tuple[int, ...], Network] = {}
    for sample in samples.samples:
        distinct.setdefault(sample.network.hidden_dims, sample.network)
    deep = [network for dims, network in distinct.items() if len(dims) > 1][:SHOWN_LAYERS]
    return [
        WeightImages(format_architecture(network.hidden_dims), [field])
        for network in deep
        for field in [_largest_field(network, samples.interface)]
    ]


def _largest_field(network: Network, interface: PolicyInterface) -> np.ndarray:
    layers = split_layers(interface.spec(network.hidden_dims), network.weights)
    weight = max((layer.weight for layer in layers[1:-1]), key=np.size)
    return weight / math.sqrt(2 / weight.shape[1])


def _frontier_figures(artifact: Artifact) -> dict[str, bytes]:
    return {"Size against success": read_bytes(artifact, FIGURE_NAME)}


def _alignment_figures(artifact: Artifact) -> dict[str, bytes]:
    return {
        "The same layer of networks of each zoo": read_bytes(artifact, WEIGHTS_FIGURE),
        "Autocorrelation by the distance between units": read_bytes(artifact, SMOOTHNESS_FIGURE),
    }


FIGURES: dict[str, Callable[[Artifact], dict[str, bytes]]] = {
    "zoo": _zoo_figures,
    "samples": _samples_figures,
    "rollouts": _rollouts_figures,
    "frontier": _frontier_figures,
    "alignment": _alignment_figures,
}
