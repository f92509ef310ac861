"""Measure the decoders of the hypernetwork side by side, and write the table of them.

    python -m benchmarks.decoders results/decoders.json --demos FOLDER [--seconds 30]
    python -m benchmarks.decoders results/decoders.json

With ``--demos`` measure: of each task ``FOLDER/TASK/demos`` are learnt from (``nnit demos``) and
``FOLDER/TASK/fresh`` judge (``nnit demos -n 60 --first-seed 20000``). All decoders have the same
processor seconds: what a step of each takes is measured in turns, and gives the number of steps.
Cells that the file has already are kept. Then ``docs/decoders.md`` gets its table.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.results_tables import markdown_table
from nnit.alignment.matching import match_activations, same_index
from nnit.alignment.rank import matrix_rank
from nnit.alignment.smoothness import Spot, network_smoothness
from nnit.architectures import sample_architecture
from nnit.artifacts.demos import read_demos
from nnit.cloning import (
    CloningData,
    cloning_data,
    evaluate_loss,
    layers_from_flat,
)
from nnit.ghn.model import GhnConfig, GraphHyperNetwork, build_ghn, write_networks
from nnit.ghn.training import GhnTrainingSettings, build_ghn_optimizer, train_ghn
from nnit.groups.units import plan_clones, train_unit
from nnit.mlp import Architecture, LayerWeights, MlpSpec, PolicyInterface, split_layers
from nnit.seeding import numpy_generator
from nnit.state_bank import draw_states
from nnit.training import build_optimizer, load_model_arrays, model_arrays, prepare_torch
from stages.params import Params

TASKS = ("PlaceSphere-v1", "PullCubeTool-v1", "LiftPegUpright-v1", "PushCube-v1")
PAGE = Path(__file__).parents[1] / "docs" / "decoders.md"
MARK = "<!-- made by python -m benchmarks.decoders -->"
WEIGHT_DECAY = 0.01
TIMED_STEPS, TURNS = 8, 3
CHOICE_SEED, NUM_SHAPES = 12, 12  # of the shapes that decoders are chosen by, none held out
RANKED = (128, 256, 128)  # whose second layer's rank is told
BRANCH_SHARE = 0.1  # of the steps, for each of two branches
CLONE_STEPS = 2000


class Variant(NamedTuple):
    """A decoder and how it is trained."""

    decoder: str
    muon: bool
    learning_rate: float  # the peak


VARIANTS = {
    "cnn": Variant("cnn", muon=False, learning_rate=1e-3),
    "pointwise": Variant("pointwise", muon=False, learning_rate=1e-3),
    "carrier, AdamW": Variant("carrier", muon=False, learning_rate=3e-3),
    "carrier, Muon": Variant("carrier", muon=True, learning_rate=3e-3),
}


class Lesson(NamedTuple):
    """What is learnt from, and what judges."""

    data: CloningData
    fresh: CloningData
    states: np.ndarray  # (N, obs_dim), standardised
    interface: PolicyInterface


def read_lesson(folder: Path) -> Lesson:
    """Read the demonstrations of a task."""
    demos, fresh = (read_demos(folder / name)[0] for name in ("demos", "fresh"))
    fresh = replace(fresh, interface=demos.interface)
    states = draw_states(fresh, 1000, 0)
    return Lesson(cloning_data(demos), cloning_data(fresh), states, demos.interface)


def build(variant: Variant, interface: PolicyInterface) -> GraphHyperNetwork:
    """Make a fresh hypernetwork."""
    return build_ghn(GhnConfig(variant.decoder), interface.obs_dim, interface.act_dim, 0)


def train(
    ghn: GraphHyperNetwork, variant: Variant, lesson: Lesson, steps: int, seed: int, rate: float
) -> float:
    """Train in place; return the processor seconds of it."""
    section = Params().ghn_train
    settings = GhnTrainingSettings(
        steps=steps,
        architectures_per_step=section.architectures_per_step,
        batch_size=section.batch_size,
        learning_rate=rate,
        seed=seed,
    )
    built = build_ghn_optimizer if variant.muon else build_optimizer
    optimizer = built(ghn, WEIGHT_DECAY)
    sampler = partial(sample_architecture, training=Params().architectures.training_range())
    started = time.process_time()
    for _ in train_ghn(ghn, optimizer, lesson.data, lesson.interface, sampler, settings):
        pass
    return time.process_time() - started


def seconds_per_step(lesson: Lesson) -> dict[str, float]:
    """Measure a step of every variant, in turns; the fastest turn counts."""
    found: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(TURNS):
        for name, variant in VARIANTS.items():
            ghn = build(variant, lesson.interface)
            spent = train(ghn, variant, lesson, TIMED_STEPS, 0, variant.learning_rate)
            found[name].append(spent / TIMED_STEPS)
    return {name: min(times) for name, times in found.items()}


def chosen_by() -> list[Architecture]:
    """Return shapes of the trained range that decoders are chosen by."""
    generator = numpy_generator(CHOICE_SEED, "selection")
    training = Params().architectures.training_range()
    return [sample_architecture(generator, training) for _ in range(NUM_SHAPES)]


def layers_of(ghn: GraphHyperNetwork, spec: MlpSpec) -> list[LayerWeights]:
    """Ask for a network."""
    (network,) = write_networks(ghn, [spec])
    return split_layers(spec, network.weights)


def mean_loss(ghn: GraphHyperNetwork, shapes: Sequence[Architecture], lesson: Lesson) -> float:
    """Return the mean cloning loss on fresh episodes."""
    with torch.no_grad():
        networks = [ghn([lesson.interface.spec(shape)])[0] for shape in shapes]
    return float(np.mean([evaluate_loss(layers, lesson.fresh) for layers in networks]))


def index_kept(
    one: GraphHyperNetwork, other: GraphHyperNetwork, wider: int, lesson: Lesson
) -> float:
    """Return the share of units whose best match by activations has their index."""
    shares = []
    for shape in chosen_by():
        mine = layers_of(one, lesson.interface.spec(shape))
        theirs = layers_of(other, lesson.interface.spec(tuple(w + wider for w in shape)))
        shares += [same_index(m) for m in match_activations(mine, theirs, lesson.states)]
    return float(np.mean(shares))


def measure(variant: Variant, lesson: Lesson, steps: int) -> dict[str, float]:
    """Train a hypernetwork and two branches of it, and judge them."""
    ghn = build(variant, lesson.interface)
    spent = train(ghn, variant, lesson, steps, 0, variant.learning_rate)
    held_out = Params().architectures.held_out
    spec = lesson.interface.spec(RANKED)
    layers = layers_of(ghn, spec)
    rank = matrix_rank(layers[1].weight)
    branches = []
    for k in (1, 2):
        branch = build(variant, lesson.interface)
        load_model_arrays(branch, model_arrays(ghn))
        train(
            branch, variant, lesson, max(1, int(BRANCH_SHARE * steps)), k, variant.learning_rate / 2
        )
        branches.append(branch)
    return {
        "steps": steps,
        "processor_s": spent,
        "loss_chosen_by": mean_loss(ghn, chosen_by(), lesson),
        "loss_held_out": mean_loss(ghn, [*held_out.unseen_combo, *held_out.unseen_width], lesson),
        "loss_wider": mean_loss(ghn, held_out.wider, lesson),
        "loss_deeper": mean_loss(ghn, held_out.deeper, lesson),
        "values_at_99": rank.values,
        "participation": rank.participation,
        "index_kept_branches": index_kept(branches[0], branches[1], 0, lesson),
        "index_kept_widths": index_kept(ghn, ghn, 8, lesson),
        "smoothness": network_smoothness(layers)[Spot("middle", "output units", 4, 1)],
    }


def measure_clone(folder: Path, lesson: Lesson) -> dict[str, float]:
    """Clone ``RANKED`` alone, and judge it."""
    demos, _ = read_demos(folder / "demos")
    (unit,) = plan_clones([RANKED], demos, steps=CLONE_STEPS, seed=0)
    flat = train_unit(unit)[0].weights
    spec = lesson.interface.spec(RANKED)
    rank = matrix_rank(split_layers(spec, flat)[1].weight)
    layers = layers_from_flat(spec, torch.from_numpy(flat))
    return {
        "loss": evaluate_loss(layers, lesson.fresh),
        "values_at_99": rank.values,
        "participation": rank.participation,
    }


def table(results: dict[str, Any]) -> str:
    """Write all cells as a table."""
    rows = []
    for task, found in results["tasks"].items():
        clone = found["clone"]
        for name, cell in found["decoders"].items():
            values = f"{cell['values_at_99']} of {clone['values_at_99']}"
            rows.append(
                [
                    task.removesuffix("-v1"),
                    name,
                    f"{1000 * found['seconds_per_step'][name]:.0f}",
                    str(cell["steps"]),
                    *(f"{cell[f'loss_{kind}']:.4f}" for kind in ("chosen_by", "held_out")),
                    *(f"{cell[f'loss_{kind}']:.4f}" for kind in ("wider", "deeper")),
                    values,
                    f"{cell['participation']:.1f} of {clone['participation']:.1f}",
                    f"{cell['index_kept_branches']:.2f}, {cell['index_kept_widths']:.2f}",
                    f"{cell['smoothness']:.2f}",
                ]
            )
    head = [
        "task",
        "decoder",
        "ms a step",
        "steps",
        "loss, trained range",
        "held out, within range",
        "wider",
        "deeper",
        "values at 99 %, of a clone's",
        "participation ratio, of a clone's",
        "index kept: branches, widths",
        "block autocorrelation",
    ]
    return markdown_table(head, rows)


def write_page(results: dict[str, Any]) -> None:
    """Put the table into the page, between its two marks."""
    before, _, after = PAGE.read_text().split(MARK)
    PAGE.write_text(f"{before}{MARK}\n\n{table(results)}\n{MARK}{after}")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("--demos", type=Path, help="measure, with the demonstrations in here")
    parser.add_argument("--seconds", type=float, default=30, help="processor seconds of a cell")
    return parser.parse_args()


def main() -> None:
    """Measure what is missing, and write the file and the table."""
    arguments = parse_arguments()
    prepare_torch()
    results: dict[str, Any] = {"seconds": arguments.seconds, "torch": torch.__version__}
    results["tasks"] = {}
    if arguments.out.exists():
        results = json.loads(arguments.out.read_text())
    for task in TASKS if arguments.demos else ():
        folder = arguments.demos / task
        lesson = read_lesson(folder)
        found = results["tasks"].setdefault(task, {"decoders": {}})
        if "clone" not in found:
            found["clone"] = measure_clone(folder, lesson)
            found["seconds_per_step"] = seconds_per_step(lesson)
        for name, variant in VARIANTS.items():
            if name not in found["decoders"]:
                steps = round(results["seconds"] / found["seconds_per_step"][name])
                found["decoders"][name] = measure(variant, lesson, steps)
                arguments.out.write_text(json.dumps(results, indent=2) + "\n")
                print(task, name, found["decoders"][name], flush=True)
    write_page(results)


if __name__ == "__main__":
    main()
