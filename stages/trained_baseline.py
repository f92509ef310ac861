"""Stage ``baseline``, of networks that are trained for it.

Reads:   demos     kind "demos",   schema 1
         ghn       kind "ghn",     schema 1 (to ask again)
Writes:  samples   kind "samples", schema 2
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from nnit.architectures import TrainingRange, sample_architecture
from nnit.artifacts.demos import read_demos
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.samples import Sample, SampleSet, write_samples
from nnit.artifacts.state import UnitStore, clear_state
from nnit.cloning import cloning_data
from nnit.demos import Demos
from nnit.errors import UsageError
from nnit.generators.generation import require_room_for_all
from nnit.groups.training import CloningSettings
from nnit.groups.units import CLONE_BATCH_SIZE, CLONE_LEARNING_RATE, plan_clones, train_unit
from nnit.growing import grow_network, plan_growth
from nnit.mlp import Architecture, Network, format_architecture
from nnit.progress import Progress, silent
from nnit.seeding import derive_seed
from nnit.slimmable import cut_flat, train_slimmable
from nnit.training import prepare_torch
from nnit.zoo.export import BranchUnit, plan_members, write_members
from stages.baseline import METHODS as OF_ZOO
from stages.checkpoints import Run, naming_the_way_on, open_units, run_key
from stages.fan_out import Arrays, fan_out, train_branches, train_networks
from stages.hypernetwork import Hypernetwork, load_hypernetwork
from stages.lineage import refuse_trained_on_held_out, require_same_task
from stages.params import Params, RunOptions
from stages.sample import refuse_too_many
from stages.zoo_export import deciding_params as of_zoo
from stages.zoo_export import export_settings


@dataclass(frozen=True)
class Inputs:
    """What networks are made of, how, and for which architectures."""

    demos: Path
    method: str
    architectures: tuple[Architecture, ...]
    ghn: Path | None = None


@dataclass(frozen=True)
class Outputs:
    """Where the networks go."""

    samples: Path


@dataclass(frozen=True)
class Summary:
    """The numbers for the terminal and for ``metrics/baseline.json``."""

    networks: int
    architectures: int
    making_s: float  # seconds for all networks


class Work(NamedTuple):
    """What a method needs to make networks."""

    shapes: tuple[Architecture, ...]
    samples: int  # of each shape
    demos: Demos
    ghn: Hypernetwork | None
    params: Params
    store: UnitStore
    options: RunOptions
    progress: Progress


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Make ``params.baseline.samples`` networks of each architecture.

    ``cloned`` trains each from scratch. ``slimmable`` trains an MLP of each depth, once for each
    sample, and cuts the networks out of it. ``asked`` asks branches of the hypernetwork, one for
    each sample, which are those of the zoo; ``tuned`` then fine-tunes the networks as the zoo's
    are. Beyond the trained widths and depths all but ``cloned`` are grown out of one within, as
    generated networks are. Finished work is kept beside the output until that is whole.

    Raises:
        UsageError: an unknown method, no architecture, no hypernetwork to ask, or more networks
            than samples hold.
        ResourceError: the networks do not fit into memory.
        LeakError: the hypernetwork may have been trained on a held-out architecture.
        NnitError: a missing or damaged input, an output that can't be written, or the run was
            stopped.
    """
    check_output_free(outputs.samples, force=options.force, kind="samples")
    section, make = params.baseline, method_of(inputs)
    refuse_too_many(len(inputs.architectures) * section.samples)
    demos, artifact = read_demos(inputs.demos)
    parents, ghn = {"demos": artifact.digest}, None
    if inputs.ghn is not None:
        ghn = load_hypernetwork(inputs.ghn)
        require_same_task(inputs.ghn, ghn.interface, inputs.demos, demos.interface)
        refuse_trained_on_held_out(inputs.ghn, ghn.params, params.architectures, "nnit ghn-train")
        parents["ghn"] = ghn.digest
    interface = demos.interface
    specs = [interface.spec(widths) for widths in inputs.architectures]
    require_room_for_all(specs * section.samples)

    decides = deciding_params(inputs, params)
    key = run_key("baseline", decides, options.seed, parents)
    store = open_units(Run(outputs.samples, key, options))
    bounds = params.architectures.widths_max, params.architectures.depth_max
    plans = {shape: plan_growth(shape, *bounds) for shape in inputs.architectures}
    cores = {shape: shape if make is clone else plan.core for shape, plan in plans.items()}
    shapes = tuple(dict.fromkeys(cores.values()))
    started = time.perf_counter()
    with naming_the_way_on(outputs.samples):
        made = make(Work(shapes, section.samples, demos, ghn, params, store, options, progress))
    by_shape = {shape: made[k :: len(shapes)] for k, shape in enumerate(shapes)}
    samples = []
    for shape in inputs.architectures:
        for k, weights in enumerate(by_shape[cores[shape]]):
            network = Network(cores[shape], weights)
            if cores[shape] != shape:
                network = grow_network(network, interface.spec(shape), plans[shape])
            samples.append(Sample(network, options.seed, k))
    making_s = time.perf_counter() - started
    write_samples(
        outputs.samples,
        SampleSet(tuple(samples), interface),
        Provenance("baseline", decides, options.seed, parents),
        versions=artifact.manifest.versions,
        force=options.force,
    )
    clear_state(outputs.samples)
    return Summary(len(samples), len(set(inputs.architectures)), making_s)


def deciding_params(inputs: Inputs, params: Params) -> dict[str, Any]:
    """Return the parameters that decide the networks."""
    return {
        "method": inputs.method,
        "asked_for": [format_architecture(dims) for dims in inputs.architectures],
        "architectures": params.architectures.model_dump(mode="json"),
        **params.baseline.model_dump(mode="json", include={"samples", "clone_steps"}),
        **({"of_branches": of_zoo(params)} if inputs.ghn else {}),
    }


def clone(work: Work) -> list[np.ndarray]:
    """Train a network of each shape alone, all samples of the first kind first."""
    units = plan_clones(
        work.shapes * work.samples,
        work.demos,
        steps=work.params.baseline.clone_steps,
        seed=derive_seed(work.options.seed, "baseline"),
        device=work.options.device,
    )
    networks = train_networks(train_unit, units, work.store, work.options, work.progress)
    return [network.weights for network in networks]


class SlimUnit(NamedTuple):
    """Train a slimmable MLP of one depth."""

    demos: Demos
    training_range: TrainingRange  # of that depth
    steps: int
    seed: int
    device: str


def slim(work: Work) -> list[np.ndarray]:
    """Cut networks out of slimmable ones."""
    within = work.params.architectures.training_range()
    depths = sorted({len(shape) for shape in work.shapes})
    units = [
        SlimUnit(
            work.demos,
            replace(within, depth_min=depth, depth_max=depth),
            work.params.baseline.clone_steps,
            derive_seed(work.options.seed, "slimmable", depth, k),
            work.options.device,
        )
        for k in range(work.samples)
        for depth in depths
    ]
    packed = fan_out("slimmable", train_slim, units, dict, work.store, work.options, work.progress)
    whole = [torch.from_numpy(arrays["flat"]) for arrays in packed]
    return [
        cut_flat(
            whole[k * len(depths) + depths.index(len(shape))],
            (within.widths_max,) * len(shape),
            shape,
            work.demos.interface,
        ).numpy()
        for k in range(work.samples)
        for shape in work.shapes
    ]


def train_slim(unit: SlimUnit) -> Arrays:
    """Train the slimmable MLP of a unit.

    Widths are drawn as those of training networks are, never held out; the widest and the narrowest
    shape are trained whatever they are.
    """
    prepare_torch()
    within = unit.training_range
    flat = train_slimmable(
        (within.widths_max,) * within.depth_max,
        (within.widths_min,) * within.depth_max,
        lambda chance: sample_architecture(chance, within),
        cloning_data(unit.demos, unit.device),
        unit.demos.interface,
        CloningSettings(unit.steps, CLONE_BATCH_SIZE, CLONE_LEARNING_RATE),
        unit.seed,
    )
    return {"flat": flat.cpu().numpy()}


def ask(work: Work) -> list[np.ndarray]:
    """Ask branches of the hypernetwork, without fine-tuning."""
    return _from_branches(work, fine_tune=False)


def tune(work: Work) -> list[np.ndarray]:
    """Ask branches of the hypernetwork, and fine-tune as the zoo's networks are."""
    return _from_branches(work, fine_tune=True)


def _from_branches(work: Work, *, fine_tune: bool) -> list[np.ndarray]:
    assert work.ghn is not None
    settings = export_settings(work.params, work.options.seed)
    if not fine_tune:
        settings = replace(settings, fine_tuning=replace(settings.fine_tuning, steps=0))
    within, config = work.params.architectures.training_range(), work.ghn.model.config
    branch_units = [
        BranchUnit(k, config, work.ghn.tensors, work.demos, within, settings, work.options.device)
        for k in range(work.samples)
    ]
    trained = train_branches(branch_units, work.store, work.options, work.progress)
    branches = [branch.arrays for branch in trained]
    asked = [shape for shape in work.shapes for _ in branches]  # one of each branch
    units = plan_members(branches, config, work.demos, asked, settings, work.options.device)
    networks = train_networks(write_members, units, work.store, work.options, work.progress)
    weights = [network.weights for network in networks]
    return [one for k in range(len(branches)) for one in weights[k :: len(branches)]]


METHODS: dict[str, Callable[[Work], list[np.ndarray]]] = {
    "cloned": clone,
    "slimmable": slim,
    "asked": ask,
    "tuned": tune,
}
OF_GHN = ("asked", "tuned")


def method_of(inputs: Inputs) -> Callable[[Work], list[np.ndarray]]:
    """Return the method, and make sure that there is something to make.

    Raises:
        UsageError: an unknown method, no architecture, or no hypernetwork to ask.
    """
    if inputs.method not in METHODS:
        known = ", ".join([*OF_ZOO, *METHODS])
        raise UsageError(f"METHOD {inputs.method}: is none of {known}")
    if not inputs.architectures:
        raise UsageError("--arch: nothing asked for; give an architecture, or --held-out")
    if inputs.method in OF_GHN and inputs.ghn is None:
        raise UsageError(f"METHOD {inputs.method}: asks a hypernetwork; give one, and --demos")
    return METHODS[inputs.method]
