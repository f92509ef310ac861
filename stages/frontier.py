"""Stage ``frontier``: which is the smallest network that does the job? Nothing is trained.

Reads:   generator   kind "generator", schema 1, 2 or 3
         demos       kind "demos",     schema 1 (to keep off their reset seeds)
Writes:  frontier    kind "frontier",  schema 4
"""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from nnit.architectures import TrainingRange, held_out_kind
from nnit.artifacts.demos import read_demos
from nnit.artifacts.frontier import StoredFrontier, write_frontier
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.samples import Sample
from nnit.artifacts.state import UnitStore, clear_state
from nnit.diffusion.architecture import generate_architecture
from nnit.figures.frontier import FrontierPoint, draw_frontier
from nnit.frontier.candidates import by_size, spread_shapes
from nnit.frontier.front import TESTS, Candidate, Frontier, episodes_run, z_of_tests
from nnit.frontier.race import RaceRules, Standing, race
from nnit.generators.choice import choose_interface
from nnit.generators.generation import Settings, Wanted, generate_networks
from nnit.generators.trained import Generator, load_generator, moved
from nnit.intervals import Level, wilson_interval
from nnit.mlp import Architecture, Network, PolicyInterface, format_architecture
from nnit.patterns import ArchitectureBounds
from nnit.progress import Progress, silent
from nnit.rollout.episodes import EpisodeRange, EvaluationRequest, SuccessEvaluator, open_evaluator
from nnit.seeding import derive_seed, torch_generator
from nnit.tasks.registry import episode_seeds
from nnit.tasks.seeds import check_disjoint_seeds, seed_range
from nnit.tasks.task import TaskRef
from nnit.training import prepare_torch
from stages.checkpoints import Run, naming_the_way_on, open_units, run_key
from stages.episode_store import load_units, saver
from stages.fan_out import Arrays, fan_out
from stages.lineage import require_same_task
from stages.params import FrontierParams, Params, RunOptions
from stages.task_source import named_id, source_digests, task_of

UNBOUNDED = ArchitectureBounds()
SAMPLE_INDEX = 0  # the network is the one that ``nnit sample --arch`` gives first
SHAPES_TOGETHER = 20  # of a unit of sampling, whatever the number of workers
GENERATED_TRIES = 20  # draws for each architecture that is wanted


@dataclass(frozen=True)
class Inputs:
    """The generator, and what shapes it may be asked for."""

    generator: Path
    bounds: ArchitectureBounds = UNBOUNDED
    demos: Path | None = None
    task: str | None = None  # that is named, by its id or its file


@dataclass(frozen=True)
class Outputs:
    """Where the frontier goes."""

    frontier: Path


@dataclass(frozen=True)
class Summary:
    """The numbers for the terminal and for ``metrics/frontier.json``."""

    answer: str
    met: bool  # whether there is a network with the success that is wanted
    shapes: int
    front: int  # networks on it
    episodes: int  # run by all shapes together
    sampler_s: float  # seconds for all networks
    evaluation_s: float  # seconds for all episodes


class SampleUnit(NamedTuple):
    """Some shapes to generate, as a unit of work."""

    generator: Generator
    device: str
    shapes: tuple[Architecture, ...]
    seed: int
    steps: int


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Generate a network of each of many shapes, race them, and keep the front.

    Held-out architectures may be among the shapes: this is evaluation. All networks face the same
    initial states, and an episode ends at its first success. Those of the front then run in further
    states: the best of many look better in the episodes that they were chosen by. Where the
    smallest is not confirmed so, larger ones are tried in their order, ``TESTS`` at most. Finished
    networks and episodes are kept beside the output until it is whole, so that an interrupted run
    goes on with ``--resume``.

    Raises:
        UsageError: bounds that nothing meets, a task that is unknown or not said where the
            generator knows several, or reset seeds of the demonstrations.
        WrongKindError: demonstrations of another task, or a task that is not as the generator's.
        NnitError: a missing or damaged input, an output that can't be written, or the run was
            stopped.
    """
    check_output_free(outputs.frontier, force=options.force, kind="frontier")
    section = params.frontier
    generator = load_generator(inputs.generator, options.device, named_id(inputs.task))
    task = task_of(inputs.generator, generator.interface, params, inputs.task)
    parents = {"generator": generator.digest, **source_digests(task)}
    if inputs.demos is not None:
        parents["demos"] = check_demos(inputs, generator.interface, section)
    episode_seeds(task, section.first_seed, section.episodes + section.confirm_episodes)
    for line in too_few_episodes(section):
        progress.note(line)
    shapes = choose_shapes(generator, section, inputs.bounds, options)
    if len(shapes) < section.shapes:
        progress.note(f"frontier: within bounds are {len(shapes)} shapes; all of them are tried")
    decides = {
        "bounds": asdict(inputs.bounds),
        **generator.choice,
        **section.model_dump(mode="json"),
        "architectures": params.architectures.model_dump(mode="json"),  # tells the kinds apart
    }
    key = run_key("frontier", decides, options.seed, parents)
    store = open_units(Run(outputs.frontier, key, options))
    started = time.perf_counter()
    with naming_the_way_on(outputs.frontier):
        networks = networks_of(shapes, moved(generator, "cpu"), section, store, options, progress)
        sampled = time.perf_counter()
        standings = run_race(networks, generator.interface, task, section, store, options, progress)
        frontier = Frontier(
            tuple(
                Candidate(shape, kind_of(shape, params.architectures.training_range()), standing)
                for shape, standing in zip(shapes, standings, strict=True)
            ),
            race_rules(section),
            section.min_success,
            generator.interface,
        )
        if section.confirm_episodes:
            frontier = confirm(frontier, networks, task, section, store, options, progress)
    evaluated = time.perf_counter()
    front = tuple(Sample(networks[k], options.seed, SAMPLE_INDEX) for k in frontier.front)
    write_frontier(
        outputs.frontier,
        StoredFrontier(frontier, front),
        draw_frontier(points_of(frontier), section.min_success),
        Provenance("frontier", decides, options.seed, parents),
        force=options.force,
    )
    clear_state(outputs.frontier)
    return Summary(
        answer=frontier.answer(),
        met=frontier.is_met,
        shapes=len(shapes),
        front=len(front),
        episodes=episodes_run(frontier.candidates),
        sampler_s=sampled - started,
        evaluation_s=evaluated - sampled,
    )


def too_few_episodes(section: FrontierParams) -> list[str]:
    """Say where a network could not do the job even without a failure: its bound is too low."""
    lines, wanted = list[str](), section.min_success
    for name, tests in (("episodes", 1), ("confirm_episodes", TESTS)):
        count, z = getattr(section, name), z_of_tests(tests)
        best = wilson_interval(1.0, count, z).low if count else 1.0
        if best < wanted:
            enough = math.ceil(z**2 * wanted / (1 - wanted)) if wanted < 1 else "no number"
            lines.append(
                f"frontier: {name}, {count}, cannot show a success of min_success, {wanted:g}: "
                f"without a failure the lower bound is {best:.3f}; it takes {enough}"
            )
    return lines


def check_task(params: Params, inputs: Inputs) -> None:
    """Make sure of the task before anything is read or run; errors are those of ``run``."""
    interface = choose_interface(inputs.generator, named_id(inputs.task))
    task_of(inputs.generator, interface, params, inputs.task)


def check_demos(inputs: Inputs, interface: PolicyInterface, section: FrontierParams) -> str:
    """Make sure that demonstrations belong to the generator and not to the evaluation.

    Returns:
        The digest of the demonstrations.

    Raises:
        WrongKindError: of another task.
        UsageError: reset seeds that are evaluated too.
    """
    assert inputs.demos is not None
    demos, artifact = read_demos(inputs.demos)
    require_same_task(inputs.generator, interface, inputs.demos, demos.interface)
    episodes = section.episodes + section.confirm_episodes
    check_disjoint_seeds(demos.reset_seeds, seed_range(section.first_seed, episodes))
    return artifact.digest


def race_rules(section: FrontierParams) -> RaceRules:
    """Return the rules of the race as the library's type."""
    return RaceRules(**{name: getattr(section, name) for name in RaceRules._fields})


def kind_of(shape: Architecture, training_range: TrainingRange) -> str:
    """Return how a shape is held out, or "train"."""
    return held_out_kind(shape, training_range) or "train"


def choose_shapes(
    generator: Generator, section: FrontierParams, bounds: ArchitectureBounds, options: RunOptions
) -> list[Architecture]:
    """Return the shapes to try, in ascending order of parameters.

    Raises:
        UsageError: no shape is within the bounds.
    """
    values, interface = generator.values, generator.interface
    if section.spread == "stratified":
        seed = derive_seed(options.seed, "frontier")
        return spread_shapes(section.shapes, values.widths, values.depths, bounds, interface, seed)
    found: dict[Architecture, None] = {}
    prepare_torch()
    for k in range(GENERATED_TRIES * section.shapes):
        chance = torch_generator(options.seed, "frontier", k)
        shape = generate_architecture(
            generator.model,
            None,
            bounds,
            interface,
            chance,
            task=generator.place.task,
            values=values,
        )
        found[shape] = None
        if len(found) == section.shapes:
            break
    return by_size(list(found), interface)


def networks_of(
    shapes: Sequence[Architecture],
    generator: Generator,
    section: FrontierParams,
    store: UnitStore,
    options: RunOptions,
    progress: Progress,
) -> list[Network]:
    """Generate one network of each shape; errors are those of ``fan_out``.

    A GPU generates all in one unit, whose batches are as large as suits it.
    """
    together = SHAPES_TOGETHER if options.device == "cpu" else len(shapes)
    units = [
        SampleUnit(
            generator,
            options.device,
            tuple(shapes[k : k + together]),
            options.seed,
            section.steps,
        )
        for k in range(0, len(shapes), together)
    ]
    packed = fan_out(
        "networks",
        sample_shapes,
        units,
        dict,
        store,
        options,
        progress,
        unit_sizes=[len(unit.shapes) for unit in units],
        kept_as="networks" if together == SHAPES_TOGETHER else "all-networks",
    )
    return [
        Network(shape, arrays[str(place)])
        for unit, arrays in zip(units, packed, strict=True)
        for place, shape in enumerate(unit.shapes)
    ]


def sample_shapes(unit: SampleUnit) -> Arrays:
    """Generate the flat weights of one network of each shape."""
    prepare_torch()
    generator = moved(unit.generator, unit.device)
    wanted = [Wanted(generator.interface.spec(shape), SAMPLE_INDEX) for shape in unit.shapes]
    settings = Settings(unit.seed, unit.steps, device=unit.device)
    networks = generate_networks(generator, wanted, settings)
    return {str(place): network.weights for place, network in enumerate(networks)}


def run_race(
    networks: Sequence[Network],
    interface: PolicyInterface,
    task: TaskRef,
    section: FrontierParams,
    store: UnitStore,
    options: RunOptions,
    progress: Progress,
) -> list[Standing]:
    """Race networks in the simulator, in ascending order of size.

    Raises:
        InterruptedRunError: asked to stop; finished episodes are kept.
    """
    requests = requests_of(networks)
    contest = race(
        [interface.spec(network.hidden_dims).num_parameters for network in networks],
        race_rules(section),
    )
    with open_evaluator(interface, section.first_seed, options.engine, task) as evaluator:
        turns = next(contest)
        number = 0
        while True:
            number += 1
            ranges = [
                EpisodeRange(requests[turn.candidate], turn.first_episode, turn.num_episodes)
                for turn in turns
            ]
            if turns[0].first_episode < section.race_episodes:
                progress.note(f"race: round {number}, {len(turns)} of {len(networks)} shapes")
            outcomes = run_ranges(evaluator, ranges, store, progress)
            try:
                turns = contest.send(outcomes)
            except StopIteration as end:
                return end.value


def requests_of(networks: Sequence[Network]) -> list[EvaluationRequest]:
    """Return candidates as what is evaluated."""
    return [
        EvaluationRequest(f"candidate-{k:04d}", "sample", network.hidden_dims, "", network.weights)
        for k, network in enumerate(networks)
    ]


def confirm(
    frontier: Frontier,
    networks: Sequence[Network],
    task: TaskRef,
    section: FrontierParams,
    store: UnitStore,
    options: RunOptions,
    progress: Progress,
) -> Frontier:
    """Run the networks of the front in the states after those of the race, larger ones if need be.

    Raises:
        InterruptedRunError: asked to stop; finished episodes are kept.
    """
    requests, front = requests_of(networks), frontier.front
    episodes, further = section.episodes, section.confirm_episodes
    with open_evaluator(frontier.interface, section.first_seed, options.engine, task) as evaluator:

        def outcomes_of(chosen: Sequence[int], first: int, count: int) -> list[tuple[bool, ...]]:
            ranges = [EpisodeRange(requests[k], first, count) for k in chosen]
            return run_ranges(evaluator, ranges, store, progress)

        progress.note(f"frontier: confirming {len(front)} shapes in fresh episodes")
        found = dict(zip(front, outcomes_of(front, episodes, further), strict=True))
        frontier = frontier.confirmed(found)
        for _ in range(TESTS):
            k = frontier.next_to_try
            if k is None:
                break
            shape = format_architecture(frontier.candidates[k].hidden_dims)
            progress.note(f"frontier: the smallest is not confirmed; trying {shape}")
            done = len(frontier.candidates[k].standing.outcomes)
            if done < episodes:
                rest = outcomes_of([k], done, episodes - done)[0]
                frontier = frontier.run_to_the_end(k, rest)
            if frontier.seems_enough(k):
                frontier = frontier.confirmed({k: outcomes_of([k], episodes, further)[0]})
    return frontier


def run_ranges(
    evaluator: SuccessEvaluator,
    ranges: Sequence[EpisodeRange],
    store: UnitStore,
    progress: Progress,
) -> list[tuple[bool, ...]]:
    """Run what is not finished of some episodes."""
    done = load_units(store, (one.key for one in ranges))
    return evaluator.run(ranges, progress, on_unit=saver(store), done_units=done)


def points_of(frontier: Frontier) -> list[FrontierPoint]:
    """Return the candidates as they are drawn."""
    front = set(frontier.front)
    return [
        FrontierPoint(
            format_architecture(one.hidden_dims),
            frontier.parameters(k),
            level.mean,
            *level.interval,
            on_front=k in front,
        )
        for k, one in enumerate(frontier.candidates)
        for level in [frontier.confirmed_success(k) or Level(one.success_once, one.interval)]
    ]
