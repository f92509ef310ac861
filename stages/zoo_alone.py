"""Stage ``zoo-alone``: write a zoo of networks that were each initialised and cloned alone.

Reads:   demos    kind "demos", schema 1
Writes:  zoo      kind "zoo",   schema 1
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnit.architectures import TrainingRange, refuse_held_out
from nnit.artifacts.demos import read_demos
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.state import clear_state
from nnit.artifacts.zoo import write_zoo
from nnit.groups.units import train_unit
from nnit.mlp import Architecture
from nnit.progress import Progress, silent
from nnit.seeding import derive_seed
from nnit.zoo.alone import plan_alone
from nnit.zoo.export import member_architectures
from nnit.zoo.members import ModelZoo
from stages.checkpoints import Run, naming_the_way_on, open_units, run_key
from stages.fan_out import train_networks
from stages.params import Params, RunOptions
from stages.zoo_export import zoo_in_order

ONLY_BRANCH = 0  # networks that were trained alone have no branch in common


@dataclass(frozen=True)
class Inputs:
    """What the networks learn from."""

    demos: Path


@dataclass(frozen=True)
class Outputs:
    """Where the zoo goes."""

    zoo: Path


@dataclass(frozen=True)
class Summary:
    """The numbers for the terminal and for ``metrics/zoo_alone.json``."""

    networks: int
    architectures: int  # different ones
    parameters: int  # of all networks
    loss_mean: float  # cloning loss
    loss_max: float
    cloning_s: float  # seconds for all networks that this run made


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Clone a network of every architecture that ``zoo-export`` would write, each alone.

    Finished networks are kept beside the output until it is whole, so that an interrupted run
    goes on with ``--resume``.

    Raises:
        LeakError: an architecture that is about to be trained is held out.
        NnitError: a missing or damaged input, an output that can't be written, or the run was
            stopped.
    """
    check_output_free(outputs.zoo, force=options.force, kind="zoo")
    demos, parent = read_demos(inputs.demos)
    section = params.zoo_alone
    training_range = params.architectures.training_range()
    architectures = alone_architectures(params, training_range, options.seed)
    refuse_held_out(architectures, training_range, str(outputs.zoo))
    decides = {
        "architectures": params.architectures.model_dump(mode="json"),
        "networks": params.zoo_alone.networks or params.zoo_export.networks,
        "repeated": params.zoo_export.model_dump(mode="json")["repeated"],
        "repeats": params.zoo_export.repeats,
        "steps": section.steps,
        "learning_rate": section.learning_rate,
    }
    parents = {"demos": parent.digest}
    key = run_key("zoo-alone", decides, options.seed, parents)
    store = open_units(Run(outputs.zoo, key, options))

    seed = derive_seed(options.seed, "zoo-alone")
    units = plan_alone(
        architectures,
        demos,
        steps=section.steps,
        learning_rate=section.learning_rate,
        seed=seed,
        device=options.device,
    )
    started = time.perf_counter()
    with naming_the_way_on(outputs.zoo):
        networks = train_networks(train_unit, units, store, options, progress)
    cloning_s = time.perf_counter() - started

    branches = [ONLY_BRANCH] * len(architectures)
    zoo = zoo_in_order(architectures, branches, section.steps, networks, demos)
    provenance = Provenance("zoo-alone", decides, options.seed, parents)
    write_zoo(outputs.zoo, zoo, provenance, force=options.force)
    clear_state(outputs.zoo)
    return summarise(zoo, cloning_s)


def alone_architectures(
    params: Params, training_range: TrainingRange, seed: int
) -> list[Architecture]:
    """Return the architectures that ``zoo-export`` writes with these parameters and seed."""
    aligned = params.zoo_export
    return member_architectures(
        training_range,
        networks=params.zoo_alone.networks or aligned.networks,
        repeated=aligned.repeated,
        repeats=aligned.repeats,
        seed=derive_seed(seed, "zoo-export"),
    )


def summarise(zoo: ModelZoo, cloning_s: float) -> Summary:
    """Return the summary of a zoo."""
    losses = [member.loss for member in zoo.members]
    return Summary(
        networks=len(zoo),
        architectures=len({member.hidden_dims for member in zoo.members}),
        parameters=len(zoo.weights),
        loss_mean=float(np.mean(losses)),
        loss_max=max(losses),
        cloning_s=cloning_s,
    )
