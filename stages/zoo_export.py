"""Stage ``zoo-export``: write a zoo of structurally aligned networks.

Reads:   ghn      kind "ghn",   schema 1
         demos    kind "demos", schema 1
Writes:  zoo      kind "zoo",   schema 1
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from nnit.architectures import refuse_held_out
from nnit.artifacts.demos import read_demos
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.state import UnitStore, clear_state
from nnit.artifacts.zoo import write_zoo
from nnit.demos import Demos
from nnit.mlp import Architecture
from nnit.parallel import default_workers, map_units
from nnit.progress import Progress, silent
from nnit.seeding import derive_seed
from nnit.zoo.export import (
    BranchUnit,
    ExportSettings,
    MemberUnit,
    WrittenNetwork,
    plan_members,
    train_branch,
    write_members,
)
from nnit.zoo.members import ModelZoo, ZooMember, build_zoo
from stages.checkpoints import Run, naming_the_way_on, open_units, run_key
from stages.hypernetwork import load_hypernetwork
from stages.lineage import refuse_trained_on_held_out, require_same_task, trained_on
from stages.params import Params, RunOptions

Unit = TypeVar("Unit")
Arrays = dict[str, np.ndarray]
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
    store = open_units(Run(outputs.zoo, key, options))

    config = ghn.model.config
    branch_units = [
        BranchUnit(branch, config, ghn.tensors, demos, training_range, settings)
        for branch in range(settings.branches)
    ]
    with naming_the_way_on(outputs.zoo):
        branches = fan_out(
            "branches", train_branch, branch_units, lambda arrays: arrays, store, options, progress
        )
        member_units = plan_members(branches, config, demos, training_range, settings)
        architectures = [a for unit in member_units for a in unit.architectures]
        refuse_held_out(architectures, training_range, str(outputs.zoo))
        written = fan_out(
            "networks", write_members, member_units, pack_networks, store, options, progress
        )

    zoo = assemble(member_units, written, demos, settings)
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
        branch_steps=section.branch_steps,
        architectures_per_step=params.ghn_train.architectures_per_step,
        branch_batch_size=params.ghn_train.batch_size,
        branch_learning_rate=section.branch_learning_rate,
        weight_decay=BRANCH_WEIGHT_DECAY,
        fine_tune_steps=section.fine_tune_steps,
        fine_tune_batch_size=section.batch_size,
        fine_tune_learning_rate=section.fine_tune_learning_rate,
        fine_tune_epsilon=section.fine_tune_epsilon,
        seed=derive_seed(seed, "zoo-export"),
    )


def fan_out(
    label: str,
    function: Callable[[Unit], object],
    units: Sequence[Unit],
    pack: Callable[..., Arrays],
    store: UnitStore,
    options: RunOptions,
    progress: Progress,
) -> list[Arrays]:
    """Run units that are not in the store over processes, and keep each as it finishes."""
    arrays = {k: found for k in range(len(units)) if (found := store.load(f"{label}-{k}"))}
    todo = [k for k in range(len(units)) if k not in arrays]
    progress.start(label, len(units), len(arrays))

    def keep(index: int, result: object) -> None:
        k = todo[index]
        arrays[k] = pack(result)
        store.save(f"{label}-{k}", arrays[k])

    workers = options.workers or default_workers()
    map_units(function, [units[k] for k in todo], workers, progress, on_result=keep)
    return [arrays[k] for k in range(len(units))]


def pack_networks(networks: list[WrittenNetwork]) -> Arrays:
    """Turn finished networks into arrays for the store."""
    packed = {f"weights-{k}": network.weights for k, network in enumerate(networks)}
    return {**packed, "losses": np.array([network.loss for network in networks])}


def assemble(
    units: list[MemberUnit], written: list[Arrays], demos: Demos, settings: ExportSettings
) -> ModelZoo:
    """Put the networks of all units into the order of the zoo."""
    members: dict[int, tuple[ZooMember, np.ndarray]] = {}
    for unit, arrays in zip(units, written, strict=True):
        for k, (index, architecture) in enumerate(
            zip(unit.indices, unit.architectures, strict=True)
        ):
            loss = float(arrays["losses"][k])
            steps = settings.fine_tune_steps
            member = ZooMember(architecture, unit.branch, steps, loss, float("nan"))
            members[index] = (member, arrays[f"weights-{k}"])
    ordered = [members[index] for index in sorted(members)]
    return build_zoo(
        [member for member, _ in ordered], [weights for _, weights in ordered], demos.interface
    )


def zoo_in_order(
    architectures: Sequence[Architecture],
    branches: Sequence[int],
    steps: int,
    written: Sequence[Arrays],
    demos: Demos,
) -> ModelZoo:
    """Put the networks of units that are in the order of the zoo into one.

    Args:
        architectures: Of each network.
        branches: Of each network.
        steps: That each was trained alone for.
        written: What ``pack_networks`` packed of each unit.
        demos: What they were trained on.
    """
    weights = [a[f"weights-{k}"] for a in written for k in range(len(a["losses"]))]
    losses = [float(loss) for arrays in written for loss in arrays["losses"]]
    members = [
        ZooMember(widths, branch, steps, loss, float("nan"))
        for widths, branch, loss in zip(architectures, branches, losses, strict=True)
    ]
    return build_zoo(members, weights, demos.interface)


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
