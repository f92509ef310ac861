"""Episodes step by step, in ManiSkill's own pair of files ``trajectory.h5`` and ``.json``."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nnit.artifacts.canonical import canonical_file
from nnit.mlp import PolicyInterface

H5_NAME = "trajectory.h5"
JSON_NAME = "trajectory.json"


class Trajectory(NamedTuple):
    """One episode of ``T`` control steps."""

    network: str  # name of the evaluation that it belongs to
    seed: int  # of the reset
    observations: np.ndarray  # (T + 1, obs_dim) float32, raw
    actions: np.ndarray  # (T, act_dim) float32
    success: np.ndarray  # (T,) bool, after each step
    env_states: Mapping[str, np.ndarray] = {}  # "actors/cube" -> (T + 1, size)


def trajectory_files(
    trajectories: Sequence[Trajectory],
    interface: PolicyInterface,
    env_kwargs: Mapping[str, Any],
) -> dict[str, bytes]:
    """Return both files by name; the same trajectories give the same bytes.

    ``mani_skill.trajectory.dataset.ManiSkillTrajectoryDataset`` reads the pair. Evaluation runs
    an episode to the horizon, where ``truncated`` is true, or until the task itself ends it, where
    ``terminated`` is.

    Raises:
        ValueError: an episode whose arrays differ in length.
    """
    header = {
        "env_info": {
            "env_id": interface.task,
            "env_kwargs": dict(env_kwargs),
            "max_episode_steps": interface.horizon,
        },
        "source_type": "nnit",
        "source_desc": "rollouts of generated or trained policy networks",
        "episodes": [
            _episode_json(number, trajectory, interface)
            for number, trajectory in enumerate(trajectories)
        ],
    }
    data = _h5_bytes(trajectories, interface.horizon)
    return {H5_NAME: data, JSON_NAME: canonical_file(header)}


def _episode_json(
    number: int, trajectory: Trajectory, interface: PolicyInterface
) -> dict[str, Any]:
    return {
        "episode_id": number,
        "episode_seed": trajectory.seed,
        "reset_kwargs": {"seed": trajectory.seed},
        "control_mode": interface.control_mode,
        "elapsed_steps": len(trajectory.actions),
        "success": bool(trajectory.success[-1:].any()),
        "network": trajectory.network,
    }


def _h5_bytes(trajectories: Sequence[Trajectory], horizon: int) -> bytes:
    import h5py  # comes with mani_skill; not needed for anything else here

    buffer = io.BytesIO()
    # A fixed format range and no times: the bytes follow from the content alone.
    with h5py.File(buffer, "w", libver=("earliest", "v110")) as file:
        for number, trajectory in enumerate(trajectories):
            group = file.create_group(f"traj_{number}")
            for name, array in _datasets(trajectory, horizon).items():
                group.create_dataset(name, data=array, track_times=False)
    return buffer.getvalue()


def _datasets(trajectory: Trajectory, horizon: int) -> dict[str, np.ndarray]:
    steps = len(trajectory.actions)
    states = {f"env_states/{name}": array for name, array in trajectory.env_states.items()}
    lengths = {"obs": trajectory.observations, **states}
    if len(trajectory.success) != steps or any(len(a) != steps + 1 for a in lengths.values()):
        raise ValueError(f"trajectory of {trajectory.network}: its arrays differ in length")
    last = np.arange(steps) == steps - 1
    whole = steps >= horizon
    return {
        "obs": np.asarray(trajectory.observations, np.float32),
        "actions": np.asarray(trajectory.actions, np.float32),
        "terminated": last & (not whole),
        "truncated": last & whole,
        "success": np.asarray(trajectory.success, bool),
        **states,
    }
