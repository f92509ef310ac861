"""Environments of Gymnasium as tasks: ``gym:CartPole-v1``.

Observations are a flat Box. Actions are a bounded Box, whose bounds [-1, 1] stand for, or Discrete,
which makes them classes. An episode succeeds if its return reaches the environment's reward
threshold; that shows at its end.
"""

import functools
import warnings
from typing import Any

import numpy as np

from nnit.errors import UsageError
from nnit.mlp import ACTION, CLASS
from nnit.task_ids import GYM_PREFIX
from nnit.tasks import gymnasium_experts
from nnit.tasks.task import Expert, FilmedSimulation, Observed, Simulation, Task

THRESHOLDS = {"Pendulum-v1": -250.0}  # where Gymnasium names none: ours
EXPERTS: dict[str, Expert] = {
    "CartPole-v1": gymnasium_experts.cart_pole,
    "Pendulum-v1": gymnasium_experts.pendulum,
    "Acrobot-v1": gymnasium_experts.acrobot,
}
DEMO_NOISE = 0.1
FPS = 30  # where Gymnasium names none


class GymSimulation:
    """Episodes of an environment of Gymnasium."""

    def __init__(self, task: Task, **options: Any) -> None:  # noqa: ANN401 - as make takes them
        self._environment = _make(task.task_id, **options)
        self._threshold = _threshold(self._environment)
        self._classes, self._horizon = task.output == CLASS, task.horizon
        if not self._classes:
            space = self._environment.action_space
            self._middle, self._half = (space.high + space.low) / 2, (space.high - space.low) / 2

    def reset(self, seed: int) -> np.ndarray:
        """Begin the episode of a seed."""
        observation, _ = self._environment.reset(seed=seed)
        self._return, self._steps = 0.0, 0
        return np.array(observation, np.float32)  # an environment may go on with its own

    def step(self, action: np.ndarray) -> Observed:
        """Act; success is known when the episode is over.

        It is over where the environment ends or truncates it; at the horizon, where nobody goes on,
        a truncated one is not ``done``: there learning estimates what would have come.
        """
        chosen = int(action.argmax()) if self._classes else self._middle + self._half * action
        observation, reward, ended, truncated, _ = self._environment.step(chosen)
        self._return += float(reward)
        self._steps += 1
        over = ended or truncated
        done = ended or (truncated and self._steps < self._horizon)
        success = over and self._threshold is not None and self._return >= self._threshold
        return Observed(np.array(observation, np.float32), success, float(reward), done)


class FilmedGym(GymSimulation):
    """The same, as Gymnasium draws it."""

    def __init__(self, task: Task) -> None:
        try:
            super().__init__(task, render_mode="rgb_array")
        except TypeError:  # of an environment that knows no such argument
            raise UsageError(f"--video: {task.task_id} draws no pictures") from None
        self._task_id = task.task_id
        self.fps: int = self._environment.metadata.get("render_fps", FPS)
        self.reset(0)
        self.picture()  # Gymnasium looks for what it draws with as late as here

    def picture(self) -> np.ndarray:
        """Draw the environment: ``(height, width, 3)`` uint8."""
        import gymnasium

        try:
            picture = self._environment.render()
        except (gymnasium.error.Error, ImportError) as error:
            first_line = str(error).partition("\n")[0]
            raise UsageError(f"--video: Gymnasium says: {first_line}") from None
        if np.ndim(picture) != 3:
            raise UsageError(f"--video: {self._task_id} draws no pictures")
        return picture


@functools.cache
def gym_task(name: str) -> Task:
    """Return an environment as a task.

    Args:
        name: Such as ``gym:CartPole-v1``; of ``gym:module:Name-v0`` the module is imported, and
            ``gym:Name-v0`` is the task's id.

    Raises:
        UsageError: no such environment, or observations, actions or a horizon that an MLP policy
            has no use for.
    """
    environment = _make(name)
    space = environment.observation_space
    spec = environment.spec
    if type(space).__name__ != "Box" or len(space.shape) != 1:
        raise UsageError(
            f"--task {name}: found observations {_short(space)}, expected a flat Box; images, "
            "Dict and nested spaces are not supported"
        )
    if not spec.max_episode_steps:
        raise UsageError(f"--task {name}: has no max_episode_steps, expected an end to episodes")
    act_dim, output = _actions(name, environment.action_space)
    return Task(
        GYM_PREFIX + spec.id,
        space.shape[0],
        act_dim,
        spec.max_episode_steps,
        _simulate,
        EXPERTS.get(spec.id),
        output=output,
        demo_noise=DEMO_NOISE,
        demo_episodes=100,
        filmed=_film,
        simulator="gymnasium",
    )


def _simulate(task: Task) -> Simulation:
    return GymSimulation(task)


def _film(task: Task) -> FilmedSimulation:
    return FilmedGym(task)


def _make(task_id: str, **options: Any) -> Any:  # noqa: ANN401 - spaces of unknown kind
    import gymnasium

    try:
        with warnings.catch_warnings(action="ignore"):  # the error says what is out of date
            return gymnasium.make(task_id.removeprefix(GYM_PREFIX), **options)
    except (gymnasium.error.Error, ImportError, ValueError) as error:
        first_line = str(error).partition("\n")[0]
        raise UsageError(f"--task {task_id}: Gymnasium says: {first_line}") from None


def _actions(task_id: str, space: Any) -> tuple[int, Any]:  # noqa: ANN401
    if type(space).__name__ == "Discrete" and space.start == 0:
        return int(space.n), CLASS
    if type(space).__name__ == "Box" and len(space.shape) == 1 and space.is_bounded():
        return space.shape[0], ACTION
    raise UsageError(
        f"--task {task_id}: found actions {_short(space)}, expected a flat bounded Box, or "
        "Discrete from 0 on"
    )


def _threshold(environment: Any) -> float | None:  # noqa: ANN401
    spec = environment.spec
    return THRESHOLDS.get(spec.id, spec.reward_threshold)


def _short(space: Any) -> str:  # noqa: ANN401
    return " ".join(str(space).split())[:80]
