"""Demonstrations that were recorded on a robot, of which nnit has no simulator."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from nnit.demos import Demos
from nnit.errors import DamagedArtifactError, UsageError, WrongKindError
from nnit.mlp import ACTION, MAX_WIDTH, Recorded
from nnit.task_ids import is_stored_task_id
from nnit.tasks.collect import policy_interface
from nnit.tasks.npz import names_of, open_npz, read_member
from nnit.tasks.registry import get_task, is_code, is_known
from nnit.tasks.seeds import DEMOS_FIRST_SEED
from nnit.tasks.task import Simulation, Task, TaskRef

MAX_STEPS = 10**7  # of a recording: 92 hours at 30 Hz
MAX_BYTES = 2**28  # of an array
MOST = 1e30  # of a number, up and down; artifacts hold none beyond
ARRAYS = ("observations", "actions", "episode_ends")  # of a .npz


class Recording(NamedTuple):
    """Whole episodes, one after the other, as they were recorded."""

    observations: np.ndarray  # (N, obs_dim) float32
    actions: np.ndarray  # (N, act_dim) float32, in the robot's units
    episode_ends: np.ndarray  # (E,) int64, cumulative; the last is N
    control_freq: int | None = None  # Hz

    @property
    def longest(self) -> int:
        """The steps of the longest episode."""
        return int(np.diff(self.episode_ends, prepend=0).max())


def read_npz_recording(path: Path) -> Recording:
    """Read a ``.npz`` of ``observations``, ``actions`` and ``episode_ends``; nothing is unpickled.

    Raises:
        MissingArtifactError: nothing is there.
        DamagedArtifactError: not such a file, or arrays that contradict each other.
    """
    with open_npz(path, str(path)) as archive:
        missing = [name for name in ARRAYS if name not in names_of(archive)]
        if missing:
            raise DamagedArtifactError(
                f"{path}: has no {missing[0]}; expected the arrays {', '.join(ARRAYS)}"
            )
        observations, actions, ends = (
            read_member(archive, name, max_rows=MAX_STEPS, max_bytes=MAX_BYTES) for name in ARRAYS
        )
    return checked_recording(path, observations, actions, ends)


def checked_recording(
    path: Path,
    observations: np.ndarray,
    actions: np.ndarray,
    episode_ends: np.ndarray,
    control_freq: int | None = None,
) -> Recording:
    """Return arrays of numbers as a recording.

    Raises:
        DamagedArtifactError: they contradict each other, or hold what is no number; it is named.
    """
    for name, array in (("observations", observations), ("actions", actions)):
        if array.ndim != 2 or len(array) != len(actions) or not 0 < array.shape[1] <= MAX_WIDTH:
            _refuse(
                path, name, f"found shape {array.shape}, expected {len(actions)} rows of numbers"
            )
    steps, is_whole = len(actions), np.issubdtype(episode_ends.dtype, np.integer)
    if not is_whole or episode_ends.ndim != 1 or not len(episode_ends):
        _refuse(path, "episode_ends", "expected a row of whole numbers, one for each episode")
    ends = episode_ends.astype(np.int64)
    if ends[0] < 1 or (np.diff(ends) < 1).any() or ends[-1] != steps:
        _refuse(path, "episode_ends", f"do not rise from 1 or more to the {steps} steps of actions")
    with np.errstate(over="ignore"):
        found = observations.astype(np.float32), actions.astype(np.float32)
    for name, array in zip(ARRAYS[:2], found, strict=True):
        fine = np.abs(array) <= MOST  # which NaN is not
        if not fine.all():
            step, place = np.unravel_index(int(fine.argmin()), fine.shape)
            found_there = f"step {step}: found {array[step, place]:g} at {place}"
            _refuse(path, name, f"{found_there}, expected a number within {MOST:g}")
    seen, done = map(np.ascontiguousarray, found)
    return Recording(seen, done, ends, control_freq)


def _refuse(path: Path, name: str, fault: str) -> NoReturn:
    raise DamagedArtifactError(f"{path}: {name}: {fault}")


def task_of_recording(ref: TaskRef, recording: Recording) -> Task:
    """Return the task of a recording: of a name of the user's own, or as his file defines it.

    Raises:
        UsageError: the name is one of a simulator's tasks, or none that artifacts may hold.
        WrongKindError: the file's task has other observations or actions.
        MissingArtifactError: no such file.
    """
    obs_dim, act_dim = recording.observations.shape[1], recording.actions.shape[1]
    if is_code(ref.name):
        task = get_task(ref)
        found = (obs_dim, act_dim, ACTION)
        if found != (task.obs_dim, task.act_dim, task.output):
            raise WrongKindError(
                f"--task {ref.name}: has {task.obs_dim} numbers of an observation and "
                f"{task.act_dim} of {task.output}; the recording has {obs_dim} and {act_dim}"
            )
        return task
    if is_known(ref.name) or not is_stored_task_id(ref.name):
        fault = "is a simulator's task" if is_known(ref.name) else "is no name"
        raise UsageError(
            f"--task {ref.name}: {fault}; call the task of your robot by a name of its own, up to "
            "100 letters, digits and _ . -, as in --task my-arm"
        )
    return Task(ref.name, obs_dim, act_dim, recording.longest, _no_simulation)


def _no_simulation(task: Task) -> Simulation:
    raise UsageError(f"--task {task.task_id}: was recorded on a robot, and has no simulator")


def demos_of_recording(recording: Recording, task: Task, episodes: Sequence[int]) -> Demos:
    """Return episodes of a recording as demonstrations.

    Actions are scaled to [-1, 1] by the lowest and the highest number of each in these episodes,
    which the interface keeps. Every episode counts as a success. Episode ``k`` has reset seed
    ``DEMOS_FIRST_SEED + k``, which tells episodes of one recording apart, and is none that is
    evaluated by default.

    Args:
        recording: All of it.
        task: Its task.
        episodes: Which, at least one, rising.
    """
    ends = recording.episode_ends
    starts = np.concatenate([[0], ends[:-1]])
    rows = np.concatenate([np.arange(starts[k], ends[k]) for k in episodes])
    observations, actions = recording.observations[rows], recording.actions[rows]
    low, high = actions.min(axis=0).tolist(), actions.max(axis=0).tolist()
    recorded = Recorded(tuple(low), tuple(high), recording.control_freq)
    shown = np.ones(len(episodes), bool)
    return Demos(
        observations=observations,
        actions=recorded.from_units(actions).clip(-1, 1).astype(np.float32),
        episode_ends=np.cumsum((ends - starts)[list(episodes)]),
        success_once=shown,
        success_at_end=shown,
        seeds=DEMOS_FIRST_SEED + np.asarray(episodes, np.int64),
        interface=policy_interface(task, observations)._replace(recorded=recorded),
    )
