"""The tasks that nnit knows: their dimensions, horizon and expert. Imports no simulator."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nnit.errors import UsageError
from nnit.tasks import experts


@dataclass(frozen=True)
class Task:
    """A ManiSkill3 task with state observations."""

    task_id: str
    control_mode: str
    obs_dim: int
    act_dim: int
    horizon: int  # control steps of an episode, ManiSkill's registered max_episode_steps
    demo_noise: float  # standard deviation of action noise while collecting demonstrations
    expert: Callable[[np.ndarray], np.ndarray]  # (obs_dim,) raw -> (act_dim,) in [-1, 1]


TASKS = {
    task.task_id: task
    for task in (
        Task("PushCube-v1", "pd_ee_delta_pos", 35, 4, 50, 0.1, experts.push_cube),
        Task("PickCube-v1", "pd_ee_delta_pos", 42, 4, 50, 0.3, experts.pick_cube),
        Task("StackCube-v1", "pd_ee_delta_pos", 48, 4, 50, 0.02, experts.stack_cube),
    )
}


def get_task(task_id: str) -> Task:
    """Return a task by its id, such as ``PushCube-v1``.

    Raises:
        UsageError: no such task; the line holds the nearest id and all known ones.
    """
    if task_id in TASKS:
        return TASKS[task_id]
    by_lower_case = {known.lower(): known for known in TASKS}
    nearest = difflib.get_close_matches(task_id.lower(), by_lower_case, n=1, cutoff=0.5)
    hint = f"did you mean {by_lower_case[nearest[0]]}? " if nearest else ""
    raise UsageError(f"--task {task_id}: unknown task; {hint}Known tasks: {', '.join(TASKS)}")
