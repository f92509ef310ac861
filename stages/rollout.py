"""Stage ``rollout``: run networks in the simulator and report success with intervals.

Reads:   samples, zoo or ghn   (what is evaluated)
         ghn                   kind "ghn",      schema 1 (the baseline that is asked again)
         demos                 kind "demos",    schema 1 (the baseline that is cloned directly)
         also                  samples or zoo   (further baselines, each with a label)
         loss_demos            kind "demos",    schema 1 (what cloning losses are measured on)
Writes:  rollouts              kind "rollouts", schema 3
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nnit.artifacts.demos import read_demos
from nnit.artifacts.interface import stored_interfaces
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.reading import open_artifact
from nnit.artifacts.rollouts import Rollouts, eval_json, write_rollouts
from nnit.artifacts.state import UnitStore, clear_state
from nnit.artifacts.trajectories import Trajectory
from nnit.cloning import LossUnit, measure_losses
from nnit.demos import Demos
from nnit.errors import LeakError, UsageError
from nnit.figures.film import mp4_bytes
from nnit.mlp import Architecture, Network, PolicyInterface, format_architecture
from nnit.parallel import map_units
from nnit.policy import NumpyPolicy
from nnit.progress import Progress, raise_if_stopped, silent
from nnit.rollout.batched import batched_keys, evaluate_batched, require_backend
from nnit.rollout.episodes import EvaluationRequest, UnitKey, evaluate_networks, unit_starts
from nnit.rollout.filming import film_episode
from nnit.rollout.metrics import Evaluation
from nnit.tasks.registry import episode_seeds, get_task
from nnit.tasks.seeds import check_disjoint_seeds, shared_seed
from nnit.tasks.task import FilmedSimulation, TaskRef
from stages.checkpoints import Run, naming_the_way_on, open_units, run_key
from stages.contenders import (
    Contenders,
    ask_ghn_and_grow,
    check_labels,
    clone_directly,
    constant_policy,
    read_also,
    read_contenders,
    require_setting,
)
from stages.episode_store import load_units, saver
from stages.lineage import on_other_demonstrations, require_same_task, require_unseen
from stages.params import Params, RolloutParams, RunOptions
from stages.task_source import rollout_episodes, source_digests, task_of

LOSSES_PER_UNIT = 16  # networks


@dataclass(frozen=True)
class Inputs:
    """What is evaluated and what it is compared with."""

    networks: Path
    ghn: Path | None = None
    demos: Path | None = None
    architectures: tuple[Architecture, ...] = ()  # of a GHN: which; of others: only these
    also: Mapping[str, Path] = field(default_factory=dict)  # label -> samples or zoo
    loss_demos: Path | None = None  # measure each network's cloning loss on these
    task: str | None = None  # that is named, by its id or its file


@dataclass(frozen=True)
class Outputs:
    """Where the evaluations go, and whether with films: those decide no figure."""

    rollouts: Path
    video: bool = False  # also an mp4 of the first episode of each network that is asked for


@dataclass(frozen=True)
class Summary:
    """The numbers for the terminal and for ``metrics/rollout.json``."""

    success_once: float  # mean over the networks that were asked for, baselines aside
    success_at_end: float
    networks: int
    episodes: int  # of each network
    clone_s_mean: float | None  # seconds of one worker for a directly cloned network
    by_source: dict[str, Any]  # source -> held-out kind -> mean, min, intervals, mean loss


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Evaluate networks and, where asked for, others of the same shapes, all in one run.

    All networks face the same initial states. Finished episodes are kept beside the output until
    it is whole, so that an interrupted run goes on with ``--resume``.

    Raises:
        UsageError: a GHN without architectures, a label that can't be one, or reset seeds of the
            demonstrations.
        WrongKindError: inputs of different tasks, or a task that is not as the networks', its
            control frequency and order of observations among that.
        ResourceError: physics on a GPU without one, or a film with nothing to draw with.
        NnitError: a missing or damaged input, an output that can't be written, or the run was
            stopped.
    """
    check_output_free(outputs.rollouts, force=options.force, kind="rollouts")
    section, training_range = params.rollout, params.architectures.training_range()
    require_backend(section.sim_backend)
    refuse_single_episodes_on_gpu(section, outputs, options)
    check_labels(inputs.also)
    asked = read_contenders(inputs.networks, inputs.architectures, training_range)
    task = task_of(inputs.networks, asked.interface, params, inputs.task)
    require_setting(inputs.networks, asked, get_task(task), progress)
    filmed = open_camera(task) if outputs.video else None
    episodes = rollout_episodes(params, get_task(task))
    seeds = episode_seeds(task, section.first_seed, episodes)
    found = read_comparison(params, inputs, asked, seeds)
    for path, further in found.also:
        require_setting(path, further, get_task(task), progress)
    demos, loss_demos = found.demos, found.loss_demos
    requests, parents = list(found.requests), {**found.parents, **source_digests(task)}
    decides = {
        **section.model_dump(mode="json"),
        "episodes": episodes,
        "asked_for": [format_architecture(widths) for widths in inputs.architectures],
        "architectures": params.architectures.model_dump(mode="json"),  # tells the kinds apart
    }
    key = run_key("rollout", decides, options.seed, parents)
    store = open_units(Run(outputs.rollouts, key, options))
    with naming_the_way_on(outputs.rollouts):
        clone_seconds: list[float] = []
        if demos is not None and section.cloned_baseline:
            cloned = clone_directly(asked, demos, params, store, options, progress)
            requests += cloned.requests
            clone_seconds = cloned.seconds
        if demos is not None and section.constant_baseline:
            requests.append(constant_policy(asked, demos, training_range))
        evaluations = evaluate(
            section, requests, asked.interface, task, seeds, store, options, progress
        )
        if loss_demos is not None:
            evaluations = with_losses(evaluations, requests, loss_demos, options, progress)
        films = film_first_episodes(filmed, asked, evaluations, progress) if filmed else {}
    write_rollouts(
        outputs.rollouts,
        Rollouts(tuple(evaluations), asked.interface),
        Provenance("rollout", decides, options.seed, parents),
        trajectories=recorded(seeds, asked, store) if section.trajectories else (),
        films=films,
        force=options.force,
    )
    clear_state(outputs.rollouts)
    return summarise(evaluations[: len(asked.requests)], evaluations, clone_seconds)


def check_task(params: Params, inputs: Inputs) -> None:
    """Make sure of the task before anything is read or run; errors are those of ``run``."""
    (interface,) = stored_interfaces(inputs.networks, "samples", "zoo", "ghn")
    task_of(inputs.networks, interface, params, inputs.task)


@dataclass(frozen=True)
class Comparison:
    """What is evaluated side by side, before anything is trained for it."""

    requests: tuple[EvaluationRequest, ...]  # first those that were asked for
    also: tuple[tuple[Path, Contenders], ...]  # further artifacts, whose requests these end with
    parents: Mapping[str, str]  # name -> digest
    demos: Demos | None
    loss_demos: Demos | None


def read_comparison(params: Params, inputs: Inputs, asked: Contenders, seeds: range) -> Comparison:
    """Read what the networks are compared with, and make sure that it may be.

    Raises:
        UsageError: a GHN beside one, or reset seeds of the demonstrations.
        WrongKindError: inputs of different tasks.
        LeakError: losses on demonstrations that networks were trained on, or chosen by.
        NnitError: a missing or damaged input.
    """
    training_range = params.architectures.training_range()
    requests, parents = list(asked.requests), {"networks": asked.digest}
    if inputs.ghn is not None and params.rollout.ghn_baseline:
        if asked.requests[0].source == "ghn":
            raise UsageError(
                f"--ghn {inputs.ghn}: {inputs.networks} is a hypernetwork itself; compare samples "
                "or a zoo with one"
            )
        baseline = ask_ghn_and_grow(inputs.ghn, asked.shapes, training_range)
        require_same_task(inputs.networks, asked.interface, inputs.ghn, baseline.interface)
        requests += baseline.requests
        parents["ghn"] = baseline.digest
    also = []
    for label, path in inputs.also.items():
        further = read_also(label, path, inputs.networks, asked, training_range)
        also.append((path, further))
        requests += further.requests
        parents[f"also {label}"] = further.digest
    demos = loss_demos = None
    if inputs.demos is not None:
        demos, artifact = read_demos(inputs.demos)
        check_demos(inputs, asked, demos, seeds)
        parents["demos"] = artifact.digest
    if inputs.loss_demos is not None:
        loss_demos, artifact = read_demos(inputs.loss_demos)
        loss_demos = check_loss_demos(inputs, asked.interface, loss_demos, demos, seeds)
        refuse_chosen_by(inputs.networks, inputs.loss_demos, artifact.digest)
        parents["loss_demos"] = artifact.digest
    return Comparison(tuple(requests), tuple(also), parents, demos, loss_demos)


def refuse_single_episodes_on_gpu(
    section: RolloutParams, outputs: Outputs, options: RunOptions
) -> None:
    """Episodes are recorded, filmed and shared out one by one, with physics on the CPU.

    Raises:
        UsageError: they are wanted from a GPU.
    """
    flags = {
        "trajectories": section.trajectories,
        "video": outputs.video,
        "executor": options.scheduler,
        "shard": options.engine.is_shared,
    }
    for flag, wanted in flags.items():
        if wanted and section.sim_backend != "physx_cpu":
            raise UsageError(f"--{flag}: goes with --sim-backend physx_cpu alone")


def open_camera(task: TaskRef) -> FilmedSimulation:
    """Return a task's simulation with pictures, before any work is done.

    Raises:
        UsageError: a task that has no pictures, or whose library for them is missing.
        ResourceError: nothing to draw with.
    """
    known = get_task(task)
    if known.filmed is None:
        raise UsageError(f"--video: {known.task_id} has no pictures of its episodes")
    return known.filmed(known)


def film_first_episodes(
    camera: FilmedSimulation,
    asked: Contenders,
    evaluations: Sequence[Evaluation],
    progress: Progress,
) -> dict[str, bytes]:
    """Return an mp4 by network name, of each network that was asked for.

    Raises:
        InterruptedRunError: asked to stop; the episodes themselves are kept.
    """
    films = {}
    progress.start("videos", len(asked.requests))
    for request, evaluation in zip(asked.requests, evaluations, strict=False):
        counted = evaluation.episodes[0]
        policy = NumpyPolicy(asked.interface, request.hidden_dims, request.weights)
        film = film_episode(camera, policy, counted.seed, asked.interface.horizon)
        if film.episode != counted:
            progress.note(f"videos: {request.name}: another course than the episode counted")
        films[request.name] = mp4_bytes(film.pictures, film.fps)
        progress.advance()
        raise_if_stopped(progress, f"stopped after {len(films)} videos")
    return films


def check_demos(inputs: Inputs, asked: Contenders, demos: Demos, seeds: range) -> None:
    """Make sure that demonstrations belong to the networks and not to the evaluation.

    Raises:
        WrongKindError: of another task.
        UsageError: reset seeds that are evaluated too.
    """
    assert inputs.demos is not None
    require_same_task(inputs.networks, asked.interface, inputs.demos, demos.interface)
    check_disjoint_seeds(demos.reset_seeds, seeds)


def check_loss_demos(
    inputs: Inputs,
    interface: PolicyInterface,
    loss_demos: Demos,
    demos: Demos | None,
    seeds: range,
) -> Demos:
    """Make sure that losses are measured in the same environment and on episodes of their own.

    The scaling of observations may differ: each set of demonstrations has that of its episodes,
    and the networks keep theirs, which these are returned with.

    Raises:
        WrongKindError: of another task, or other actions or observations.
        UsageError: reset seeds that are evaluated too, or that are those of ``--demos``.
        LeakError: the networks were trained on them.
    """
    assert inputs.loss_demos is not None
    scaled = on_other_demonstrations(inputs.networks, interface, inputs.loss_demos, loss_demos)
    others: dict[str, Container[int]] = {"the evaluation": seeds}
    if demos is not None:
        others[f"--demos {inputs.demos}"] = demos.reset_seeds
    for owner, theirs in others.items():
        both = shared_seed(loss_demos.reset_seeds, theirs)
        if both is not None:
            raise UsageError(
                f"--loss-demos {inputs.loss_demos}: reset seed {both} is one of {owner} too; "
                "collect others with `nnit demos --first-seed`"
            )
    require_unseen(inputs.networks, interface, inputs.loss_demos, loss_demos)
    return scaled


def refuse_chosen_by(networks: Path, demos: Path, digest: str) -> None:
    """Refuse losses on what the best of several candidates were chosen by.

    Raises:
        LeakError: these are those demonstrations.
    """
    if open_artifact(networks, check="sizes").manifest.parents.get("demos") == digest:
        raise LeakError(
            f"--loss-demos {demos}: {networks} was chosen by its loss on these, or trained on "
            "them; collect others with `nnit demos --first-seed`"
        )


def with_losses(
    evaluations: Sequence[Evaluation],
    requests: Sequence[EvaluationRequest],
    demos: Demos,
    options: RunOptions,
    progress: Progress,
) -> list[Evaluation]:
    """Measure the cloning loss of every network and add it to its evaluation."""
    networks = [Network(request.hidden_dims, request.weights) for request in requests]
    starts = range(0, len(networks), LOSSES_PER_UNIT)
    units = [LossUnit(demos, tuple(networks[k : k + LOSSES_PER_UNIT])) for k in starts]
    measured = map_units(
        measure_losses,
        units,
        options.engine,
        progress,
        label="cloning losses",
        unit_sizes=[len(unit.networks) for unit in units],
    )
    losses = [loss for unit in measured for loss in unit]
    return [e._replace(loss=loss) for e, loss in zip(evaluations, losses, strict=True)]


def evaluate(
    section: RolloutParams,
    requests: Sequence[EvaluationRequest],
    interface: PolicyInterface,
    task: TaskRef,
    seeds: range,
    store: UnitStore,
    options: RunOptions,
    progress: Progress,
) -> list[Evaluation]:
    """Run all episodes, on processes or on a GPU."""
    if section.sim_backend != "physx_cpu":
        return evaluate_batched(
            requests,
            interface,
            len(seeds),
            seeds.start,
            progress,
            sim_backend=section.sim_backend,
            on_unit=saver(store),
            done_units=load_units(store, batched_keys(requests, len(seeds))),
            task=task,
        )
    return evaluate_networks(
        requests,
        interface,
        len(seeds),
        seeds.start,
        options.engine,
        progress,
        on_unit=saver(store),
        done_units=load_units(store, unit_keys(requests, seeds)),
        record=section.trajectories,
        task=task,
    )


def unit_keys(requests: Sequence[EvaluationRequest], seeds: range) -> list[UnitKey]:
    """Name the units of work, network by network."""
    starts = unit_starts(len(seeds))
    return [UnitKey(request.name, first) for request in requests for first in starts]


def recorded(seeds: range, asked: Contenders, store: UnitStore) -> list[Trajectory]:
    """Return the trajectories of the networks that were asked for, baselines aside."""
    units = load_units(store, unit_keys(asked.requests, seeds))
    return [
        Trajectory(key.name, one.seed, one.observations, one.actions, one.success)
        for key, result in units.items()
        for one in result.trajectories
    ]


def summarise(
    asked: Sequence[Evaluation], everything: Sequence[Evaluation], clone_seconds: Sequence[float]
) -> Summary:
    """Return the summary: means over the networks asked for, and all sources side by side."""
    return Summary(
        success_once=float(np.mean([evaluation.success_once for evaluation in asked])),
        success_at_end=float(np.mean([evaluation.success_at_end for evaluation in asked])),
        networks=len(asked),
        episodes=len(asked[0].episodes),
        clone_s_mean=float(np.mean(clone_seconds)) if clone_seconds else None,
        by_source=eval_json(everything)["aggregated"],
    )
