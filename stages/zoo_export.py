"""Stage ``zoo-export``: write a zoo of structurally aligned networks.

Reads:   ghn      kind "ghn",   schema 1
         demos    kind "demos", schema 1
Writes:  zoo      kind "zoo",   schema 1
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnit.architectures import refuse_held_out
from nnit.artifacts.demos import read_demos
from nnit.artifacts.log import require_free_log
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.state import clear_state
from nnit.artifacts.zoo import write_zoo
from nnit.demos import Demos
from nnit.groups.training import CloningSettings
from nnit.groups.units import TrainedNetwork
from nnit.mlp import Architecture
from nnit.progress import Progress, silent
from nnit.seeding import derive_seed
from nnit.zoo.export import (
    BranchUnit,
    ExportSettings,
    member_architectures,
    plan_members,
    write_members,
)
from nnit.zoo.members import ModelZoo, ZooMember, build_zoo
from stages.checkpoints import Run, naming_the_way_on, open_units, run_key
from stages.fan_out import train_branches, train_networks
from stages.hypernetwork import load_hypernetwork
from stages.lineage import refuse_trained_on_held_out, require_same_task, trained_on
from stages.params import Params, RunOptions
from stages.training_log import write_log

BRANCH_WEIGHT_DECAY = 0.01


@dataclass(frozen=True)
class Inputs:
    """The hypernetwork, and the demonstrations that it was trained on."""

    ghn: Path
    demos: Path


@dataclass(frozen=True)
class Outputs:
    """Where the zoo goes."""

    zoo: Path


@dataclass(frozen=True)
class Summary:
    """The numbers for the terminal and for ``metrics/zoo_export.json``."""

    networks: int
    architectures: int  # different ones
    parameters: int  # of all networks
    loss_mean: float  # cloning loss
    loss_max: float


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Branch the hypernetwork, let every branch write networks, fine-tune each.

    Finished branches and networks are kept beside the output until it is whole, so that an
    interrupted run goes on with ``--resume``.

    Raises:
        LeakError: an architecture is held out: one that is about to be written, or one that the
            hypernetwork was trained on because it was not held out then.
        WrongKindError: the inputs are of different tasks.
        NnitError: a missing or damaged input, an output that can't be written, or the run was
            stopped.
    """
    check_output_free(outputs.zoo, force=options.force, kind="zoo")
    ghn = load_hypernetwork(inputs.ghn)
    demos, demos_artifact = read_demos(inputs.demos)
    require_same_task(inputs.ghn, ghn.interface, inputs.demos, demos.interface)
    refuse_trained_on_held_out(inputs.ghn, ghn.params, params.architectures, "nnit ghn-train")
    settings = export_settings(params, options.seed)
    training_range = params.architectures.training_range()
    refuse_held_out(settings.repeated, training_range, "zoo_export.repeated")
    decides = deciding_params(params)
    parents = {"ghn": ghn.digest, "demos": demos_artifact.digest}
    key = run_key("zoo-export", decides, options.seed, parents)
    require_free_log(outputs.zoo)
    store = open_units(Run(outputs.zoo, key, options))

    config = ghn.model.config
    branch_units = [
        BranchUnit(branch, config, ghn.tensors, demos, training_range, settings, options.device)
        for branch in range(settings.branches)
    ]
    architectures = member_architectures(
        training_range,
        networks=settings.networks,
        repeated=settings.repeated,
        repeats=settings.repeats,
        seed=settings.seed,
    )
    refuse_held_out(architectures, training_range, str(outputs.zoo))
    with naming_the_way_on(outputs.zoo):
        trained = train_branches(branch_units, store, options, progress)
        branches = [branch.arrays for branch in trained]
        units = plan_members(branches, config, demos, architectures, settings, options.device)
        networks = train_networks(write_members, units, store, options, progress)

    dealt = [k % settings.branches for k in range(len(architectures))]
    zoo = zoo_in_order(architectures, dealt, settings.fine_tuning.steps, networks, demos)
    write_log(outputs.zoo, np.mean([branch.losses for branch in trained], axis=0))
    trained_with = trained_on(decides["architectures"], ghn.params["architectures"])
    provenance = Provenance("zoo-export", {**decides, **trained_with}, options.seed, parents)
    write_zoo(outputs.zoo, zoo, provenance, force=options.force)
    clear_state(outputs.zoo)
    return summarise(zoo)


def deciding_params(params: Params) -> dict[str, Any]:
    """Return the parameters that decide the zoo; branches train in batches like the GHN's."""
    batches = params.ghn_train.model_dump(include={"architectures_per_step", "batch_size"})
    return {
        **params.zoo_export.model_dump(mode="json"),
        "architectures": params.architectures.model_dump(mode="json"),
        "ghn_train": batches,
    }


def export_settings(params: Params, seed: int) -> ExportSettings:
    """Return the library's settings."""
    section = params.zoo_export
    return ExportSettings(
        networks=section.networks,
        repeated=section.repeated,
        repeats=section.repeats,
        branches=section.branches,
        branch_noise=section.branch_noise,
        branch_steps=section.branch_steps,
        architectures_per_step=params.ghn_train.architectures_per_step,
        branch_batch_size=params.ghn_train.batch_size,
        branch_learning_rate=section.branch_learning_rate,
        weight_decay=BRANCH_WEIGHT_DECAY,
        fine_tuning=CloningSettings(
            section.fine_tune_steps,
            section.batch_size,
            section.fine_tune_learning_rate,
            section.fine_tune_epsilon,
        ),
        seed=derive_seed(seed, "zoo-export"),
    )


def zoo_in_order(
    architectures: Sequence[Architecture],
    branches: Sequence[int],
    steps: int,
    networks: Sequence[TrainedNetwork],
    demos: Demos,
) -> ModelZoo:
    """Make a zoo of networks that are in its order.

    Args:
        architectures: Of each network.
        branches: Of each network.
        steps: That each was trained alone for.
        networks: Their weights and losses.
        demos: What they were trained on.
    """
    members = [
        ZooMember(widths, branch, steps, network.loss, float("nan"))
        for widths, branch, network in zip(architectures, branches, networks, strict=True)
    ]
    return build_zoo(members, [network.weights for network in networks], demos.interface)


def summarise(zoo: ModelZoo) -> Summary:
    """Return the summary of a zoo."""
    losses = [member.loss for member in zoo.members]
    return Summary(
        networks=len(zoo),
        architectures=len({member.hidden_dims for member in zoo.members}),
        parameters=len(zoo.weights),
        loss_mean=float(np.mean(losses)),
        loss_max=max(losses),
    )
