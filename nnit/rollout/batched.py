"""Evaluate policies in ManiSkill's own environment, many episodes at a time on a GPU.

Each environment of the batch runs one episode of one network; neighbouring environments run the
same network, so that a control step takes one batched forward pass per network and one physics
step for all.

On the GPU, ManiSkill draws the initial states of a whole batch from its first seed, and the
physics is not repeatable to the bit: episode ``i`` there is not episode ``i`` of the CPU.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nnit.errors import InterruptedRunError, ResourceError, UsageError
from nnit.mlp import PolicyInterface, split_layers
from nnit.progress import Progress, silent
from nnit.rollout.episodes import EvaluationRequest
from nnit.rollout.metrics import Episode, Evaluation, summarise_episode
from nnit.tasks.registry import get_task
from nnit.tasks.seeds import EVALUATION_FIRST_SEED, seed_range
from nnit.tasks.simulation import make_environment, quiet_simulator

MAX_ENVS = 2048  # environments stepped together


class _Item(NamedTuple):
    """One episode of one network."""

    network: int
    episode_ix: int
    seed: int


class _TorchPolicy:
    """An MLP with its interface on a device, for batches of raw observations."""

    def __init__(
        self, interface: PolicyInterface, request: EvaluationRequest, device: torch.device
    ) -> None:
        spec = interface.spec(request.hidden_dims)
        self._layers = [
            (torch.tensor(weight, device=device), torch.tensor(bias, device=device))
            for weight, bias in split_layers(spec, request.weights)
        ]
        self._mean = torch.tensor(interface.obs_mean, device=device)
        self._std = torch.tensor(interface.obs_std, device=device)
        self._interface = interface

    def __call__(self, observations: Tensor) -> Tensor:
        """Return actions ``(E, act_dim)`` for observations ``(E, obs_dim)``."""
        obs_clip, action_clip = self._interface.obs_clip, self._interface.action_clip
        x = ((observations - self._mean) / self._std).clamp(-obs_clip, obs_clip)
        for weight, bias in self._layers[:-1]:
            x = torch.relu(torch.nn.functional.linear(x, weight, bias))
        x = torch.nn.functional.linear(x, *self._layers[-1])
        return torch.nan_to_num(x.clamp(-action_clip, action_clip))


def evaluate_batched(
    networks: Sequence[EvaluationRequest],
    interface: PolicyInterface,
    num_episodes: int,
    first_seed: int = EVALUATION_FIRST_SEED,
    progress: Progress = silent,
    *,
    sim_backend: str = "physx_cuda",
    num_envs: int = MAX_ENVS,
) -> list[Evaluation]:
    """Evaluate networks of one task, ``num_envs`` episodes at a time.

    Args:
        networks: The networks.
        interface: The task, the scaling of observations and the horizon.
        num_episodes: Episodes of each network.
        first_seed: Seed of the first episode; the others follow.
        progress: Counts episodes.
        sim_backend: ``physx_cuda``; ``physx_cpu`` gives the outcomes of ``evaluate_networks``,
            slowly.
        num_envs: Environments stepped together; 1 with ``physx_cpu``.

    Returns:
        One evaluation per network, in the order given.

    Raises:
        UsageError: unknown task or one that ManiSkill doesn't simulate, no episode, seeds out of
            range, many environments on a CPU.
        ResourceError: no CUDA device.
        InterruptedRunError: asked to stop; nothing is kept.
    """
    require_backend(sim_backend)
    task = get_task(interface.task)
    if not task.on_gpu:
        raise UsageError(f"--sim-backend {sim_backend}: {task.task_id} has no simulation there")
    items = [
        _Item(network, episode_ix, seed)
        for network in range(len(networks))
        for episode_ix, seed in enumerate(seed_range(first_seed, num_episodes))
    ]
    num_envs = max(1, min(num_envs, len(items)))
    environment = make_environment(task, sim_backend, num_envs).unwrapped
    policies = [_TorchPolicy(interface, request, environment.device) for request in networks]
    progress.start("episodes", len(items))
    episodes: list[list[Episode]] = [[] for _ in networks]
    for start in range(0, len(items), num_envs):
        _raise_if_stopped(progress, start, len(items))
        batch = items[start : start + num_envs]
        success = _run_batch(environment, policies, batch, interface.horizon)
        for column, item in enumerate(batch):
            flags = success[:, column].tolist()
            episodes[item.network].append(summarise_episode(item.episode_ix, item.seed, flags))
        progress.advance(len(batch))
    environment.close()
    return [
        Evaluation(network.name, network.source, tuple(network.hidden_dims), network.kind, tuple(e))
        for network, e in zip(networks, episodes, strict=True)
    ]


def require_backend(sim_backend: str) -> None:
    """Make sure that the physics can run where it is asked to.

    Raises:
        ResourceError: on a GPU, and there is none.
    """
    if sim_backend == "physx_cuda" and not torch.cuda.is_available():
        raise ResourceError(
            "--sim-backend physx_cuda: torch finds no CUDA device; use --sim-backend physx_cpu"
        )


def _raise_if_stopped(progress: Progress, done: int, total: int) -> None:
    signal_number = progress.stop_signal()
    if signal_number:
        raise InterruptedRunError(signal_number, f"stopped after {done} of {total} episodes")


def _run_batch(
    environment: Any,  # noqa: ANN401 - mani_skill is not typed
    policies: list[_TorchPolicy],
    batch: list[_Item],
    horizon: int,
) -> Tensor:
    """Run one episode per item; returns success ``(T, len(batch))``, bool, on the CPU.

    Environments beyond the batch, in the last round, stand still.
    """
    num_envs = environment.num_envs
    seeds = [item.seed for item in batch] + [batch[-1].seed] * (num_envs - len(batch))
    slices = _network_slices(batch)
    success = []
    with torch.no_grad(), quiet_simulator():
        observations, _ = environment.reset(seed=seeds, options={"reconfigure": num_envs == 1})
        for _ in range(horizon):
            actions = observations.new_zeros((num_envs, environment.single_action_space.shape[0]))
            for network, envs in slices:
                actions[envs] = policies[network](observations[envs])
            observations, _, _, _, info = environment.step(actions)
            success.append(info["success"][: len(batch)].clone())
    return torch.stack(success).cpu()


def _network_slices(batch: list[_Item]) -> list[tuple[int, slice]]:
    """Return which environments run which network."""
    slices, start = [], 0
    for network, group in groupby(batch, key=lambda item: item.network):
        end = start + len(list(group))
        slices.append((network, slice(start, end)))
        start = end
    return slices
