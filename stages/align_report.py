"""Stage ``align-report``: say how aligned, how smooth and of what rank networks of zoos are.

Reads:   zoos       kind "zoo",       schema 1, one or more, each with a label
         demos      kind "demos",     schema 1 (others than those that were trained on)
Writes:  alignment  kind "alignment", schema 2
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnit.alignment.barrier import ALPHAS
from nnit.alignment.measure import AlignmentSettings, draw_pairs, layers_of, measure_zoo
from nnit.alignment.rank import matrix_rank
from nnit.alignment.report import Alignment, ZooAlignment, layers_between
from nnit.alignment.smoothness import AXES, LAGS
from nnit.artifacts.alignment import (
    SMOOTHNESS_FIGURE,
    WEIGHTS_FIGURE,
    StoredAlignment,
    write_alignment,
)
from nnit.artifacts.demos import read_demos
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.zoo import read_zoo
from nnit.cloning import cloning_data
from nnit.figures.alignment import LagCurve, WeightImages, smoothness_figure, weights_figure
from nnit.mlp import Architecture
from nnit.progress import Progress, silent
from nnit.state_bank import draw_states
from nnit.training import prepare_torch
from nnit.zoo.members import ModelZoo
from stages.lineage import on_other_demonstrations, repeats_of, require_pairs, require_same_task
from stages.params import Params, RunOptions


@dataclass(frozen=True)
class Inputs:
    """What is compared."""

    zoo: Mapping[str, Path]  # what the report calls each of them -> where it is
    demos: Path


@dataclass(frozen=True)
class Outputs:
    """Where the report goes."""

    alignment: Path


@dataclass(frozen=True)
class Summary:
    """The numbers for the terminal and for ``metrics/align_report.json``, by label."""

    zoos: int
    index_alignment: dict[str, float]  # share of units whose best match has their index
    weight_correlation: dict[str, float]
    relative_barrier: dict[str, float]
    rank_share: dict[
        str, float
    ]  # values at 99 %, between hidden layers, over the most there can be


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Compare networks of each zoo in pairs, and draw what was found.

    Raises:
        WrongKindError: inputs of different tasks, or a zoo without two networks of one shape.
        NnitError: a missing or damaged input, or an output that can't be written.
    """
    check_output_free(outputs.alignment, force=options.force, kind="alignment")
    prepare_torch()
    section = params.align_report
    demos, demos_artifact = read_demos(inputs.demos)
    parents, zoos, settings = {"demos": demos_artifact.digest}, {}, {}
    first_label, first_path = next(iter(inputs.zoo.items()))
    for label, path in inputs.zoo.items():
        zoos[label], artifact = read_zoo(path)
        parents[f"zoo-{label}"] = artifact.digest
        require_same_task(first_path, zoos[first_label].interface, path, zoos[label].interface)
        repeats = repeats_of(path, zoos[label], section.repeats, progress, "align-report")
        require_pairs(path, repeats)
        settings[label] = AlignmentSettings(repeats, section.shapes, section.pairs, options.seed)
        if artifact.manifest.parents.get("demos") == demos_artifact.digest:
            progress.note(
                f"align-report: {inputs.demos}: {path} was trained on these; losses on others say "
                "more"
            )
    interface = zoos[first_label].interface
    demos = on_other_demonstrations(first_path, interface, inputs.demos, demos)
    states, data = draw_states(demos, section.states, options.seed), cloning_data(demos)
    found = tuple(
        measure_zoo(label, zoo, states, data, settings[label], progress)
        for label, zoo in zoos.items()
    )
    write_alignment(
        outputs.alignment,
        StoredAlignment(Alignment(found, len(states), ALPHAS), interface),
        {
            WEIGHTS_FIGURE: draw_weights(zoos, settings),
            SMOOTHNESS_FIGURE: draw_smoothness(found),
        },
        Provenance("align-report", section.model_dump(mode="json"), options.seed, parents),
        force=options.force,
    )
    return summarise(found)


def draw_weights(zoos: dict[str, ModelZoo], settings: dict[str, AlignmentSettings]) -> bytes:
    """Draw the largest matrix of two networks of each zoo, of a shape that all have if any."""
    pairs = {label: draw_pairs(zoo, settings[label]) for label, zoo in zoos.items()}
    common = set.intersection(*(set(some) for some in pairs.values()))
    images = []
    for label, zoo in zoos.items():
        shape = max(common or pairs[label], key=lambda dims: (largest_layer(zoo, dims)[1], dims))
        layer, _ = largest_layer(zoo, shape)
        weights = [layers_of(zoo, k)[layer].weight for k in pairs[label][shape][0]]
        ranks = [f"{matrix_rank(w).values} of {min(w.shape)} values at 99 %" for w in weights]
        images.append(WeightImages(label, [w / np.sqrt(2 / w.shape[1]) for w in weights], ranks))
    return weights_figure(images)


def largest_layer(zoo: ModelZoo, shape: Architecture) -> tuple[int, int]:
    """Return the index and the size of the largest layer between hidden ones, or of any."""
    layers = zoo.interface.spec(shape).layers
    between = range(1, len(layers) - 1) or range(len(layers))
    best = max(between, key=lambda k: layers[k].num_parameters)
    return best, (len(between) < len(layers)) * layers[best].num_parameters


def draw_smoothness(zoos: Sequence[ZooAlignment]) -> bytes:
    """Draw the autocorrelation of the layers between hidden ones by distance, or of the first."""
    roles = {spot.role for zoo in zoos for spot in zoo.smoothness}
    role = "middle" if "middle" in roles else "first"
    curves: dict[str, list[LagCurve]] = {}
    for axis in AXES:
        for zoo in zoos:
            spots = [
                spot
                for spot in zoo.smoothness
                if (spot.role, spot.axis, spot.block) == (role, axis, 1) and spot.lag in LAGS
            ]
            curve = LagCurve(
                zoo.label,
                [spot.lag for spot in spots],
                [spot.autocorrelation.mean for spot in spots],
                [spot.shuffled.mean for spot in spots],
            )
            curves.setdefault(f"{role} layers, along {axis}", []).append(curve)
    return smoothness_figure(curves)


def summarise(zoos: Sequence[ZooAlignment]) -> Summary:
    """Return the main figure of each claim, by label."""
    return Summary(
        zoos=len(zoos),
        index_alignment={
            zoo.label: zoo.same_shape.by_activations.mean
            for zoo in zoos
            if zoo.same_shape.by_activations
        },
        weight_correlation={zoo.label: zoo.weight_correlation.mean for zoo in zoos},
        relative_barrier={zoo.label: zoo.line.relative.mean for zoo in zoos},
        rank_share={
            zoo.label: float(np.mean([rank.values / rank.largest for rank in between]))
            for zoo in zoos
            if (between := layers_between(zoo.ranks))
        },
    )
