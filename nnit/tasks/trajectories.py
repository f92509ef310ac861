"""Demonstrations from ManiSkill's own trajectory files: ``NAME.h5`` and ``NAME.json``."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnit.demos import Demos
from nnit.errors import DamagedArtifactError, MissingArtifactError, WrongKindError
from nnit.tasks.collect import policy_interface
from nnit.tasks.maniskill_any import ActionBounds, official_environment, task_name
from nnit.tasks.registry import TASKS, get_task
from nnit.tasks.task import Task


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
    for file in (path, header_path):
        if not file.is_file():
            raise MissingArtifactError(f"{file}: no such file")
    header = _read_header(header_path)
    try:
        env_id, episodes = header["env_info"]["env_id"], list(header["episodes"])
        modes = {episode["control_mode"] for episode in episodes}
        seeds = [int(episode["episode_seed"]) for episode in episodes]
        numbers = [int(episode["episode_id"]) for episode in episodes]
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedArtifactError(f"{header_path}: {type(error).__name__}: {error}") from None
    if len(modes) != 1:
        raise WrongKindError(
            f"{header_path}: found control modes {sorted(modes)}, expected one for all episodes"
        )
    task = task_of(env_id, modes.pop())
    observations, actions, successes = _read_arrays(path, numbers, task)
    bounds = ActionBounds(official_environment(task_name(env_id, task.control_mode)))
    return TrajectoryFile(
        task,
        np.concatenate(observations),
        bounds.inner(np.concatenate(actions)),
        np.array([len(one) for one in actions], np.int64),
        np.array([one.any() for one in successes], bool),
        np.array([one[-1] for one in successes], bool),
        np.array(seeds, np.int64),
    )


def task_of(env_id: str, control_mode: str) -> Task:
    """Return the task of an environment in a control mode: nnit's own where it has that."""
    if env_id in TASKS and TASKS[env_id].control_mode == control_mode:
        return TASKS[env_id]
    return get_task(task_name(env_id, control_mode))


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


def _read_header(path: Path) -> dict[str, Any]:
    try:
        header = json.loads(path.read_text())
    except ValueError as error:
        raise DamagedArtifactError(f"{path}: is not JSON: {error}") from None
    if not isinstance(header, dict) or not header.get("episodes"):
        raise DamagedArtifactError(f"{path}: has no episodes")
    return header


def _read_arrays(
    path: Path, numbers: list[int], task: Task
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Read observations before each action, actions, and success after each of every episode."""
    import h5py

    columns: tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]] = ([], [], [])
    try:
        with h5py.File(path) as file:
            for number in numbers:
                name = f"traj_{number}"
                if name not in file:
                    raise DamagedArtifactError(f"{path}: has no {name}, which the .json lists")
                for column, array in zip(
                    columns, _read_episode(f"{path}: {name}", file[name], task), strict=True
                ):
                    column.append(array)
    except OSError as error:
        raise DamagedArtifactError(f"{path}: is not an HDF5 file: {error}") from None
    return columns


def _read_episode(
    where: str,
    group: Any,  # noqa: ANN401 - h5py is not typed
    task: Task,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    import h5py

    found = group.get("obs")
    if not isinstance(found, h5py.Dataset):
        raise WrongKindError(
            f"{where}: has no state observations; make them with `python -m "
            "mani_skill.trajectory.replay_trajectory --traj-path FILE.h5 --obs-mode state "
            "--save-traj`"
        )
    for name in ("actions", "success"):
        if not isinstance(group.get(name), h5py.Dataset):
            raise DamagedArtifactError(f"{where}: {name} is missing, or no array")
    actions = np.asarray(group["actions"], np.float32)
    observations = np.asarray(found, np.float32)
    success = np.asarray(group["success"], bool)
    steps = len(actions)
    expected = {
        "obs": (observations, (steps + 1, task.obs_dim)),
        "actions": (actions, (steps, task.act_dim)),
        "success": (success, (steps,)),
    }
    for name, (array, shape) in expected.items():
        if array.shape != shape or not steps:
            raise DamagedArtifactError(f"{where}: {name}: found {array.shape}, expected {shape}")
        if not np.isfinite(array).all():
            raise DamagedArtifactError(f"{where}: {name}: holds NaN or infinity")
    return observations[:-1], actions, success
