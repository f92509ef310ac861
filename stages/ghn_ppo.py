"""Stage ``ghn-train --objective ppo``: train a graph hypernetwork by reinforcement learning.

Reads:   nothing but the simulator
Writes:  ghn      kind "ghn",   schema 1
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from nnit.architectures import sample_architecture
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.model import write_model
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.state import clear_state
from nnit.errors import UsageError
from nnit.ghn.model import GhnConfig, build_ghn
from nnit.mlp import PolicyInterface
from nnit.parallel import open_pool
from nnit.ppo.batched import BatchedExplorer
from nnit.ppo.best import Best, load_best
from nnit.ppo.calibration import calibrate_outputs
from nnit.ppo.collect import explore, exploring_seeds
from nnit.ppo.statistics import Statistics
from nnit.ppo.training import (
    Explorer,
    PpoSettings,
    PpoStep,
    Scaling,
    build_learner,
    build_ppo_optimizer,
    no_scaling,
    train_ppo,
    with_scaling,
)
from nnit.progress import Progress, silent
from nnit.rollout.batched import require_backend
from nnit.seeding import derive_seed
from nnit.tasks.registry import get_task
from nnit.tasks.task import Task, TaskRef
from nnit.training import load_training_arrays, model_arrays, prepare_torch, training_arrays
from stages.checkpoints import Run, find_state, follow, run_key
from stages.curves import write_curve
from stages.params import Params, PpoParams, RunOptions
from stages.task_source import source_digests, task_ref

SCALING_PREFIX = "scaling/"
BEST_PREFIX = "best/"
GHN_PREFIX = "ghn/"
SCALED = ("obs_mean", "obs_std")


@dataclass(frozen=True)
class Inputs:
    """No artifact: policies learn in the simulator."""


@dataclass(frozen=True)
class Outputs:
    """Where the hypernetwork goes, and its curve of returns (CSV) if wanted."""

    ghn: Path
    curve: Path | None = None


@dataclass(frozen=True)
class Summary:
    """The numbers for the terminal."""

    iterations: int
    mean_return: float | None  # of exploring policies, where it was best: of what is written
    transitions: int
    parameters: int


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Train over architectures drawn from the training range, never a held-out one.

    What is written is the hypernetwork whose policies did best while they explored.

    Raises:
        UsageError: an unknown task, one without reset seeds to explore, or steps that are no whole
            episodes where those are needed.
        NnitError: an output that can't be written, or the run was stopped (its state is saved).
    """
    del inputs
    check_output_free(outputs.ghn, force=options.force, kind="ghn")
    section, ref = params.ppo, task_ref(params)
    task, training_range = get_task(ref), params.architectures.training_range()
    steps = steps_of(section, task)
    exploring_seeds(task)
    if options.ranks.size > section.architectures:
        raise UsageError(
            f"ppo.architectures {section.architectures}: leave some of {options.ranks.size} ranks "
            "without work; start fewer of them"
        )
    decides = {
        "objective": "ppo",
        "task": task.task_id,
        **section.model_dump(mode="json", exclude={"checkpoint_every", "min_steps"}),
        "steps": steps,
        "policies": section.architectures,  # of an iteration; "architectures" is their section
        "decoder": params.ghn_train.decoder,
        "architectures": params.architectures.model_dump(mode="json"),
    }
    parents = source_digests(ref)
    run_ = Run(outputs.ghn, run_key("ghn-ppo", decides, options.seed, parents), options, decides)
    state = find_state(run_)

    prepare_torch()
    seed = derive_seed(options.seed, "ghn-ppo")
    ghn = build_ghn(
        GhnConfig(decoder=params.ghn_train.decoder, units=params.architectures.widths_max),
        task.obs_dim,
        task.act_dim,
        derive_seed(seed, "initial"),
    )
    calibrate_outputs(ghn, task.obs_dim, task.act_dim)
    learner = build_learner(ghn, task.obs_dim, task.act_dim, derive_seed(seed, "critic"))
    learner = learner.to(options.device)
    optimizer, scaling, best = build_ppo_optimizer(learner), no_scaling(task.obs_dim), Best()
    if state is not None:
        load_training_arrays(learner, optimizer, state.tensors)
        scaling = load_scaling(state.tensors)
        best = load_best(state.tensors, BEST_PREFIX)
    start = state.step if state else 0
    interface = plain_interface(task)
    last = [PpoStep(start, float("nan"), scaling, interface)]

    with open_explorer(section, ref, task, steps, options) as explore_all:

        def remembered() -> Iterator[PpoStep]:
            exploring = model_arrays(ghn)
            for step in train_ppo(
                learner,
                optimizer,
                ref,
                interface,
                scaling,
                lambda generator: sample_architecture(generator, training_range),
                explore_all,
                settings_of(section, steps, seed),
                ranks=options.ranks,
                start=start,
            ):
                last[0] = step
                best.judge(step.mean_return, explored_with(exploring, step.acting))
                exploring = model_arrays(ghn)
                yield step

        progress.start("ghn-train", section.iterations, start)
        curve = follow(
            remembered(),
            run_,
            progress,
            total=section.iterations,
            every=section.checkpoint_every,
            arrays=lambda: {
                **training_arrays(learner, optimizer),
                **scaling_arrays(last[0].scaling),
                **best.state(BEST_PREFIX),
            },
            state=state,
            logged=("learning_rate",),
            counted="transitions",
            shown="return",
            saves_when_lost=False,
        )

    chosen = best.arrays or explored_with(model_arrays(ghn), last[0].acting)
    if options.ranks.is_first:
        write_model(
            outputs.ghn,
            "ghn",
            ghn.config.as_dict(),
            {name: chosen[f"{GHN_PREFIX}{name}"] for name in model_arrays(ghn)},
            [interface._replace(**{name: tuple(chosen[name].tolist()) for name in SCALED})],
            {"loss_curve": curve},
            Provenance("ghn-train", decides, options.seed, parents),
            force=options.force,
        )
        clear_state(outputs.ghn)
        write_curve(outputs.curve, curve, "return")
    return Summary(
        iterations=section.iterations,
        mean_return=best.score if best.arrays else None,
        transitions=section.iterations * section.architectures * steps,
        parameters=sum(parameter.numel() for parameter in ghn.parameters()),
    )


def check_task(params: Params, inputs: Inputs) -> None:
    """Make sure of the task before anything is run; errors are those of ``run``."""
    del inputs
    task = get_task(task_ref(params))
    steps_of(params.ppo, task)
    exploring_seeds(task)


def steps_of(section: PpoParams, task: Task) -> int:
    """Return the steps of an architecture in an iteration.

    On a GPU each environment runs one whole episode, so that steps are episodes of full length.

    Raises:
        UsageError: steps that are no whole episodes, on a GPU.
    """
    steps = section.steps or max(task.horizon, section.min_steps)
    if section.sim_backend == "physx_cpu":
        return steps
    if section.steps is not None and steps % task.horizon:
        raise UsageError(
            f"ppo.steps {steps}: must be a multiple of {task.horizon}, the horizon of "
            f"{task.task_id}, with --sim-backend {section.sim_backend}"
        )
    return math.ceil(steps / task.horizon) * task.horizon


@contextmanager
def open_explorer(
    section: PpoParams, ref: TaskRef, task: Task, steps: int, options: RunOptions
) -> Iterator[Explorer]:
    """Start what runs the policies: processes, or one simulation of many environments on a GPU.

    Raises:
        ResourceError: a GPU is asked for, and there is none.
        UsageError: a task that has no simulation there.
    """
    if section.sim_backend == "physx_cpu":
        with open_pool(explore, options.engine) as pool:
            yield pool.map
        return
    require_backend(section.sim_backend)
    mine = range(options.ranks.rank, section.architectures, options.ranks.size)
    num_envs = len(mine) * (steps // task.horizon)
    yield BatchedExplorer(ref, num_envs, section.sim_backend).explore


def settings_of(section: PpoParams, steps: int, seed: int) -> PpoSettings:
    """Return the parameters as the library's type."""
    names = [field.name for field in fields(PpoSettings) if field.name not in {"steps", "seed"}]
    own = {name: getattr(section, name) for name in names}
    return PpoSettings(**own, steps=steps, seed=seed)


def plain_interface(task: Task) -> PolicyInterface:
    """Return the interface of a task before anything was observed."""
    interface = PolicyInterface(
        task=task.task_id,
        control_mode=task.control_mode,
        obs_dim=task.obs_dim,
        act_dim=task.act_dim,
        horizon=task.horizon,
        obs_mean=(),
        obs_std=(),
        output=task.output,
    )
    return with_scaling(interface, no_scaling(task.obs_dim).observations)


def explored_with(arrays: dict[str, np.ndarray], acting: PolicyInterface) -> dict[str, np.ndarray]:
    """Return what policies were made of: a hypernetwork, and the scaling of observations."""
    scaled = {name: np.array(getattr(acting, name)) for name in SCALED}
    return {**{f"{GHN_PREFIX}{name}": array for name, array in arrays.items()}, **scaled}


def scaling_arrays(scaling: Scaling) -> dict[str, np.ndarray]:
    """Return the statistics by name."""
    return {
        f"{SCALING_PREFIX}{name}/{part}": array
        for name, known in scaling._asdict().items()
        for part, array in known._asdict().items()
    }


def load_scaling(arrays: dict[str, Any]) -> Scaling:
    """Inverse of ``scaling_arrays``."""
    return Scaling(
        *(
            Statistics(*(arrays[f"{SCALING_PREFIX}{name}/{part}"] for part in Statistics._fields))
            for name in Scaling._fields
        )
    )
