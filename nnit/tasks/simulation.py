"""ManiSkill3 environments: the official one, and a direct path through the same physics.

The official ``env.step`` spends some 85 % of its time on torch tensors with a batch of one.
``DirectSimulation`` makes the same calls into the physics engine and the same float32
arithmetic without them; observations and success are equal to the bit, which a test holds.
"""

import functools
import gc
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from nnit.errors import UsageError
from nnit.tasks.controller import bind_controller
from nnit.tasks.direct_tasks import bind_observer
from nnit.tasks.task import Observed, Task
from nnit.tasks.vulkan import (
    genuine_materials,
    require_render_device,
    stand_in_for_materials,
)


@contextmanager
def quiet_simulator() -> Iterator[None]:
    """Silence four warnings that concern neither the user nor nnit.

    sapien reports on import that the system has no libvulkan, but nothing is rendered;
    ManiSkill's official ``step`` calls numpy on a torch tensor in a way that numpy 2 deprecates,
    and it logs through a method that Python deprecates; bounds of actions of some tasks are given
    in float64, and kept in float32.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Failed to find system libvulkan", UserWarning)
        warnings.filterwarnings("ignore", "__array_wrap__ must accept", DeprecationWarning)
        warnings.filterwarnings("ignore", "The 'warn' method", DeprecationWarning)
        warnings.filterwarnings("ignore", ".*Box (low|high)'s precision lowered", UserWarning)
        yield


def _concerns_the_user(record: logging.LogRecord) -> bool:
    """Drop what ManiSkill's own tasks cause it to log whenever a scene is built."""
    return not record.getMessage().startswith("No initial pose set for ")


@functools.cache
def import_simulator() -> None:
    """Import ManiSkill, which registers its tasks, to be used without Vulkan unless it draws."""
    with quiet_simulator():
        import mani_skill.envs  # registers the tasks
    mani_skill.logger.addFilter(_concerns_the_user)
    stand_in_for_materials()


@functools.cache
def prepare_process() -> None:
    """Import the simulator and take what exists by then out of garbage collection.

    ManiSkill calls ``gc.collect()`` whenever it rebuilds a scene, which takes some 100 ms with
    all of torch to walk through and 1 ms without. Called in processes that run many episodes;
    works once a process.
    """
    import_simulator()
    gc.collect()
    gc.freeze()


def make_environment(
    task: Task,
    sim_backend: str = "physx_cpu",
    num_envs: int = 1,
    reward_mode: str = "none",
    *,
    filmed: bool = False,
) -> Any:  # noqa: ANN401
    """Make ManiSkill's own environment with state observations.

    Args:
        task: The task.
        sim_backend: ``physx_cpu``, or ``physx_cuda`` for many environments on a GPU.
        num_envs: Environments stepped together; 1 with ``physx_cpu``.
        reward_mode: ``none``, or ``normalized_dense``.
        filmed: It can draw itself, which takes a Vulkan device; else nothing is rendered.

    Raises:
        UsageError: ``physx_cpu`` with more than one environment.
        ResourceError: nothing to draw with.
    """
    if sim_backend == "physx_cpu" and num_envs != 1:
        raise UsageError(f"physx_cpu simulates one environment at a time, not {num_envs}")
    import_simulator()
    if filmed:
        require_render_device()
    import gymnasium

    with quiet_simulator(), genuine_materials() if filmed else nullcontext():
        return gymnasium.make(
            task.task_id,
            obs_mode="state",
            control_mode=task.control_mode,
            reward_mode=reward_mode,
            render_mode="rgb_array" if filmed else None,
            render_backend=_render_backend() if filmed else "none",
            sim_backend=sim_backend,
            num_envs=num_envs,
        )


def _render_backend() -> str:
    import torch

    return "gpu" if torch.cuda.is_available() else "cpu"


class DirectSimulation:
    """One episode of a task at a time, on the CPU, without the history of earlier ones.

    Physics engines carry contact caches from one episode to the next, so that a plain reset
    gives results that depend on what ran before. Every reset here rebuilds the scene, and an
    episode depends on its seed and actions alone.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self._environment = make_environment(task).unwrapped

    def reset(self, seed: int) -> np.ndarray:
        """Rebuild the scene, place the objects by ``seed``; return the observation (obs_dim,)."""
        import torch

        with torch.inference_mode(), quiet_simulator():
            self._environment.reset(seed=seed, options={"reconfigure": True})
        self._controller = bind_controller(self.task, self._environment)
        self._observe = bind_observer(self.task, self._environment)
        self._physics_step = self._environment.scene.px.step
        self._substeps = self._environment._sim_steps_per_control
        return self._observe().observation

    def step(self, action: np.ndarray) -> Observed:
        """Simulate one control step (0.05 s) with an action ``(act_dim,)`` float32."""
        self._controller.apply(action)
        for _ in range(self._substeps):
            self._physics_step()
        return self._observe()


class RewardedSimulation:
    """Episodes of ManiSkill's own environment with its dense reward, from 0 to 1 a step.

    Six times slower than ``DirectSimulation``. Nothing that is reported comes from here, only what
    a policy learns by; resets rebuild the scene all the same, so that training is repeatable.
    """

    def __init__(self, task: Task) -> None:
        self._environment = make_environment(task, reward_mode="normalized_dense").unwrapped

    def reset(self, seed: int) -> np.ndarray:
        """Rebuild the scene, place the objects by ``seed``; return the observation (obs_dim,)."""
        with quiet_simulator():
            observation, _ = self._environment.reset(seed=seed, options={"reconfigure": True})
        return observation[0].numpy()

    def step(self, action: np.ndarray) -> Observed:
        """Simulate one control step."""
        with quiet_simulator():
            observation, reward, _, _, info = self._environment.step(action)
        success = bool(info["success"][0])
        return Observed(observation[0].numpy(), success, float(reward[0]))
