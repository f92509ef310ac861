"""What the report shows of an artifact of each kind: charts, pictures, films and tables."""

import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

import numpy as np
from pydantic import Field, ValidationError

from nnit.architectures import HELD_OUT_KINDS
from nnit.artifacts.alignment import SMOOTHNESS_FIGURE, WEIGHTS_FIGURE
from nnit.artifacts.canonical import MAX_NUMBER
from nnit.artifacts.frontier import read_frontier
from nnit.artifacts.log import SECONDS, STEP, log_file, read_log
from nnit.artifacts.reading import Artifact, read_bytes
from nnit.artifacts.records import Items, Number
from nnit.artifacts.rollouts import VIDEOS, read_rollouts
from nnit.artifacts.samples import SampleSet, read_samples
from nnit.artifacts.zoo import read_zoo
from nnit.figures.charts import (
    Candidate,
    Reached,
    SizedLoss,
    TrainedShapes,
    frontier,
    loss_by_size,
    success_by_architecture,
    success_map,
    training_curves,
)
from nnit.figures.page import Chart, Film, Headline, Picture, Row, Standing, Table, WeightImage
from nnit.figures.weights import weight_bound, weight_png
from nnit.mlp import Architecture, Network, PolicyInterface, format_architecture, split_layers
from nnit.rollout.metrics import Evaluation
from stages.audit_tables import kind_name
from stages.inspection import level_of, source_name
from stages.params import ArchitecturesParams

SHOWN_LAYERS = 3  # weight images of so many networks
SHOWN_WEIGHTS = 2**16  # of a weight image
SHOWN_SHAPES, SHOWN_METHODS = 200, 20  # of a chart of success; more could not be read
SHOWN_NETWORKS = 1000  # points of a chart of a zoo or a frontier
SHOWN_SERIES = 8  # of a training
ALL_ROWS, FEWEST_ROWS = 2000, 20  # of networks: of all rollouts together, and of each
SHOWN_STEPS = 300  # points of a curve
FILM_BYTES = 1_200_000  # of all films within the page; others are linked
PICTURE_BYTES = 600_000  # of one picture
SETTINGS = (STEP, SECONDS, "learning_rate", "_per_second")  # of a log, no measure of learning
EXPERT = "expert"
Points = list[tuple[int, float]]
Pair = Annotated[Items[Number], Field(min_length=2, max_length=2)]  # of a step and a loss


class Success(NamedTuple):
    """What rollouts hold."""

    artifact: Artifact
    evaluations: tuple[Evaluation, ...]
    interface: PolicyInterface

    @property
    def methods(self) -> list[str]:
        """All sources, generated networks first."""
        found = dict.fromkeys(one.source for one in self.evaluations)
        return sorted(found, key=lambda source: source != "sample")

    def untrained(self, method: str) -> list[Evaluation]:
        """Return the networks of a source whose shapes were in no training."""
        return [
            one for one in self.evaluations if one.source == method and one.kind in HELD_OUT_KINDS
        ]


def read_success(artifact: Artifact) -> Success:
    """Read rollouts.

    Raises:
        NnitError: damaged.
    """
    rollouts, read = read_rollouts(artifact.path)
    return Success(read, rollouts.evaluations, rollouts.interface)


def headline_of(found: Success) -> Headline:
    """Say what the first method reached on shapes that nobody trained; on all if there are none."""
    method = found.methods[0]
    about = found.untrained(method)
    is_untrained = bool(about)
    about = about or [one for one in found.evaluations if one.source == method]
    shapes = dict.fromkeys(one.hidden_dims for one in about)
    level = level_of(about)
    networks = (
        "the expert" if method == EXPERT else f"{_number(about, 'network')} ({source_name(method)})"
    )
    whose = f"of {_number(shapes, 'shape')} that nobody trained" if is_untrained else ""
    kinds = {one.hidden_dims: one.kind for one in about}
    counts = [f"{count} {kind}" for kind, count in Counter(kinds.values()).items()]
    facts = [f"Lowest network: {_lowest(about)}"]
    if is_untrained:
        facts.insert(0, f"Shapes: {', '.join(counts)}")
    others = ((one, found.untrained(one)) for one in found.methods)
    standings = [
        Standing(source_name(name), str(level_of(theirs)), _lowest(theirs))
        for name, theirs in others
        if theirs
    ]
    return Headline(
        found.interface.task,
        f"{level.mean:.3f}",
        f"[{level.interval.low:.3f}, {level.interval.high:.3f}], 95 % interval",
        f"Share of successful episodes (success_once) of {networks} {whose}".rstrip()
        + f", each in {_number(about[0].episodes, 'episode')}",
        facts,
        standings[:SHOWN_METHODS],
    )


def shown_rows(rollouts: int) -> int:
    """Return how many networks of each of so many rollouts are shown, to keep the page small."""
    return max(FEWEST_ROWS, ALL_ROWS // max(1, rollouts))


def success_charts(found: Success, trained: TrainedShapes | None, limit: int) -> list[Chart]:
    """Return the map of success, and a row for each shape, of at most ``limit`` points each."""
    reached = reached_by(found, limit)
    if not reached:
        return []
    levels = [one.success for one in reached if one.method == reached[0].method]
    said = (
        f"{reached[0].method}: mean success {fmean(levels):.3f} over {_number(levels, 'shape')}, "
        f"lowest shape {min(levels):.3f}."
    )
    shade = " The shaded area has been trained on." if trained else ""
    return [
        Chart(
            "Success over width and depth",
            f"{said}{shade} Every network is in the table below.",
            success_map(reached, trained),
        ),
        Chart(
            "Success by shape, with 95 % intervals",
            f"{said} The axis is logarithmic in failures; its end, 1, is fewer than one in 1,000.",
            success_by_architecture(reached),
        ),
    ]


def reached_by(found: Success, limit: int) -> list[Reached]:
    """Return what each method reached on each shape: of the first shapes and methods."""
    groups: dict[tuple[str, str, Architecture], list[Evaluation]] = {}
    for one in found.evaluations:
        if one.hidden_dims:  # an expert has none
            groups.setdefault((one.source, one.kind, one.hidden_dims), []).append(one)
    order = {kind: place for place, kind in enumerate(HELD_OUT_KINDS)}
    shapes = dict.fromkeys((kind, hidden_dims) for _, kind, hidden_dims in groups)
    in_order = sorted(shapes, key=lambda shape: (order.get(shape[0], len(order)), shape[0]))
    drawn = [method for method in found.methods if any(method == key[0] for key in groups)]
    drawn = drawn[: min(SHOWN_METHODS, limit)]
    in_order = in_order[: min(SHOWN_SHAPES, limit // max(1, len(drawn)))]
    return [
        Reached(
            source_name(method),
            kind_name(kind),
            format_architecture(hidden_dims),
            len(hidden_dims),
            max(hidden_dims),
            found.interface.spec(hidden_dims).num_parameters,
            len(same),
            level.mean,
            *level.interval,
        )
        for method in drawn
        for kind, hidden_dims in in_order
        for same in [groups.get((method, kind, hidden_dims), [])]
        if same
        for level in [level_of(same)]
    ]


def network_table(found: Success, limit: int) -> Table:
    """Return a row for each network; of too many, for those with the fewest successes."""
    shown: Sequence[Evaluation] = found.evaluations
    title = "Every network"
    if len(shown) > limit:
        shown = sorted(shown, key=lambda one: one.success_once)[:limit]
        title = f"The {limit:,} lowest of {len(found.evaluations):,} networks"
    rows: list[Row] = [
        (
            "network", "made by", "held out as", "shape", "success_once", "95 % interval", "at end",
            "cloning loss", "episodes", "parameters", "layers", "widest",
        )
    ]  # fmt: skip
    for one in shown:
        size = found.interface.spec(one.hidden_dims).num_parameters if one.hidden_dims else None
        low, high = one.interval
        rows.append(
            (
                one.name,
                source_name(one.source),
                kind_name(one.kind),
                format_architecture(one.hidden_dims) or "-",
                f"{one.success_once:.3f}",
                f"[{low:.3f}, {high:.3f}]",
                f"{one.success_at_end:.3f}",
                "-" if one.loss is None else f"{one.loss:.4g}",
                str(len(one.episodes)),
                "-" if size is None else f"{size:,}",
                str(len(one.hidden_dims) or "-"),
                str(max(one.hidden_dims, default="-")),
            )
        )
    return Table(title, rows)


def trained_shapes(artifacts: Iterable[Artifact]) -> TrainedShapes | None:
    """Return the range of shapes in the trainings that led to some artifacts, if they say it."""
    ranges = []
    for artifact in artifacts:
        found = artifact.manifest.params.get("architectures")
        for section in found if isinstance(found, list) else [found]:
            try:
                ranges.append(ArchitecturesParams.model_validate(section).training_range())
            except ValidationError:
                continue
    if not ranges:
        return None
    return TrainedShapes(
        (min(one.widths_min for one in ranges), max(one.widths_max for one in ranges)),
        (min(one.depth_min for one in ranges), max(one.depth_max for one in ranges)),
    )


def films_of(artifacts: Iterable[Artifact], page: Path) -> list[Film]:
    """Return the films of rollouts: within the page while there is room, else beside it."""
    films, left = [], FILM_BYTES
    for artifact in artifacts:
        for name, entry in artifact.manifest.files.items():
            if not name.startswith(f"{VIDEOS}/"):
                continue
            fits = entry.size <= left
            left -= entry.size if fits else 0
            mp4 = read_bytes(artifact, name) if fits else None
            beside = os.path.relpath(artifact.path.resolve() / name, page.resolve().parent)
            films.append(Film(f"{artifact.path.name}: {Path(name).stem}", mp4, quote(beside)))
    return films


def curve_of(artifact: Artifact) -> Chart | None:
    """Return the curves of the training that made an artifact: of its log, or of its manifest.

    Raises:
        DamagedArtifactError: what is there is no curve.
    """
    points: Points = []
    if "loss_curve" in artifact.manifest.attributes:
        stored = artifact.attribute("loss_curve", Items[Pair])
        points = [(int(step), loss) for step, loss in stored]
    log = log_file(artifact.path)
    records = read_log(log) if log.is_file() else []
    series = series_of(records) if end_together(records, points) else {"loss": points}
    kind, name = artifact.manifest.kind, artifact.path.name
    return curve_chart(name if name == kind else f"{kind}: {name}", series)


def end_together(records: Sequence[Mapping[str, Any]], points: Points) -> bool:
    """Whether a log may be of the training that made an artifact with these points of its curve.

    A later training that was to replace the artifact, and was interrupted, has replaced the log.
    The curve has a point every few steps, so that its training may end a few steps behind the last.
    """
    if not (records and points):
        return bool(records)
    steps = [step for step, _ in points]
    every = min(after - before for before, after in pairwise([0, *steps]))
    return steps[-1] <= records[-1][STEP] < steps[-1] + every


def series_of(records: Sequence[Mapping[str, Any]]) -> dict[str, Points]:
    """Return the values of a log that say how far a training has come, by name."""
    series: dict[str, Points] = {}
    for record in records:
        for name, value in record.items():
            if name.endswith(SETTINGS) or not (_is_number(value) and _is_number(record[STEP])):
                continue
            series.setdefault(name, []).append((record[STEP], float(value)))
    return series


def _is_number(value: object) -> bool:
    """Whether a value of a log can be drawn: no text, not infinite, and not beyond all bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= MAX_NUMBER


def curve_chart(title: str, series: dict[str, Points]) -> Chart | None:
    """Draw the values of a training; none where it has no value at all."""
    filled = [(name, points) for name, points in series.items() if points]
    shown = {name: thinned(points) for name, points in filled[:SHOWN_SERIES]}
    if not shown:
        return None
    ends = "; ".join(
        f"{name} from {points[0][1]:.4g} to {points[-1][1]:.4g}" for name, points in shown.items()
    )
    steps = max(points[-1][0] for points in shown.values())
    return Chart(title, f"{ends}, in {steps:,} steps.", training_curves(shown))


def thinned(points: Points) -> Points:
    """Return at most ``SHOWN_STEPS`` points: means over as many parts of the steps."""
    if len(points) <= SHOWN_STEPS:
        return points
    parts = np.array_split(np.array(points), SHOWN_STEPS)
    return [(int(part[-1, 0]), float(part[:, 1].mean())) for part in parts]


def weights_of(artifact: Artifact, patch: int) -> list[WeightImage]:
    """Draw the largest layer between hidden ones of some networks of different shapes."""
    samples, _ = read_samples(artifact.path)
    images = []
    for network in _deep_networks(samples):
        layers = split_layers(samples.interface.spec(network.hidden_dims), network.weights)
        place = max(range(1, len(layers) - 1), key=lambda k: layers[k].weight.size)
        weight = layers[place].weight
        field = weight / math.sqrt(2 / weight.shape[1])
        bound = weight_bound(field)
        shape = format_architecture(network.hidden_dims)
        images.append(
            WeightImage(
                f"{shape}, layer {place + 1} of {len(layers)}",
                weight_png(field, bound),
                weight.shape[1],
                weight.shape[0],
                patch,
                bound,
            )
        )
    return images


def charts_of(artifact: Artifact) -> list[Chart]:
    """Return the charts of an artifact's own section."""
    return _CHARTS.get(artifact.manifest.kind, _none)(artifact)


def pictures_of(artifact: Artifact) -> list[Picture]:
    """Return the pictures that an artifact brings along, but for those too large for a page."""
    if artifact.manifest.kind != "alignment":
        return []
    titles = {
        WEIGHTS_FIGURE: "The same layer of networks of each zoo",
        SMOOTHNESS_FIGURE: "Autocorrelation by the distance between units",
    }
    return [
        Picture(title, read_bytes(artifact, name))
        for name, title in titles.items()
        if name in artifact.manifest.files and artifact.manifest.files[name].size <= PICTURE_BYTES
    ]


def _none(artifact: Artifact) -> list[Chart]:
    return []


def _zoo_charts(artifact: Artifact) -> list[Chart]:
    """Draw the losses of the networks by their size: of every k-th where there are too many."""
    zoo, _ = read_zoo(artifact.path)
    if not len(zoo):
        return []
    every = -(-len(zoo) // SHOWN_NETWORKS)
    networks = [
        SizedLoss(format_architecture(spec.hidden_dims), spec.num_parameters, zoo.members[k].loss)
        for k in range(0, len(zoo), every)
        for spec in [zoo.spec(k)]
    ]
    losses = [one.loss for one in networks]
    summary = (
        f"{len(networks):,} networks of {min(one.parameters for one in networks):,} to "
        f"{max(one.parameters for one in networks):,} parameters; loss from {min(losses):.4g} to "
        f"{max(losses):.4g}."
    )
    return [Chart("Loss of each network by its size", summary, loss_by_size(networks))]


def _frontier_charts(artifact: Artifact) -> list[Chart]:
    found = read_frontier(artifact.path)[0].frontier
    front = set(found.front)
    candidates = [
        Candidate(
            format_architecture(one.hidden_dims),
            found.parameters(k),
            one.success_once,
            *one.interval,
            k in front,
        )
        for k, one in enumerate(found.candidates)
        if k in front or k < SHOWN_NETWORKS
    ]
    summary = (
        f"{len(candidates):,} candidates, {len(front):,} of them on the front, as they raced; the "
        f"dotted line is the success that is wanted, {found.min_success:g}. {found.answer()}."
    )
    return [Chart("Success by size", summary, frontier(candidates, found.min_success))]


_CHARTS: dict[str, Callable[[Artifact], list[Chart]]] = {
    "zoo": _zoo_charts,
    "frontier": _frontier_charts,
}


def _deep_networks(samples: SampleSet) -> list[Network]:
    """Return some networks of different shapes whose layers between hidden ones can be shown."""
    distinct: dict[tuple[int, ...], Network] = {}
    for sample in samples.samples:
        distinct.setdefault(sample.network.hidden_dims, sample.network)
    sizes = {dims: max((a * b for a, b in pairwise(dims)), default=0) for dims in distinct}
    shown = [distinct[dims] for dims, size in sizes.items() if 0 < size <= SHOWN_WEIGHTS]
    return shown[:SHOWN_LAYERS]


def _lowest(evaluations: Sequence[Evaluation]) -> str:
    """Return the lowest success of a network, and its shape."""
    worst = min(evaluations, key=lambda one: one.success_once)
    return f"{worst.success_once:.3f} {format_architecture(worst.hidden_dims)}".rstrip()


def _number(things: Sized, name: str) -> str:
    count = len(things)
    return f"{count:,} {name}{'' if count == 1 else 's'}"
