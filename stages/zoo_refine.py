"""Stage ``zoo-refine``: write a zoo of a generator's own samples, each trained on alone.

Reads:   generator   kind "generator", schema 1, 2 or 3
         demos       kind "demos",     schema 1
Writes:  zoo         kind "zoo",       schema 1
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nnit.architectures import refuse_held_out
from nnit.artifacts.demos import read_demos
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.state import UnitStore, clear_state
from nnit.artifacts.zoo import write_zoo
from nnit.diffusion.batch import UNKNOWN_BRANCH
from nnit.diffusion.sampler import SampleRequest, sample_networks
from nnit.generators.choice import choose_task
from nnit.generators.trained import Generator, generator_of, moved, read_generator
from nnit.groups.training import CloningSettings
from nnit.groups.units import train_unit
from nnit.mlp import Architecture, Network
from nnit.progress import Progress, silent
from nnit.seeding import derive_seed, torch_generator
from nnit.training import prepare_torch
from nnit.zoo.export import member_architectures
from nnit.zoo.refine import Draft, plan_refining
from stages.checkpoints import Run, naming_the_way_on, open_units, run_key
from stages.fan_out import Arrays, fan_out, train_networks
from stages.lineage import refuse_trained_on_held_out, require_same_task, trained_on
from stages.params import Params, RunOptions
from stages.zoo_export import Summary, summarise, zoo_in_order

DRAFTS_PER_UNIT = 10  # that are lost at most where a run is stopped


@dataclass(frozen=True)
class Inputs:
    """The generator, and the demonstrations that its networks are trained on."""

    generator: Path
    demos: Path


@dataclass(frozen=True)
class Outputs:
    """Where the zoo goes."""

    zoo: Path


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Sample a network of every architecture that the seed draws, and train each on alone.

    Architectures are drawn as ``zoo-export`` draws them, and dealt to the generator's branches in
    turn. What is finished is kept beside the output until it is whole, so that an interrupted run
    goes on with ``--resume``.

    Raises:
        LeakError: an architecture that is about to be written is held out, or one was trainable
            when the generator was trained.
        UsageError: a generator of several tasks that does not know that of the demonstrations.
        WrongKindError: demonstrations of another task, or scaled in another way.
        NnitError: a missing or damaged input, an output that can't be written, or the run was
            stopped.
    """
    check_output_free(outputs.zoo, force=options.force, kind="zoo")
    demos, demos_artifact = read_demos(inputs.demos)
    trained = read_generator(inputs.generator)
    known = [one.interface.task for one in trained.tasks]
    wanted = demos.interface.task if len(known) > 1 else None
    generator = generator_of(trained, choose_task(inputs.generator, known, wanted), "cpu")
    require_same_task(inputs.generator, generator.interface, inputs.demos, demos.interface)
    refuse_trained_on_held_out(
        inputs.generator, trained.params, params.architectures, "nnit diffuse-train"
    )
    training_range = params.architectures.training_range()
    architectures = refined_architectures(params, options.seed)
    refuse_held_out(architectures, training_range, str(outputs.zoo))
    decides = deciding_params(params)
    parents = {"generator": generator.digest, "demos": demos_artifact.digest}
    key = run_key("zoo-refine", decides, options.seed, parents)
    store = open_units(Run(outputs.zoo, key, options))

    with naming_the_way_on(outputs.zoo):
        drafts = sampled(generator, architectures, params, store, options, progress)
        seed = derive_seed(options.seed, "zoo-export")
        units = plan_refining(drafts, demos, refine_settings(params), seed, options.device)
        networks = train_networks(train_unit, units, store, options, progress)

    zoo = zoo_in_order(
        [draft.network.hidden_dims for draft in drafts],
        [draft.branch for draft in drafts],
        params.zoo_refine.steps,
        networks,
        demos,
    )
    trained_with = trained_on(decides["architectures"], trained.params["architectures"])
    provenance = Provenance("zoo-refine", {**decides, **trained_with}, options.seed, parents)
    write_zoo(outputs.zoo, zoo, provenance, force=options.force)
    clear_state(outputs.zoo)
    return summarise(zoo)


def refined_architectures(params: Params, seed: int) -> list[Architecture]:
    """Return the architecture of every network, as ``zoo-export`` draws them with this seed."""
    return member_architectures(
        params.architectures.training_range(),
        networks=params.zoo_refine.networks or params.zoo_export.networks,
        repeated=params.zoo_export.repeated,
        repeats=params.zoo_export.repeats,
        seed=derive_seed(seed, "zoo-export"),
    )


def deciding_params(params: Params) -> dict[str, Any]:
    """Return the parameters that decide the zoo."""
    section = params.zoo_refine.model_dump(mode="json")
    return {
        **section,
        "networks": params.zoo_refine.networks or params.zoo_export.networks,
        "repeated": params.zoo_export.model_dump(mode="json")["repeated"],
        "repeats": params.zoo_export.repeats,
        "sample_steps": params.sample.steps,
        "architectures": params.architectures.model_dump(mode="json"),
    }


def refine_settings(params: Params) -> CloningSettings:
    """Return the library's settings."""
    section = params.zoo_refine
    return CloningSettings(
        section.steps, section.batch_size, section.learning_rate, section.epsilon
    )


class DraftUnit(NamedTuple):
    """Sample networks of some architectures."""

    generator: Generator
    first: int  # the number of the first network, among all
    architectures: tuple[Architecture, ...]
    seed: int
    steps: int
    device: str


def sampled(
    generator: Generator,
    architectures: Sequence[Architecture],
    params: Params,
    store: UnitStore,
    options: RunOptions,
    progress: Progress,
) -> list[Draft]:
    """Sample a network of each architecture; errors are those of ``fan_out``."""
    steps, many = params.sample.steps, DRAFTS_PER_UNIT
    units = [
        DraftUnit(
            generator,
            first,
            tuple(architectures[first : first + many]),
            options.seed,
            steps,
            options.device,
        )
        for first in range(0, len(architectures), many)
    ]
    packed = fan_out(
        "drafts",
        sample_drafts,
        units,
        dict,
        store,
        options,
        progress,
        unit_sizes=[len(unit.architectures) for unit in units],
        needed_for="networks",
    )
    weights = [arrays[f"weights-{k}"] for arrays in packed for k in range(len(arrays))]
    return [
        Draft(Network(widths, flat), branch_of(generator, k))
        for k, (widths, flat) in enumerate(zip(architectures, weights, strict=True))
    ]


def sample_drafts(unit: DraftUnit) -> Arrays:
    """Sample the networks of a unit; return the flat weights of each."""
    prepare_torch()
    generator = moved(unit.generator, unit.device)
    found = sample_networks(
        generator.model,
        draft_requests(unit),
        generator.patch_size,
        generator.standardizer,
        num_steps=unit.steps,
        device=unit.device,
    )
    return {f"weights-{k}": network.weights for k, network in found}


def draft_requests(unit: DraftUnit) -> list[SampleRequest]:
    """Ask for a network of each architecture, dealt to the branches in turn."""
    task, rows = unit.generator.place
    return [
        SampleRequest(
            unit.generator.interface.spec(widths),
            rows[branch_of(unit.generator, k)] if rows else UNKNOWN_BRANCH,
            torch_generator(unit.seed, "draft", k),
            task,
        )
        for k, widths in enumerate(unit.architectures, start=unit.first)
    ]


def branch_of(generator: Generator, k: int) -> int:
    """Return the branch of network ``k``, counted from 0 in its task."""
    return k % max(1, len(generator.place.branches))
