"""Stage ``demos``: collect demonstrations of a task's scripted expert, or labelled examples.

Reads:   nothing but the simulator, or a file of examples
Writes:  demos    kind "demos", schema 1
"""

from dataclasses import dataclass
from pathlib import Path

from nnit.artifacts.demos import write_demos
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.parallel import default_workers
from nnit.progress import Progress, silent
from nnit.tasks.collect import collect_demos
from nnit.tasks.registry import episode_seeds, get_task
from nnit.tasks.seeds import check_disjoint_seeds
from stages.params import Params, RunOptions
from stages.task_source import fetch_examples, rollout_episodes, source_digests, task_ref


@dataclass(frozen=True)
class Inputs:
    """No artifact: demonstrations come from the simulator, or from a file of examples."""

    download: bool = False  # fetch the file where it is not there


@dataclass(frozen=True)
class Outputs:
    """Where the demonstrations go."""

    demos: Path


@dataclass(frozen=True)
class Summary:
    """The numbers for the terminal and for ``metrics/demos.json``."""

    episodes: int
    transitions: int
    success_once: float  # share of the noisy episodes
    success_at_end: float


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Collect episodes with noise on the executed action and write them.

    Raises:
        UsageError: reset seeds that the evaluation uses too, or that the task does not have.
        NnitError: the output can't be written, or the run was stopped.
    """
    if inputs.download:
        fetch_examples(params, progress)
    section, ref = params.demos, task_ref(params)
    task = get_task(ref)
    check_output_free(outputs.demos, force=options.force, kind="demos")
    episodes = task.demo_episodes if section.episodes is None else section.episodes
    first_seed = task.demo_first_seed if section.first_seed is None else section.first_seed
    check_disjoint_seeds(
        episode_seeds(ref, first_seed, episodes),
        episode_seeds(ref, params.rollout.first_seed, rollout_episodes(params, task)),
    )

    demos = collect_demos(
        ref,
        episodes,
        first_seed,
        section.noise,
        options.seed,
        options.workers or default_workers(),
        progress,
    )

    decides = {
        "task": task.task_id,
        "episodes": episodes,
        "first_seed": first_seed,
        "noise": section.noise,
    }
    provenance = Provenance("demos", decides, options.seed, source_digests(ref))
    write_demos(outputs.demos, demos, provenance, force=options.force)
    return Summary(
        episodes=len(demos.episode_ends),
        transitions=len(demos.observations),
        success_once=float(demos.success_once.mean()),
        success_at_end=float(demos.success_at_end.mean()),
    )
