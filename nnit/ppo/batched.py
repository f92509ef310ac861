"""Let policies explore in ManiSkill's own environment, many environments at a time on a GPU.

Each environment runs one episode of one policy; neighbouring environments run the same policy. All
episodes run to the horizon: an episode that is cut there says nothing about what would have come,
which the critic estimates.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnit.cloning import TorchMlp
from nnit.errors import UsageError
from nnit.ppo.advantages import Fragment
from nnit.ppo.collect import FragmentUnit, exploring_seeds
from nnit.seeding import torch_generator
from nnit.tasks.registry import get_task
from nnit.tasks.simulation import make_environment, quiet_simulator
from nnit.tasks.task import TaskRef


class BatchedExplorer:
    """One simulation of many environments, shared by the policies of an iteration.

    Args:
        task: A task of ManiSkill.
        num_envs: Environments stepped together; 1 with ``physx_cpu``.
        sim_backend: ``physx_cuda``, or ``physx_cpu`` for one environment.

    Raises:
        UsageError: a task that ManiSkill does not simulate, or many environments on a CPU.
    """

    def __init__(self, task: TaskRef, num_envs: int, sim_backend: str = "physx_cuda") -> None:
        self._task = get_task(task)
        if not self._task.on_gpu:
            raise UsageError(
                f"--sim-backend {sim_backend}: {self._task.task_id} has no simulation there"
            )
        self._num_envs = num_envs
        self._environment: Any = make_environment(
            self._task, sim_backend, num_envs, reward_mode="normalized_dense"
        ).unwrapped

    def explore(self, units: Sequence[FragmentUnit]) -> list[Fragment]:
        """Run every unit in its share of the environments, an episode in each.

        Each draws its reset seeds and its noise from a generator of its own: how many units there
        are beside it depends on the number of ranks.

        Raises:
            UsageError: units that do not fill the environments with whole episodes, or as
                ``exploring_seeds``.
        """
        horizon = self._task.horizon
        each = self._num_envs // len(units)
        if each * len(units) != self._num_envs or any(u.num_steps != each * horizon for u in units):
            raise UsageError(
                f"ppo.steps: {self._num_envs} environments of {horizon} steps for "
                f"{len(units)} architectures need {each * horizon} steps of each"
            )
        device = self._environment.device
        policies = [
            TorchMlp(unit.interface, unit.hidden_dims, unit.weights, device) for unit in units
        ]
        deviations = [torch.tensor(unit.log_std, device=device).exp() for unit in units]
        generators = [torch_generator(unit.seed, "explore", *unit.path) for unit in units]
        known = exploring_seeds(self._task)
        drawn = [torch.randint(known.start, known.stop, (each,), generator=g) for g in generators]
        seeds = torch.cat(drawn).tolist()
        rows: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        with torch.no_grad(), quiet_simulator():
            observation, _ = self._environment.reset(seed=seeds)
            for _ in range(horizon):
                shares = observation.split(each)
                noise = torch.cat(
                    [torch.randn((each, self._task.act_dim), generator=g) for g in generators]
                ).to(device)
                parts = zip(policies, shares, deviations, noise.split(each), strict=True)
                actions = torch.cat([act(seen) + width * row for act, seen, width, row in parts])
                following, reward, *_ = self._environment.step(actions.clamp(-1, 1))
                rows.append((observation.clone(), actions, reward.clone(), following.clone()))
                observation = following
        # (T, num_envs, ...) to (num_envs, T, ...): the episodes of an environment lie together.
        columns = [
            torch.stack(column).transpose(0, 1).cpu().numpy() for column in zip(*rows, strict=True)
        ]
        return [
            _fragment([column[k * each : (k + 1) * each] for column in columns])
            for k in range(len(units))
        ]


def _fragment(columns: Sequence[np.ndarray]) -> Fragment:
    """Put the episodes ``(E, T, ...)`` of one policy one after the other."""
    observations, actions, rewards, following = columns
    episodes, horizon = rewards.shape
    cut = np.tile(np.arange(horizon) == horizon - 1, episodes)
    return Fragment(
        observations.reshape(episodes * horizon, -1),
        actions.reshape(episodes * horizon, -1),
        rewards.reshape(-1).astype(np.float64),
        following.reshape(episodes * horizon, -1),
        np.zeros(episodes * horizon, bool),
        cut,
        returns=tuple(rewards.sum(axis=1).tolist()),
    )
