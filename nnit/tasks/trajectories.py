"""Demonstrations from ManiSkill's own trajectory files: ``NAME.h5`` and ``NAME.json``."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnit.demos import Demos
from nnit.errors import DamagedArtifactError, UsageError, WrongKindError
from nnit.opening import read_bounded
from nnit.task_ids import is_stored_task_id
from nnit.tasks import hdf5
from nnit.tasks.collect import policy_interface
from nnit.tasks.maniskill_any import ActionBounds, official_environment, task_name
from nnit.tasks.registry import TASKS, get_task
from nnit.tasks.seeds import MAX_SEED
from nnit.tasks.task import Task

MAX_HEADER_BYTES = 2**24  # some 80,000 episodes
MAX_NUMBER = 2**31 - 1


class TrajectoryFile(NamedTuple):
    """What a pair of files says: the task, and its episodes one after the other."""

    task: Task
    observations: np.ndarray  # (N, obs_dim) float32, before each action
    actions: np.ndarray  # (N, act_dim) float32, within [-1, 1]
    lengths: np.ndarray  # (E,) steps of each episode
    success_once: np.ndarray  # (E,) bool
    success_at_end: np.ndarray  # (E,) bool
    seeds: np.ndarray  # (E,) int64


def read_trajectories(path: Path) -> TrajectoryFile:
    """Read a pair of files, as ManiSkill's replay tool and ``nnit rollout --trajectories`` write.

    Args:
        path: The ``.h5`` file; the ``.json`` of the same name lies beside it.

    Raises:
        MissingArtifactError: one of the files is not there.
        DamagedArtifactError: not such files, arrays of other sizes, or NaN.
        WrongKindError: observations that are not states.
        UsageError: a task or control mode that ManiSkill doesn't have.
    """
    header_path = path.with_suffix(".json")
    header = read_header(header_path)
    task = task_of(header_path, header)
    observations, actions, successes = _read_arrays(path, header.numbers, task)
    with _of_the_file(header_path):
        bounds = ActionBounds(official_environment(task_name(header.env_id, task.control_mode)))
    return TrajectoryFile(
        task,
        np.concatenate(observations),
        bounds.inner(np.concatenate(actions)),
        np.array([len(one) for one in actions], np.int64),
        np.array([one.any() for one in successes], bool),
        np.array([one[-1] for one in successes], bool),
        np.array(header.seeds, np.int64),
    )


class Header(NamedTuple):
    """What the ``.json`` says."""

    env_id: str
    control_mode: str
    numbers: list[int]  # of the episodes, all different
    seeds: list[int]  # of their resets


def read_header(path: Path) -> Header:
    """Read the ``.json`` of a pair of files.

    Raises:
        MissingArtifactError: it is not there.
        DamagedArtifactError: not such a file, or numbers that no episode has.
        WrongKindError: several control modes.
    """
    data = read_bounded(path, MAX_HEADER_BYTES)
    try:
        header = json.loads(data, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise DamagedArtifactError(f"{path}: is not JSON: {error}") from None
    try:
        env_id, episodes = header["env_info"]["env_id"], list(header["episodes"])
        modes = {episode["control_mode"] for episode in episodes}
        seeds = [_whole(episode["episode_seed"], MAX_SEED) for episode in episodes]
        numbers = [_whole(episode["episode_id"], MAX_NUMBER) for episode in episodes]
        if not all(isinstance(text, str) for text in (env_id, *modes)):
            raise TypeError("env_id or control_mode: expected text")
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedArtifactError(f"{path}: {type(error).__name__}: {error}") from None
    if not numbers:
        raise DamagedArtifactError(f"{path}: has no episodes")
    if len(set(numbers)) < len(numbers):
        raise DamagedArtifactError(f"{path}: has an episode_id twice")
    if len(modes) != 1:
        shown = sorted(map(ascii, modes))[:4]
        raise WrongKindError(
            f"{path}: found control modes {', '.join(shown)}, expected one for all episodes"
        )
    return Header(env_id, modes.pop(), numbers, seeds)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key twice")
    return found


def _whole(value: object, largest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= largest:
        raise ValueError(f"found {ascii(value)[:40]}, expected a whole number of 0 to {largest}")
    return value


def task_of(path: Path, header: Header) -> Task:
    """Return the task of an environment in a control mode: nnit's own where it has that.

    Raises:
        WrongKindError: ManiSkill does not have it.
        MissingArtifactError: its assets are not downloaded.
    """
    env_id, control_mode = header.env_id, header.control_mode
    if env_id in TASKS and TASKS[env_id].control_mode == control_mode:
        return TASKS[env_id]
    name = task_name(env_id, control_mode)
    if not is_stored_task_id(name):
        raise WrongKindError(
            f"{path}: found env_id {ascii(env_id)[:80]} and control_mode "
            f"{ascii(control_mode)[:80]}, expected a task of ManiSkill and one of its control modes"
        )
    with _of_the_file(path):
        return get_task(name)


@contextmanager
def _of_the_file(path: Path) -> Iterator[None]:
    """Say that a task that is not found is that of a file, not of a flag."""
    try:
        yield
    except UsageError as error:
        raise WrongKindError(f"{path}: {str(error).removeprefix('--task ')}") from None


def demos_of(file: TrajectoryFile) -> Demos:
    """Return the episodes as demonstrations."""
    return Demos(
        observations=file.observations,
        actions=file.actions,
        episode_ends=np.cumsum(file.lengths),
        success_once=file.success_once,
        success_at_end=file.success_at_end,
        seeds=file.seeds,
        interface=policy_interface(file.task, file.observations),
    )


def _read_arrays(
    path: Path, numbers: list[int], task: Task
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Read observations before each action, actions, and success after each of every episode."""
    columns: tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]] = ([], [], [])
    with hdf5.open_file(path) as source:
        for number in numbers:
            where = f"{path}: traj_{number}"
            group = source.group(f"traj_{number}")
            if group is None:
                raise DamagedArtifactError(f"{path}: has no traj_{number}, which the .json lists")
            for column, array in zip(columns, _read_episode(where, group, task), strict=True):
                column.append(array)
    return columns


def _read_episode(
    where: str, group: hdf5.Group, task: Task
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    names = ("obs", "actions", "success")
    obs, actions, success = (group.array(name) for name in names)
    if obs is None:
        raise WrongKindError(
            f"{where}: has no state observations; make them with `python -m "
            "mani_skill.trajectory.replay_trajectory --traj-path FILE.h5 --obs-mode state "
            "--save-traj`"
        )
    if actions is None or success is None:
        missing = "actions" if actions is None else "success"
        raise DamagedArtifactError(f"{where}: {missing} is missing, or no array")
    steps = actions.shape[0] if actions.shape else 0
    shapes = ((steps + 1, task.obs_dim), (steps, task.act_dim), (steps,))
    for name, array, shape in zip(names, (obs, actions, success), shapes, strict=True):
        if array.shape != shape or not steps:
            raise DamagedArtifactError(f"{where}: {name}: found {array.shape}, expected {shape}")
    found = obs.read(np.float32), actions.read(np.float32), success.read(np.bool_)
    for name, array in zip(names, found, strict=True):
        if not np.isfinite(array).all():
            raise DamagedArtifactError(f"{where}: {name}: holds NaN or infinity")
    return found[0][:-1], found[1], found[2]
