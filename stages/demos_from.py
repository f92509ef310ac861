"""Stage ``demos`` with other teachers: networks that are learnt from, or that are corrected.

Reads:   teacher      samples, zoo or ghn    (a network instead of the task's expert)
         dagger_from  samples, zoo or ghn    (networks that act, and the expert corrects)
         add_to       kind "demos", schema 1 (episodes that come before the new ones)
Writes:  demos        kind "demos", schema 1
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nnit.artifacts.demos import read_demos, write_demos
from nnit.artifacts.interface import stored_interfaces
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.state import clear_state
from nnit.errors import UsageError, WrongKindError
from nnit.mlp import Architecture, Network, PolicyInterface, Recorded, format_architecture
from nnit.progress import Progress, silent
from nnit.tasks.collect import DemoRequest, Teacher, join_demos
from nnit.tasks.registry import get_task
from nnit.tasks.task import Task
from stages.checkpoints import Run, run_key
from stages.contenders import read_contenders
from stages.demos import Outputs, Summary, collect, evaluated_apart, summarise
from stages.params import Params, RunOptions
from stages.task_source import require_task, source_digests, task_ref

MAX_ACTORS = 64  # networks that act in turn; a zoo has many more


@dataclass(frozen=True)
class Inputs:
    """Who is learnt from, who acts, and what there is already."""

    teacher: Path | None = None
    dagger_from: Path | None = None
    add_to: Path | None = None
    architectures: tuple[Architecture, ...] = ()  # of a GHN: which networks; of others: only these


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Collect episodes of networks and write them, behind those that there are already.

    Raises:
        UsageError: reset seeds that the evaluation uses too, or that the task does not have; a
            hypernetwork without architectures.
        WrongKindError: networks or demonstrations of another task, or of other recordings.
        NnitError: a missing or damaged input, an output that can't be written, or the run was
            stopped.
    """
    check_output_free(outputs.demos, force=options.force, kind="demos")
    section, ref = params.demos, task_ref(params)
    task, parents = get_task(ref), source_digests(ref)
    before, first_seed, dropout = None, section.first_seed, section.input_dropout
    if inputs.add_to is not None:
        before, artifact = read_demos(inputs.add_to)
        require_task(inputs.add_to, before.interface, task)
        parents["add_to"] = artifact.digest
        first_seed = max(before.reset_seeds) + 1 if first_seed is None else first_seed
        dropout = before.input_dropout if dropout is None else dropout
    actors = read_networks(inputs.dagger_from, "dagger_from", inputs, params, task, parents)
    teachers = read_networks(inputs.teacher, "teacher", inputs, params, task, parents)
    request = DemoRequest(
        section.episodes,
        first_seed,
        section.noise,
        options.seed,
        teacher=teachers[0] if teachers else None,
        actors=actors[:MAX_ACTORS],
        input_dropout=dropout,
    )
    seeds = evaluated_apart(params, ref, request)
    decides = {
        "task": task.task_id,
        "episodes": len(seeds),
        "first_seed": seeds.start,
        "noise": section.noise,
        "asked_for": [format_architecture(dims) for dims in inputs.architectures],
    }
    run_ = Run(outputs.demos, run_key("demos", decides, options.seed, parents), options)
    demos = collect(ref, request, run_, progress)
    provenance = Provenance("demos", decides, options.seed, parents)
    everything = demos if before is None else join_demos(task, before, demos)
    known = [*([before.interface] if before else []), *(one.interface for one in teachers + actors)]
    robot = require_one_robot(known)
    everything = replace(everything, interface=everything.interface._replace(recorded=robot))
    write_demos(outputs.demos, everything, provenance, force=options.force)
    clear_state(outputs.demos)
    return summarise(demos)


def check_task(params: Params, inputs: Inputs) -> None:
    """Make sure of the task before anything is read or run; errors are those of ``run``."""
    task = get_task(task_ref(params))
    for path in (inputs.add_to, inputs.dagger_from, inputs.teacher):
        if path is not None:
            require_task(path, stored_interfaces(path)[0], task)


def read_networks(
    path: Path | None,
    name: str,
    inputs: Inputs,
    params: Params,
    task: Task,
    parents: dict[str, str],
) -> tuple[Teacher, ...]:
    """Read networks that act in a task; their digest joins ``parents``.

    Raises:
        UsageError: a hypernetwork without architectures.
        WrongKindError: of another task.
        NnitError: missing, of another kind, damaged.
    """
    if path is None:
        return ()
    found = read_contenders(path, inputs.architectures, params.architectures.training_range())
    require_task(path, found.interface, task)
    parents[name] = found.digest
    return tuple(
        Teacher(found.interface, Network(one.hidden_dims, one.weights)) for one in found.requests
    )


def require_one_robot(interfaces: Sequence[PolicyInterface]) -> Recorded | None:
    """Return the robot that demonstrations or networks come from, if any was recorded.

    Raises:
        WrongKindError: actions within [-1, 1] stand for others in one than in another.
    """
    robots = dict.fromkeys(one.recorded for one in interfaces if one.recorded is not None)
    if len(robots) > 1:
        raise WrongKindError(
            "--add-to, --teacher, --dagger-from: were made from other recordings, with other "
            "bounds of actions; take what was made from one"
        )
    return next(iter(robots), None)


def check_inputs(inputs: Inputs) -> None:
    """Make sure that there is something to do.

    Raises:
        UsageError: episodes to add to, and nobody new to learn from.
    """
    if inputs.teacher is None and inputs.dagger_from is None:
        raise UsageError("--add-to: needs --dagger-from or --teacher")
