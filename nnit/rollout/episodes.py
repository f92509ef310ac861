"""Evaluate policies in the simulator, over processes.

An episode's result depends on its reset seed and policy alone: a reset forgets what was before,
and every worker computes with one thread. Episodes run to the horizon, as with ManiSkill's
``ignore_terminations=True``, where the task itself doesn't end them; without it
``success_at_end`` means nothing. Where ``success_once`` alone is asked, ``stop_on_success`` ends
an episode at its first success.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np

from nnit.engine import ONE_WORKER, Engine
from nnit.errors import UsageError
from nnit.mlp import Architecture, PolicyInterface
from nnit.parallel import UnitPool, open_pool, run_units
from nnit.policy import NumpyPolicy
from nnit.progress import Progress, silent
from nnit.rollout.metrics import Episode, Evaluation, summarise_episode
from nnit.tasks.registry import episode_seeds, expert_of, get_task, process_simulation
from nnit.tasks.seeds import EVALUATION_FIRST_SEED
from nnit.tasks.task import Simulation, TaskRef

UNIT_EPISODES = 25

Policy = Callable[[np.ndarray], np.ndarray]  # (obs_dim,) raw -> (act_dim,)


class EvaluationRequest(NamedTuple):
    """A network to evaluate; the labels are those of ``Evaluation``."""

    name: str  # unique
    source: str
    hidden_dims: Architecture
    kind: str
    weights: np.ndarray  # (num_parameters,) float32


class Trajectory(NamedTuple):
    """One episode of ``T`` control steps: all up to the horizon, or up to the first success."""

    seed: int
    observations: np.ndarray  # (T + 1, obs_dim) float32, the last after the last action
    actions: np.ndarray  # (T, act_dim) float32
    success: np.ndarray  # (T,) bool, after each action
    rewards: np.ndarray | None = None  # (T,) float64, of tasks that have any

    def episode(self, episode_ix: int) -> Episode:
        """Return what is reported of it."""
        rewards = None if self.rewards is None else self.rewards.tolist()
        return summarise_episode(episode_ix, self.seed, self.success.tolist(), rewards)


class UnitKey(NamedTuple):
    """Names a unit of work: up to ``UNIT_EPISODES`` episodes of one network."""

    name: str
    first_episode: int


class UnitResult(NamedTuple):
    """What a unit of work gives; ``trajectories`` is empty unless asked for."""

    episodes: tuple[Episode, ...]
    trajectories: tuple[Trajectory, ...] = ()


class _Unit(NamedTuple):
    key: UnitKey
    task: TaskRef
    seeds: range
    network: tuple[PolicyInterface, Architecture, np.ndarray] | None  # None: the expert
    record: bool
    stop_on_success: bool = False


def run_trajectory(
    simulation: Simulation,
    policy: Policy,
    seed: int,
    horizon: int,
    *,
    stop_on_success: bool = False,
) -> Trajectory:
    """Run a policy from one initial state to the horizon, or to its end, and record everything.

    With ``stop_on_success`` the episode ends at its first success: ``success_once`` is the same
    to the bit, and nothing else of it means anything.
    """
    observations = [simulation.reset(seed)]
    actions, successes, rewards = [], [], []
    with np.errstate(over="ignore", invalid="ignore"):  # absurd weights are the policy's business
        for _ in range(horizon):
            action = policy(observations[-1])
            observation, success, reward, done = simulation.step(action)
            observations.append(observation)
            actions.append(action)
            successes.append(success)
            if reward is not None:
                rewards.append(reward)
            if done or (success and stop_on_success):
                break
    return Trajectory(
        seed,
        np.stack(observations),
        np.stack(actions),
        np.array(successes),
        np.array(rewards, np.float64) if rewards else None,
    )


def run_episode(
    simulation: Simulation, policy: Policy, seed: int, horizon: int, episode_ix: int = 0
) -> Episode:
    """Run a policy from one initial state to the horizon and report success."""
    return run_trajectory(simulation, policy, seed, horizon).episode(episode_ix)


def unit_starts(num_episodes: int) -> range:
    """Return the first episode of each unit of work of a network."""
    return range(0, num_episodes, UNIT_EPISODES)


def evaluate_networks(
    networks: Sequence[EvaluationRequest],
    interface: PolicyInterface,
    num_episodes: int,
    first_seed: int = EVALUATION_FIRST_SEED,
    engine: Engine = ONE_WORKER,
    progress: Progress = silent,
    *,
    on_unit: Callable[[UnitKey, UnitResult], None] | None = None,
    done_units: Mapping[UnitKey, UnitResult] | None = None,
    record: bool = False,
    stop_on_success: bool = False,
    task: TaskRef | None = None,
) -> list[Evaluation]:
    """Evaluate networks of one task, all on the same initial states.

    Args:
        networks: The networks; names are unique.
        interface: The task, the scaling of observations and the horizon.
        num_episodes: Episodes of each network.
        first_seed: Reset seed of the first episode; the others follow.
        engine: What runs them; the result does not depend on it.
        progress: Counts episodes.
        on_unit: Called with each finished unit, in any order; a place to save it.
        done_units: Units that an earlier, interrupted run saved; they are not run again.
        record: Give ``on_unit`` the trajectories too.
        stop_on_success: End an episode at its first success; ``success_once`` stays the same,
            the rest of an episode means nothing then.
        task: Where the task is found, if not by its id.

    Returns:
        One evaluation per network, in the order given.

    Raises:
        UsageError: unknown task, no episode, seeds out of range, a name that occurs twice.
        ResourceError: workers were killed again and again.
        ShardEnd: a shard has run its units.
        InterruptedRunError: asked to stop; finished units went to ``on_unit``.
    """
    if len({network.name for network in networks}) < len(networks):
        raise UsageError("networks to evaluate: two have the same name")
    task = task or TaskRef(interface.task)
    seeds = episode_seeds(task, first_seed, num_episodes)
    units = [
        _Unit(
            UnitKey(network.name, start),
            task,
            seeds[start : start + UNIT_EPISODES],
            (interface, network.hidden_dims, network.weights),
            record,
            stop_on_success,
        )
        for network in networks
        for start in unit_starts(num_episodes)
    ]
    run = partial(run_units, _run_unit, engine=engine)
    results = _run_units(units, done_units or {}, run, progress, on_unit)
    return [
        Evaluation(
            network.name,
            network.source,
            tuple(network.hidden_dims),
            network.kind,
            _episodes_of(network.name, units, results),
        )
        for network in networks
    ]


class EpisodeRange(NamedTuple):
    """Some of a network's episodes, as one unit of work."""

    network: EvaluationRequest
    first_episode: int
    num_episodes: int

    @property
    def key(self) -> UnitKey:
        """The unit's name."""
        return UnitKey(self.network.name, self.first_episode)


class SuccessEvaluator:
    """Runs episodes to their first success, round after round; made by ``open_evaluator``."""

    def __init__(
        self,
        pool: UnitPool[_Unit, UnitResult],
        interface: PolicyInterface,
        first_seed: int,
        task: TaskRef,
    ) -> None:
        self._pool, self._interface, self._first_seed = pool, interface, first_seed
        self._task = task

    def run(
        self,
        ranges: Sequence[EpisodeRange],
        progress: Progress = silent,
        *,
        on_unit: Callable[[UnitKey, UnitResult], None] | None = None,
        done_units: Mapping[UnitKey, UnitResult] | None = None,
    ) -> list[tuple[bool, ...]]:
        """Return ``success_once`` of each episode of each range.

        Episode ``k`` of every network begins from the same initial state. Arguments and errors
        are those of ``evaluate_networks``.
        """
        units = [
            _Unit(
                one.key,
                self._task,
                episode_seeds(self._task, self._first_seed + one.first_episode, one.num_episodes),
                (self._interface, one.network.hidden_dims, one.network.weights),
                record=False,
                stop_on_success=True,
            )
            for one in ranges
        ]
        results = _run_units(units, done_units or {}, self._pool.run, progress, on_unit)
        return [
            tuple(bool(episode.success_once) for episode in results[unit.key].episodes)
            for unit in units
        ]


@contextmanager
def open_evaluator(
    interface: PolicyInterface, first_seed: int, engine: Engine, task: TaskRef | None = None
) -> Iterator[SuccessEvaluator]:
    """Start workers for an evaluation that decides by its results what to run next.

    Raises:
        UsageError: an unknown task.
    """
    task = task or TaskRef(interface.task)
    get_task(task)
    with open_pool(_run_unit, engine) as pool:
        yield SuccessEvaluator(pool, interface, first_seed, task)


def evaluate_expert(
    task: TaskRef,
    num_episodes: int,
    first_seed: int = EVALUATION_FIRST_SEED,
    engine: Engine = ONE_WORKER,
    progress: Progress = silent,
) -> Evaluation:
    """Evaluate a task's scripted expert, without noise; errors as ``evaluate_networks``."""
    seeds = episode_seeds(task, first_seed, num_episodes)
    units = [
        _Unit(
            UnitKey("expert", start),
            task,
            seeds[start : start + UNIT_EPISODES],
            network=None,
            record=False,
        )
        for start in unit_starts(num_episodes)
    ]
    run = partial(run_units, _run_unit, engine=engine)
    results = _run_units(units, {}, run, progress, None)
    return Evaluation("expert", "expert", (), "", _episodes_of("expert", units, results))


def _run_units(
    units: list[_Unit],
    done_units: Mapping[UnitKey, UnitResult],
    run: Callable[..., None],  # run_units or the like, its function and engine settled
    progress: Progress,
    on_unit: Callable[[UnitKey, UnitResult], None] | None,
) -> dict[UnitKey, UnitResult]:
    done = {k for k, unit in enumerate(units) if _is_done(unit, done_units)}
    results = {units[k].key: done_units[units[k].key] for k in done}

    def keep(index: int, result: UnitResult) -> None:
        results[units[index].key] = result
        if on_unit is not None:
            on_unit(units[index].key, result)

    run(
        units=units,
        progress=progress,
        on_result=keep,
        done=done,
        label="episodes",
        names=[f"{unit.key.name}, from episode {unit.key.first_episode}" for unit in units],
        unit_sizes=[len(unit.seeds) for unit in units],
    )
    return results


def _is_done(unit: _Unit, done_units: Mapping[UnitKey, UnitResult]) -> bool:
    done = done_units.get(unit.key)
    return done is not None and [episode.seed for episode in done.episodes] == list(unit.seeds)


def _run_unit(unit: _Unit) -> UnitResult:
    task = get_task(unit.task)
    simulation = process_simulation(unit.task)
    policy = expert_of(task) if unit.network is None else NumpyPolicy(*unit.network)
    horizon = task.horizon if unit.network is None else unit.network[0].horizon
    trajectories = tuple(
        run_trajectory(simulation, policy, seed, horizon, stop_on_success=unit.stop_on_success)
        for seed in unit.seeds
    )
    first = unit.key.first_episode
    episodes = tuple(
        trajectory.episode(first + index) for index, trajectory in enumerate(trajectories)
    )
    return UnitResult(episodes, trajectories if unit.record else ())


def _episodes_of(
    name: str, units: list[_Unit], results: Mapping[UnitKey, UnitResult]
) -> tuple[Episode, ...]:
    keys = [unit.key for unit in units if unit.key.name == name]
    return tuple(episode for key in keys for episode in results[key].episodes)
