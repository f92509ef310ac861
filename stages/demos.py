"""Stage ``demos``: collect demonstrations of a task's scripted expert.

Reads:   nothing but the simulator
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
from nnit.tasks.seeds import check_disjoint_seeds, seed_range
from nnit.tasks.task import get_task
from stages.params import Params, RunOptions


@dataclass(frozen=True)
class Inputs:
    """None: demonstrations come from the simulator."""


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
        UsageError: reset seeds that the evaluation uses too.
        NnitError: the output can't be written, or the run was stopped.
    """
    del inputs
    section = params.demos
    check_output_free(outputs.demos, force=options.force, kind="demos")
    check_disjoint_seeds(
        seed_range(section.first_seed, section.episodes),
        seed_range(params.rollout.first_seed, params.rollout.episodes),
    )

    demos = collect_demos(
        get_task(params.task),
        section.episodes,
        section.first_seed,
        section.noise,
        options.seed,
        options.workers or default_workers(),
        progress,
    )

    decides = {"task": params.task, **section.model_dump(mode="json")}
    provenance = Provenance("demos", decides, options.seed)
    write_demos(outputs.demos, demos, provenance, force=options.force)
    return Summary(
        episodes=len(demos.episode_ends),
        transitions=len(demos.observations),
        success_once=float(demos.success_once.mean()),
        success_at_end=float(demos.success_at_end.mean()),
    )
