"""Demonstrations: a scripted expert, disturbed so that the data shows recoveries."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from nnit.demos import Demos
from nnit.errors import UsageError
from nnit.mlp import PolicyInterface
from nnit.parallel import map_units
from nnit.progress import Progress, silent
from nnit.seeding import numpy_generator
from nnit.tasks.seeds import DEMOS_FIRST_SEED, seed_range
from nnit.tasks.simulation import DirectSimulation, process_simulation
from nnit.tasks.task import Task, get_task

UNIT_EPISODES = 10
MIN_OBS_STD = 1e-3  # below this an observation is as good as constant


class EpisodeRecord(NamedTuple):
    """One demonstration of the task's full horizon ``T``."""

    observations: np.ndarray  # (T, obs_dim) float32, before each action
    actions: np.ndarray  # (T, act_dim) float32, the expert's own, without noise
    success_once: bool
    success_at_end: bool
    seed: int


class _Unit(NamedTuple):
    task_id: str
    first_seed: int
    noise: float
    seed: int
    episodes: range


def collect_episode(
    simulation: DirectSimulation,
    expert: Callable[[np.ndarray], np.ndarray],
    seed: int,
    noise: float,
    rng: np.random.Generator,
    horizon: int,
) -> EpisodeRecord:
    """Run the expert with Gaussian noise on the executed actions; record its clean ones.

    The noise has one standard deviation per episode, ``noise`` times a uniform draw from 0 to
    2, so that the data holds both precise and much disturbed episodes. The episode goes on to
    the horizon after success: holding still is part of the task.

    Source: DART, Laskey et al. 2017 (arXiv:1703.09327).
    """
    act_dim = simulation.task.act_dim
    scale = noise * rng.uniform(0.0, 2.0)
    disturbances = (scale * rng.standard_normal((horizon, act_dim))).astype(np.float32)
    observations, actions, successes = [], [], []
    observation = simulation.reset(seed)
    for disturbance in disturbances:
        action = np.clip(expert(observation), -1.0, 1.0).astype(np.float32)
        observations.append(observation)
        actions.append(action)
        observation, success = simulation.step(np.clip(action + disturbance, -1.0, 1.0))
        successes.append(success)
    return EpisodeRecord(
        np.stack(observations), np.stack(actions), any(successes), successes[-1], seed
    )


def collect_demos(
    task: Task,
    num_episodes: int,
    first_seed: int = DEMOS_FIRST_SEED,
    noise: float | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: Progress = silent,
) -> Demos:
    """Collect demonstrations of a task's expert in the simulator.

    Args:
        task: The task.
        num_episodes: Episodes of ``task.horizon`` transitions each.
        first_seed: Reset seed of the first episode; the others follow.
        noise: Mean standard deviation of the action noise; ``task.demo_noise`` by default.
        seed: Seed of the noise. Episode ``k`` has a stream of its own, so that the result does
            not depend on ``workers``.
        workers: Processes.
        progress: Counts episodes.

    Raises:
        UsageError: no episode, seeds out of range, negative noise.
        InterruptedRunError: asked to stop; nothing is kept.
    """
    noise = task.demo_noise if noise is None else noise
    if not 0.0 <= noise <= 1.0:
        raise UsageError(f"--noise {noise}: must be within 0 to 1")
    seed_range(first_seed, num_episodes)
    episodes = range(num_episodes)
    chunks = [episodes[start : start + UNIT_EPISODES] for start in episodes[::UNIT_EPISODES]]
    units = [_Unit(task.task_id, first_seed, noise, seed, chunk) for chunk in chunks]
    progress.start("demonstrations", num_episodes)
    records = map_units(
        _collect_unit, units, workers, progress, unit_sizes=[len(chunk) for chunk in chunks]
    )
    return _join(task, [record for chunk in records for record in chunk])


def _collect_unit(unit: _Unit) -> list[EpisodeRecord]:
    return list(_collect(unit))


def _collect(unit: _Unit) -> Iterator[EpisodeRecord]:
    task = get_task(unit.task_id)
    simulation = process_simulation(task)
    for k in unit.episodes:
        rng = numpy_generator(unit.seed, "demos", k)
        reset_seed = unit.first_seed + k
        yield collect_episode(simulation, task.expert, reset_seed, unit.noise, rng, task.horizon)


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

    The numbers are float32 values, so that they survive any artifact unchanged; no standard
    deviation is below ``MIN_OBS_STD``.
    """
    mean = observations.mean(axis=0, dtype=np.float64).astype(np.float32)
    std = observations.std(axis=0, dtype=np.float64).clip(MIN_OBS_STD).astype(np.float32)
    return PolicyInterface(
        task=task.task_id,
        control_mode=task.control_mode,
        obs_dim=task.obs_dim,
        act_dim=task.act_dim,
        horizon=task.horizon,
        obs_mean=tuple(mean.tolist()),
        obs_std=tuple(std.tolist()),
    )
