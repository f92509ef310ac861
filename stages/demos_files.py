"""Stage ``demos --trajectories``: demonstrations from ManiSkill's trajectory files.

Reads:   NAME.h5 and NAME.json, as ManiSkill's replay tool and ``nnit rollout --trajectories`` write
Writes:  demos    kind "demos", schema 1
"""

from dataclasses import dataclass, replace
from pathlib import Path

from nnit.artifacts.demos import write_demos
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.errors import UsageError
from nnit.progress import Progress, silent
from nnit.tasks.collect import input_dropout_of
from nnit.tasks.seeds import seed_range, shared_seed
from nnit.tasks.trajectories import TrajectoryFile, demos_of, read_trajectories
from stages.demos import Outputs, Summary, summarise
from stages.params import Params, RunOptions
from stages.task_source import rollout_episodes, source_digest


@dataclass(frozen=True)
class Inputs:
    """The files: ``trajectories`` is the ``.h5``."""

    trajectories: Path


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Write the episodes of the files as demonstrations.

    Raises:
        UsageError: reset seeds that the evaluation uses too.
        NnitError: a missing, damaged or unfit file, or an output that can't be written.
    """
    check_output_free(outputs.demos, force=options.force, kind="demos")
    found = read_apart(params, inputs)
    dropout = input_dropout_of(found.task, params.demos.input_dropout)
    demos = replace(demos_of(found), input_dropout=dropout)
    files = (inputs.trajectories, inputs.trajectories.with_suffix(".json"))
    parents = {f"file {file.suffix}": source_digest(file) for file in files}
    progress.note(f"demos: {len(demos.episode_ends)} episodes of {found.task.task_id}")
    provenance = Provenance("demos", {"task": found.task.task_id}, 0, parents)
    write_demos(outputs.demos, demos, provenance, force=options.force)
    return summarise(demos)


def check_task(params: Params, inputs: Inputs) -> None:
    """Make sure of the files and their task; errors are those of ``run``."""
    read_apart(params, inputs)


def read_apart(params: Params, inputs: Inputs) -> TrajectoryFile:
    """Read the files, and make sure that no episode of them is evaluated.

    Raises:
        UsageError: one is.
        NnitError: a missing, damaged or unfit file.
    """
    found = read_trajectories(inputs.trajectories)
    evaluated = seed_range(params.rollout.first_seed, rollout_episodes(params, found.task))
    both = shared_seed(found.seeds.tolist(), evaluated)
    if both is not None:
        raise UsageError(
            f"{inputs.trajectories}: reset seed {both} is evaluated too; evaluate others, with "
            "`nnit rollout --first-seed`, and say so here in the parameter file "
            "(rollout.first_seed)"
        )
    return found
