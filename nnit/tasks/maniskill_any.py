"""Any ManiSkill3 task in any control mode: ``PickCube-v1@pd_joint_delta_pos``.

Through ManiSkill's own environment with state observations: slower than the tasks that nnit has a
direct path for, and without an expert. Actions in [-1, 1] stand for the bounds of the controller.
"""

import functools
import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, NoReturn

import numpy as np

from nnit.errors import MissingArtifactError, NnitError, UsageError
from nnit.task_ids import SEPARATOR
from nnit.tasks.task import FilmedSimulation, Observed, Simulation, Task


def task_name(env_id: str, control_mode: str) -> str:
    """Return the name of a task in a control mode."""
    return f"{env_id}{SEPARATOR}{control_mode}"


class ActionBounds:
    """What actions in [-1, 1] stand for."""

    def __init__(self, environment: Any) -> None:  # noqa: ANN401 - mani_skill is not typed
        space = environment.single_action_space
        self._middle, self._half = (space.high + space.low) / 2, (space.high - space.low) / 2

    def outer(self, action: np.ndarray) -> np.ndarray:
        """Return the environment's action ``(..., act_dim)`` for one in [-1, 1]."""
        return self._middle + self._half * action

    def inner(self, action: np.ndarray) -> np.ndarray:
        """Return the action in [-1, 1] for the environment's; beyond the bounds it is clipped."""
        half = np.where(self._half > 0, self._half, 1)
        return np.clip((action - self._middle) / half, -1, 1).astype(np.float32)


class OfficialSimulation:
    """Episodes of ManiSkill's own environment; each rebuilds the scene."""

    def __init__(self, environment: Any) -> None:  # noqa: ANN401
        self._environment = environment
        self._bounds = ActionBounds(self._environment)

    def reset(self, seed: int) -> np.ndarray:
        """Rebuild the scene and place the objects by ``seed``."""
        from nnit.tasks.simulation import quiet_simulator

        with quiet_simulator():
            observation, _ = self._environment.reset(seed=seed, options={"reconfigure": True})
        return observation[0].numpy()

    def step(self, action: np.ndarray) -> Observed:
        """Simulate one control step."""
        from nnit.tasks.simulation import quiet_simulator

        with quiet_simulator():
            observation, _, _, _, info = self._environment.step(self._bounds.outer(action))
        return Observed(observation[0].numpy(), bool(info["success"][0]))


class FilmedManiSkill(OfficialSimulation):
    """The same, seen by the camera that ManiSkill shows to people."""

    def __init__(self, environment: Any) -> None:  # noqa: ANN401
        super().__init__(environment)
        self.fps: int = environment.control_freq

    def reset(self, seed: int) -> np.ndarray:
        """Rebuild the scene with its colours; return the observation (obs_dim,)."""
        from nnit.tasks.vulkan import genuine_materials

        with genuine_materials():
            return super().reset(seed)

    def picture(self) -> np.ndarray:
        """Draw the scene: ``(512, 512, 3)`` uint8."""
        return self._environment.render()[0].cpu().numpy()


@functools.cache
def maniskill_any(task_id: str) -> Task:
    """Return a task of ManiSkill3 by its name and control mode.

    Raises:
        UsageError: no such task or control mode, a task without success or horizon, or observations
            that are not flat.
        MissingArtifactError: assets that are not downloaded.
    """
    environment = official_environment(task_id)
    spaces = environment.single_observation_space, environment.single_action_space
    if any(type(space).__name__ != "Box" or len(space.shape) != 1 for space in spaces):
        raise UsageError(f"--task {task_id}: expected flat Boxes, found {spaces}")
    if "success" not in environment.get_info():
        raise UsageError(f"--task {task_id}: says nothing of success, which is what is counted")
    horizon = _spec_of(task_id.partition(SEPARATOR)[0]).max_episode_steps
    if not horizon:
        raise UsageError(f"--task {task_id}: has no max_episode_steps, expected an end to episodes")
    observation, action = spaces
    return Task(
        task_id,
        observation.shape[0],
        action.shape[0],
        horizon,
        _simulate,
        control_mode=environment.control_mode,
        filmed=film,
        simulator="mani_skill",
    )


def _simulate(task: Task) -> Simulation:
    from nnit.tasks.simulation import prepare_process

    prepare_process()
    return OfficialSimulation(official_environment(task.task_id))


def film(task: Task) -> FilmedSimulation:
    """Build ManiSkill's own environment of a task, with pictures.

    Raises:
        ResourceError: nothing to draw with.
    """
    env_id = task.task_id.partition(SEPARATOR)[0]
    environment = official_environment(task_name(env_id, task.control_mode), filmed=True)
    return FilmedManiSkill(environment)


def official_environment(task_id: str, *, filmed: bool = False) -> Any:  # noqa: ANN401
    """Make ManiSkill's environment of a name with a control mode, with state observations.

    Raises:
        UsageError: no such task or control mode, or one that can't be made on this machine.
        MissingArtifactError: assets that are not downloaded.
        ResourceError: ``filmed``, with nothing to draw with.
    """
    from nnit.tasks.simulation import make_environment

    env_id, _, control_mode = task_id.partition(SEPARATOR)
    _require_assets(env_id)
    wanted = Task(env_id, 1, 1, 1, _simulate, control_mode=control_mode)
    try:
        with _never_asking(task_id):
            return make_environment(wanted, filmed=filmed).unwrapped
    except NnitError:
        raise
    except Exception as error:  # noqa: BLE001 - of any type where ManiSkill lacks a mode or a device
        detail = " ".join(str(error).split())[:200]
        raise UsageError(f"--task {task_id}: ManiSkill says: {detail}") from None


def _spec_of(env_id: str) -> Any:  # noqa: ANN401
    """Return what ManiSkill's registry says of a task."""
    from nnit.tasks.simulation import import_simulator

    import_simulator()
    from mani_skill.utils.registration import REGISTERED_ENVS

    if env_id not in REGISTERED_ENVS:
        raise UsageError(f"--task {env_id}: ManiSkill has no such task")
    return REGISTERED_ENVS[env_id]


@contextmanager
def _never_asking(task_id: str) -> Iterator[None]:
    """Refuse what ManiSkill would ask on the terminal: whether to download a robot."""
    from mani_skill.utils import download_asset

    def refuse(question: str) -> NoReturn:
        raise MissingArtifactError(
            f"--task {task_id}: needs a robot of ManiSkill that is not here; see "
            "`python -m mani_skill.utils.download_asset --help`"
        )

    ask, download_asset.prompt_yes_no = download_asset.prompt_yes_no, refuse
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        download_asset.prompt_yes_no = ask


def _require_assets(env_id: str) -> None:
    """Refuse a task whose assets are not there; ManiSkill itself would ask on the terminal."""
    spec = _spec_of(env_id)
    from mani_skill.utils import assets

    named = spec.asset_download_ids or []
    sources = [part for name in named for part in assets.DATA_GROUPS.get(name, [name])]
    missing = [name for name in sources if not assets.is_data_source_downloaded(name)]
    if missing:
        raise MissingArtifactError(
            f"--task {env_id}: needs assets of ManiSkill that are not here: {', '.join(missing)}; "
            f"fetch them with `python -m mani_skill.utils.download_asset {named[0]}`"
        )
