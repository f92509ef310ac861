"""Demonstrations: a scripted expert, disturbed so that the data shows recoveries, or labels."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from nnit.demos import Demos
from nnit.engine import ONE_WORKER, Engine
from nnit.errors import UsageError
from nnit.mlp import ACTION, Network, PolicyInterface
from nnit.parallel import run_units
from nnit.policy import NumpyPolicy
from nnit.progress import Progress, silent
from nnit.seeding import numpy_generator
from nnit.tasks.checked import checked_examples, checked_numbers, told_expert
from nnit.tasks.registry import episode_seeds, expert_of, get_task, process_simulation
from nnit.tasks.task import Examples, Expert, Simulation, Task, TaskRef

UNIT_EPISODES = 10
MIN_OBS_STD = 1e-3  # below this an observation is as good as constant


class EpisodeRecord(NamedTuple):
    """One demonstration of ``T`` steps: the task's horizon, or up to where the episode ends."""

    observations: np.ndarray  # (T, obs_dim) float32, before each action
    actions: np.ndarray  # (T, act_dim) float32, the expert's own, without noise
    success_once: bool
    success_at_end: bool
    seed: int


class Teacher(NamedTuple):
    """A network that acts, or that is learnt from."""

    interface: PolicyInterface
    network: Network

    def policy(self) -> NumpyPolicy:
        """Return it as a function of raw observations."""
        return NumpyPolicy(self.interface, *self.network)


class DemoRequest(NamedTuple):
    """Which episodes to collect; None stands for the task's own number."""

    episodes: int | None = None
    first_seed: int | None = None  # reset seed of the first; the others follow
    noise: float | None = None  # mean standard deviation of the action noise
    seed: int = 0  # of the noise
    teacher: Teacher | None = None  # instead of the task's expert
    actors: tuple[Teacher, ...] = ()  # act instead, an episode each in turn; without noise
    input_dropout: float | None = None  # of what networks learn from them


THE_TASKS_OWN = DemoRequest()


class _Unit(NamedTuple):
    task: TaskRef
    request: DemoRequest
    first_seed: int
    noise: float
    episodes: range


def collect_episode(
    simulation: Simulation,
    expert: Expert,
    seed: int,
    noise: float,
    rng: np.random.Generator,
    task: Task,
    actor: Expert | None = None,
) -> EpisodeRecord:
    """Run the expert with noise on the executed actions; record its clean ones.

    The noise is Gaussian with one standard deviation per episode, ``noise`` times a uniform draw
    from 0 to 2, so that the data holds both precise and much disturbed episodes. The episode goes
    on to the horizon after success, if the task doesn't end it: holding still is part of the task.
    A choice among classes is replaced by a random one that often instead.

    With an ``actor`` it is the actor that acts, with the noise, and the expert says for each state
    that it visits what should have been done (DAgger).

    Source: DART, Laskey et al. 2017 (arXiv:1703.09327); DAgger, Ross et al. 2011
    (arXiv:1011.0686).
    """
    disturb = disturbances(task, noise * rng.uniform(0.0, 2.0), rng)
    observations, actions, successes = [], [], []
    observation = simulation.reset(seed)
    for disturbed in disturb:
        answer = checked_numbers(
            task.task_id, "the expert's action", expert(observation), task.act_dim
        )
        action = np.clip(answer, -1.0, 1.0)
        observations.append(observation)
        actions.append(action)
        executed = action if actor is None else actor(observation)
        observation, success, _, done = simulation.step(disturbed(executed))
        successes.append(success)
        if done:
            break
    return EpisodeRecord(
        np.stack(observations), np.stack(actions), any(successes), successes[-1], seed
    )


def disturbances(
    task: Task, scale: float, rng: np.random.Generator
) -> list[Callable[[np.ndarray], np.ndarray]]:
    """Return, for each step of an episode, what is executed instead of an action."""
    if task.output == ACTION:
        noise = (scale * rng.standard_normal((task.horizon, task.act_dim))).astype(np.float32)
        return [partial(_add, row) for row in noise]
    replaced = rng.uniform(size=task.horizon) < scale
    chosen = np.eye(task.act_dim, dtype=np.float32)[rng.integers(task.act_dim, size=task.horizon)]
    return [partial(_replace, *pair) for pair in zip(replaced, chosen, strict=True)]


def _add(noise: np.ndarray, action: np.ndarray) -> np.ndarray:
    return np.clip(action + noise, -1.0, 1.0)


def _replace(replaced: bool, choice: np.ndarray, action: np.ndarray) -> np.ndarray:  # noqa: FBT001
    return choice if replaced else action


def collect_demos(
    ref: TaskRef,
    request: DemoRequest = THE_TASKS_OWN,
    engine: Engine = ONE_WORKER,
    progress: Progress = silent,
    *,
    on_unit: Callable[[int, list[EpisodeRecord]], None] | None = None,
    done_units: Mapping[int, list[EpisodeRecord]] | None = None,
) -> Demos:
    """Collect demonstrations of a task's expert in the simulator, or its labelled examples.

    Episode ``k`` has a stream of noise of its own, so that the result does not depend on the
    engine.

    Args:
        ref: The task.
        request: Which episodes, and who acts.
        engine: What runs them.
        progress: Counts episodes.
        on_unit: Called with the number and the episodes of each finished unit; a place to keep it.
        done_units: Units that were kept; they are not run again.

    Raises:
        UsageError: an unknown task or one without expert and examples, no episode, seeds out of
            range, noise or a dropout out of range; observations, actions or labels that are not
            what the task says; networks to learn from or to correct, or a shard, where there are
            labels.
        ShardEnd: a shard has run its units.
        InterruptedRunError: asked to stop; finished units went to ``on_unit``.
    """
    task = get_task(ref)
    noise = noise_of(task, request)
    dropout = input_dropout_of(task, request.input_dropout)
    seeds = demo_seeds(ref, request)
    if task.examples is not None:
        refuse_teachers_of_examples(task, request)
        if engine.is_shared:
            raise UsageError(f"--shard: {task.task_id} has labelled examples; no episode is run")
        demos = demos_of_examples(task, checked_examples(task, task.examples()), seeds)
        return replace(demos, input_dropout=dropout)
    if request.teacher is None:
        expert_of(task)
    episodes = range(len(seeds))
    chunks = [episodes[start : start + UNIT_EPISODES] for start in episodes[::UNIT_EPISODES]]
    units = [_Unit(ref, request, seeds.start, noise, chunk) for chunk in chunks]
    records = dict(done_units or {})

    def keep(index: int, collected: list[EpisodeRecord]) -> None:
        records[index] = collected
        if on_unit is not None:
            on_unit(index, collected)

    run_units(
        _collect_unit,
        units,
        engine,
        progress,
        on_result=keep,
        done=set(records),
        label="demonstrations",
        names=[f"episodes {chunk.start} to {chunk.stop - 1}" for chunk in chunks],
        unit_sizes=[len(chunk) for chunk in chunks],
    )
    demos = _join(task, [record for k in range(len(units)) for record in records[k]])
    return replace(demos, input_dropout=dropout)


def refuse_teachers_of_examples(task: Task, request: DemoRequest) -> None:
    """Labels are learnt from as they are: no network acts, and none knows better.

    Raises:
        UsageError: there is a teacher, or an actor.
    """
    if request.teacher or request.actors:
        flag = "--teacher" if request.teacher else "--dagger-from"
        raise UsageError(
            f"{flag}: {task.task_id} has labels, and its examples are learnt from as is"
        )


def noise_of(task: Task, request: DemoRequest) -> float:
    """Return the noise of a request; networks that act to be corrected have none by default.

    Raises:
        UsageError: not within 0 to 1.
    """
    own = 0.0 if request.actors else task.demo_noise
    noise = own if request.noise is None else request.noise
    if not 0.0 <= noise <= 1.0:
        raise UsageError(f"--noise {noise}: must be within 0 to 1")
    return noise


def input_dropout_of(task: Task, wanted: float | None) -> float:
    """Return the input dropout of demonstrations: what is wanted, or the task's own.

    Raises:
        UsageError: not at least 0 and below 1.
    """
    name = f"--task {task.task_id}: input_dropout" if wanted is None else "--input-dropout"
    dropout = task.input_dropout if wanted is None else wanted
    if not 0.0 <= dropout < 1.0:
        raise UsageError(f"{name}: found {dropout}, expected at least 0 and below 1")
    return dropout


def count_units(ref: TaskRef, request: DemoRequest) -> int:
    """Return how many units of work a request is; errors are those of ``demo_seeds``."""
    return len(demo_seeds(ref, request)[::UNIT_EPISODES])


def demo_seeds(ref: TaskRef, request: DemoRequest) -> range:
    """Return the reset seeds of a request.

    Raises:
        UsageError: an unknown task, no episode, or seeds that the task does not have.
    """
    task = get_task(ref)
    first = task.demo_first_seed if request.first_seed is None else request.first_seed
    episodes = task.demo_episodes if request.episodes is None else request.episodes
    return episode_seeds(ref, first, episodes)


def _collect_unit(unit: _Unit) -> list[EpisodeRecord]:
    return list(_collect(unit))


def _collect(unit: _Unit) -> Iterator[EpisodeRecord]:
    task, request = get_task(unit.task), unit.request
    simulation = process_simulation(unit.task)
    expert = request.teacher.policy() if request.teacher else expert_of(task)
    expert = told_expert(unit.task.name, expert)
    actors = [actor.policy() for actor in request.actors]
    for k in unit.episodes:
        rng = numpy_generator(request.seed, "demos", k)
        actor = actors[k % len(actors)] if actors else None
        reset_seed = unit.first_seed + k
        yield collect_episode(simulation, expert, reset_seed, unit.noise, rng, task, actor)


def _join(task: Task, records: list[EpisodeRecord]) -> Demos:
    observations = np.concatenate([record.observations for record in records])
    return Demos(
        observations=observations,
        actions=np.concatenate([record.actions for record in records]),
        episode_ends=np.cumsum([len(record.actions) for record in records], dtype=np.int64),
        success_once=np.array([record.success_once for record in records]),
        success_at_end=np.array([record.success_at_end for record in records]),
        seeds=np.array([record.seed for record in records], np.int64),
        interface=policy_interface(task, observations),
    )


def policy_interface(task: Task, observations: np.ndarray) -> PolicyInterface:
    """Fit the scaling of observations ``(N, obs_dim)``: mean and standard deviation.

    Of each number, or, where the task says that they share it, of all together. The numbers are
    float32 values, so that they survive any artifact unchanged; no standard deviation is below
    ``MIN_OBS_STD``.
    """
    axis = None if task.shared_scaling else 0
    mean = observations.mean(axis=axis, dtype=np.float64).astype(np.float32)
    std = observations.std(axis=axis, dtype=np.float64).clip(MIN_OBS_STD).astype(np.float32)
    mean, std = np.broadcast_to(mean, task.obs_dim), np.broadcast_to(std, task.obs_dim)
    return PolicyInterface(
        task=task.task_id,
        control_mode=task.control_mode,
        obs_dim=task.obs_dim,
        act_dim=task.act_dim,
        horizon=task.horizon,
        obs_mean=tuple(mean.tolist()),
        obs_std=tuple(std.tolist()),
        output=task.output,
    )


def demos_of_examples(task: Task, examples: Examples, seeds: range) -> Demos:
    """Return labelled examples as demonstrations of one step each."""
    chosen = np.asarray(seeds, np.int64)
    inputs = examples.inputs[chosen]
    right = np.ones(len(chosen), bool)
    return Demos(
        observations=inputs,
        actions=np.eye(task.act_dim, dtype=np.float32)[examples.labels[chosen]],
        episode_ends=np.arange(1, len(chosen) + 1),
        success_once=right,
        success_at_end=right,
        seeds=chosen,
        interface=policy_interface(task, inputs),
    )


def join_demos(task: Task, some: Demos, more: Demos) -> Demos:
    """Return the episodes of both; the scaling of observations is fitted to all of them.

    The input dropout is that of ``more``.
    """
    both = {
        name: np.concatenate([getattr(some, name), getattr(more, name)])
        for name in ("observations", "actions", "success_once", "success_at_end", "seeds")
    }
    ends = np.concatenate([some.episode_ends, some.episode_ends[-1] + more.episode_ends])
    interface = policy_interface(task, both["observations"])
    return replace(more, **both, episode_ends=ends, interface=interface)
