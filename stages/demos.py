"""Stage ``demos``: collect demonstrations of a task's scripted expert, or labelled examples.

Reads:   nothing but the simulator, or a file of examples
Writes:  demos    kind "demos", schema 1
"""

from dataclasses import dataclass
from pathlib import Path

from nnit.artifacts.demos import write_demos
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.state import clear_state
from nnit.demos import Demos
from nnit.progress import Progress, silent
from nnit.tasks.collect import DemoRequest, collect_demos, count_units, demo_seeds
from nnit.tasks.registry import episode_seeds, expert_of, get_task
from nnit.tasks.seeds import check_disjoint_seeds
from nnit.tasks.task import TaskRef
from stages.checkpoints import Run, naming_the_way_on, open_units, run_key
from stages.demo_store import load_records, records_saver
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
    check_output_free(outputs.demos, force=options.force, kind="demos")
    if inputs.download:
        fetch_examples(params, progress)
    section, ref = params.demos, task_ref(params)
    request = DemoRequest(
        section.episodes,
        section.first_seed,
        section.noise,
        options.seed,
        input_dropout=section.input_dropout,
    )
    seeds = evaluated_apart(params, ref, request)
    decides = {
        "task": get_task(ref).task_id,
        "episodes": len(seeds),
        "first_seed": seeds.start,
        "noise": section.noise,
    }
    parents = source_digests(ref)
    run_ = Run(outputs.demos, run_key("demos", decides, options.seed, parents), options)
    demos = collect(ref, request, run_, progress)
    provenance = Provenance("demos", decides, options.seed, parents)
    write_demos(outputs.demos, demos, provenance, force=options.force)
    clear_state(outputs.demos)
    return summarise(demos)


def collect(ref: TaskRef, request: DemoRequest, run: Run, progress: Progress) -> Demos:
    """Collect demonstrations; episodes are kept until all are there, of all shards.

    Raises:
        ShardEnd: a shard has run its units.
        NnitError: as ``collect_demos`` and ``open_units``.
    """
    engine = run.options.engine
    if get_task(ref).examples is not None:  # no episode is run
        return collect_demos(ref, request, engine, progress)
    store = open_units(run)
    kept = {k: found for k in range(count_units(ref, request)) if (found := load_records(store, k))}
    with naming_the_way_on(run.out):
        return collect_demos(
            ref, request, engine, progress, on_unit=records_saver(store), done_units=kept
        )


def check_task(params: Params, inputs: Inputs) -> None:
    """Make sure of the task before anything is run; errors are those of ``run``."""
    if inputs.download and params.data is not None and not Path(params.data).exists():
        return  # what there will be is known when it is here
    section, ref = params.demos, task_ref(params)
    evaluated_apart(params, ref, DemoRequest(section.episodes, section.first_seed, section.noise))
    if get_task(ref).examples is None:
        expert_of(get_task(ref))


def evaluated_apart(params: Params, ref: TaskRef, request: DemoRequest) -> range:
    """Return the reset seeds of a request, and make sure that none of them is evaluated.

    Raises:
        UsageError: one is, or the task does not have it.
    """
    seeds = demo_seeds(ref, request)
    evaluated = rollout_episodes(params, get_task(ref))
    check_disjoint_seeds(seeds, episode_seeds(ref, params.rollout.first_seed, evaluated))
    return seeds


def summarise(demos: Demos) -> Summary:
    """Return the summary of demonstrations."""
    return Summary(
        episodes=len(demos.episode_ends),
        transitions=len(demos.observations),
        success_once=float(demos.success_once.mean()),
        success_at_end=float(demos.success_at_end.mean()),
    )
