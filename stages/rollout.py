"""Stage ``rollout``: run networks in the simulator and report success with intervals.

Reads:   samples, zoo or ghn   (what is evaluated)
         ghn                   kind "ghn",      schema 1 (the baseline that is asked again)
         demos                 kind "demos",    schema 1 (the baseline that is cloned directly)
Writes:  rollouts              kind "rollouts", schema 1
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnit.artifacts.demos import read_demos
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.rollouts import Rollouts, eval_json, write_rollouts
from nnit.artifacts.state import UnitStore, clear_state
from nnit.artifacts.trajectories import Trajectory
from nnit.demos import Demos
from nnit.errors import UsageError
from nnit.mlp import Architecture, PolicyInterface, format_architecture
from nnit.parallel import default_workers
from nnit.progress import Progress, silent
from nnit.rollout.batched import evaluate_batched, require_backend
from nnit.rollout.episodes import EvaluationRequest, UnitKey, evaluate_networks, unit_starts
from nnit.rollout.metrics import Evaluation
from nnit.tasks.seeds import check_disjoint_seeds, seed_range
from stages.checkpoints import naming_the_way_on, run_key
from stages.contenders import Contenders, ask_ghn, clone_directly, read_contenders
from stages.episode_store import load_units, saver
from stages.lineage import require_same_task
from stages.params import Params, RolloutParams, RunOptions


@dataclass(frozen=True)
class Inputs:
    """What is evaluated and what it is compared with."""

    networks: Path
    ghn: Path | None = None
    demos: Path | None = None
    architectures: tuple[Architecture, ...] = ()  # of a GHN: which; of others: only these


@dataclass(frozen=True)
class Outputs:
    """Where the evaluations go."""

    rollouts: Path


@dataclass(frozen=True)
class Summary:
    """The numbers for the terminal and for ``metrics/rollout.json``."""

    success_once: float  # mean over the networks that were asked for, baselines aside
    success_at_end: float
    networks: int
    episodes: int  # of each network
    by_source: dict[str, Any]  # source -> held-out kind -> mean, min, interval


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Evaluate networks and, where asked for, the baselines of the same shapes, in one run.

    All networks face the same initial states. Finished episodes are kept beside the output until
    it is whole, so that an interrupted run goes on with ``--resume``.

    Raises:
        UsageError: a GHN without architectures, or reset seeds of the demonstrations.
        WrongKindError: inputs of different tasks.
        ResourceError: physics on a GPU without one.
        NnitError: a missing or damaged input, an output that can't be written, or the run was
            stopped.
    """
    check_output_free(outputs.rollouts, force=options.force, kind="rollouts")
    section, training_range = params.rollout, params.architectures.training_range()
    require_backend(section.sim_backend)
    refuse_recording_on_gpu(section)
    asked = read_contenders(inputs.networks, inputs.architectures, training_range)
    requests, parents = list(asked.requests), {"networks": asked.digest}
    if inputs.ghn is not None and section.ghn_baseline:
        baseline = ask_ghn(inputs.ghn, asked.shapes, training_range)
        require_same_task(inputs.networks, asked.interface, inputs.ghn, baseline.interface)
        requests += baseline.requests
        parents["ghn"] = baseline.digest
    demos = None
    if inputs.demos is not None:
        demos, artifact = read_demos(inputs.demos)
        check_demos(inputs, asked, demos, section)
        parents["demos"] = artifact.digest
    decides = {
        **section.model_dump(mode="json"),
        "asked_for": [format_architecture(widths) for widths in inputs.architectures],
        "architectures": params.architectures.model_dump(mode="json"),  # tells the kinds apart
    }
    store = UnitStore(outputs.rollouts, run_key("rollout", decides, options.seed, parents))
    if not options.resume:
        clear_state(outputs.rollouts)
    with naming_the_way_on(outputs.rollouts):
        if demos is not None and section.cloned_baseline:
            requests += clone_directly(asked, demos, params, store, options, progress)
        evaluations = evaluate(section, requests, asked.interface, store, options, progress)
    write_rollouts(
        outputs.rollouts,
        Rollouts(tuple(evaluations), asked.interface),
        Provenance("rollout", decides, options.seed, parents),
        trajectories=recorded(section, asked, store) if section.trajectories else (),
        force=options.force,
    )
    clear_state(outputs.rollouts)
    return summarise(evaluations[: len(asked.requests)], evaluations)


def refuse_recording_on_gpu(section: RolloutParams) -> None:
    """Trajectories are recorded by the direct path, which runs on the CPU.

    Raises:
        UsageError: they are wanted from a GPU.
    """
    if section.trajectories and section.sim_backend != "physx_cpu":
        raise UsageError("--trajectories: recorded with --sim-backend physx_cpu alone")


def check_demos(inputs: Inputs, asked: Contenders, demos: Demos, section: RolloutParams) -> None:
    """Make sure that demonstrations belong to the networks and not to the evaluation.

    Raises:
        WrongKindError: of another task.
        UsageError: reset seeds that are evaluated too.
    """
    assert inputs.demos is not None
    require_same_task(inputs.networks, asked.interface, inputs.demos, demos.interface)
    check_disjoint_seeds(
        range(int(demos.seeds.min()), int(demos.seeds.max()) + 1),
        seed_range(section.first_seed, section.episodes),
    )


def evaluate(
    section: RolloutParams,
    requests: Sequence[EvaluationRequest],
    interface: PolicyInterface,
    store: UnitStore,
    options: RunOptions,
    progress: Progress,
) -> list[Evaluation]:
    """Run all episodes, on processes or on a GPU."""
    if section.sim_backend != "physx_cpu":
        return evaluate_batched(
            requests,
            interface,
            section.episodes,
            section.first_seed,
            progress,
            sim_backend=section.sim_backend,
        )
    return evaluate_networks(
        requests,
        interface,
        section.episodes,
        section.first_seed,
        options.workers or default_workers(),
        progress,
        on_unit=saver(store),
        done_units=load_units(store, unit_keys(requests, section)),
        record=section.trajectories,
    )


def unit_keys(requests: Sequence[EvaluationRequest], section: RolloutParams) -> list[UnitKey]:
    """Name the units of work, network by network."""
    starts = unit_starts(section.episodes)
    return [UnitKey(request.name, first) for request in requests for first in starts]


def recorded(section: RolloutParams, asked: Contenders, store: UnitStore) -> list[Trajectory]:
    """Return the trajectories of the networks that were asked for, baselines aside."""
    units = load_units(store, unit_keys(asked.requests, section))
    return [
        Trajectory(key.name, one.seed, one.observations, one.actions, one.success)
        for key, result in units.items()
        for one in result.trajectories
    ]


def summarise(asked: Sequence[Evaluation], everything: Sequence[Evaluation]) -> Summary:
    """Return the summary: means over the networks asked for, and all sources side by side."""
    return Summary(
        success_once=float(np.mean([evaluation.success_once for evaluation in asked])),
        success_at_end=float(np.mean([evaluation.success_at_end for evaluation in asked])),
        networks=len(asked),
        episodes=len(asked[0].episodes),
        by_source=eval_json(everything)["aggregated"],
    )
