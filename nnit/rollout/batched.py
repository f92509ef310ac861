"""Evaluate policies in ManiSkill's own environment, many episodes at a time on a GPU.

Each environment of the batch runs one episode of one network; neighbouring environments run the
same network, so that a control step takes one batched forward pass per network and one physics
step for all.

On the GPU, ManiSkill draws the initial states of all environments that are reset together from the
first seed. So the environments of a network are reset apart from others', all alike, and every
network faces the same states. What a task draws while it builds its scene, as the sizes of pegs, is
drawn for each environment from its own seed. Episode ``i`` there is not episode ``i`` of the CPU,
and the physics is not repeatable to the bit.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nnit.cloning import TorchMlp
from nnit.errors import ResourceError, UsageError
from nnit.mlp import PolicyInterface
from nnit.progress import Progress, raise_if_stopped, silent
from nnit.rollout.episodes import EvaluationRequest, UnitKey, UnitResult
from nnit.rollout.metrics import Evaluation, summarise_episode
from nnit.tasks.registry import get_task
from nnit.tasks.seeds import EVALUATION_FIRST_SEED, seed_range
from nnit.tasks.simulation import make_environment, quiet_simulator
from nnit.tasks.task import TaskRef

MAX_ENVS = 2048  # environments stepped together


class Batch(NamedTuple):
    """What is simulated together: the same episodes of some networks."""

    networks: range
    episodes: range


def evaluate_batched(
    networks: Sequence[EvaluationRequest],
    interface: PolicyInterface,
    num_episodes: int,
    first_seed: int = EVALUATION_FIRST_SEED,
    progress: Progress = silent,
    *,
    sim_backend: str = "physx_cuda",
    num_envs: int = MAX_ENVS,
    on_unit: Callable[[UnitKey, UnitResult], None] = lambda *_: None,
    done_units: Mapping[UnitKey, UnitResult] | None = None,
    task: TaskRef | None = None,
) -> list[Evaluation]:
    """Evaluate networks of one task, ``num_envs`` episodes at a time, all in the same ones.

    Args:
        networks: The networks.
        interface: The task, the scaling of observations and the horizon.
        num_episodes: Episodes of each network.
        first_seed: Seed of the first episode; the others follow.
        progress: Counts episodes.
        sim_backend: ``physx_cuda``; ``physx_cpu`` gives the outcomes of ``evaluate_networks``,
            slowly.
        num_envs: Most environments stepped together; 1 with ``physx_cpu``.
        on_unit: Called with what a network did in the episodes of each batch.
        done_units: What an earlier run was told of; batches that are all among it are not run.
        task: Where it is not the one that the interface names.

    Returns:
        One evaluation per network, in the order given.

    Raises:
        UsageError: unknown task or one that ManiSkill doesn't simulate, no episode, seeds out of
            range, many environments on a CPU.
        ResourceError: no CUDA device.
        InterruptedRunError: asked to stop; batches that were run are known to ``on_unit``.
    """
    require_backend(sim_backend)
    simulated = get_task(task or interface.task)
    if not simulated.on_gpu:
        raise UsageError(
            f"--sim-backend {sim_backend}: {simulated.task_id} has no simulation there"
        )
    seeds = seed_range(first_seed, num_episodes)
    batches = plan_batches(len(networks), num_episodes, num_envs)
    each, at_once = len(batches[0].episodes), len(batches[0].networks)
    environment = make_environment(simulated, sim_backend, each * at_once).unwrapped
    policies = [
        TorchMlp(interface, request.hidden_dims, request.weights, environment.device)
        for request in networks
    ]
    results = dict(done_units or {})
    keys = [[UnitKey(networks[k].name, b.episodes.start) for k in b.networks] for b in batches]
    todo = [
        (batch, units)
        for batch, units in zip(batches, keys, strict=True)
        if not results.keys() >= set(units)
    ]
    total = len(networks) * num_episodes
    done = total - sum(len(batch.networks) * len(batch.episodes) for batch, _ in todo)
    progress.start("episodes", total, done)
    try:
        for batch, units in todo:
            raise_if_stopped(progress, f"stopped after {done} of {total} episodes")
            own = [seeds[ix] for ix in batch.episodes]
            acting = [policies[network] for network in batch.networks]
            success = _run_batch(environment, acting, pad_seeds(own, each), interface)
            for row, unit in enumerate(units):
                found = (
                    summarise_episode(ix, seeds[ix], success[:, row * each + column].tolist())
                    for column, ix in enumerate(batch.episodes)
                )
                results[unit] = UnitResult(tuple(found))
                on_unit(unit, results[unit])
            done += len(own) * len(acting)
            progress.advance(len(own) * len(acting))
    finally:
        environment.close()
    starts = sorted({batch.episodes.start for batch in batches})
    return [
        Evaluation(
            network.name,
            network.source,
            tuple(network.hidden_dims),
            network.kind,
            tuple(one for k in starts for one in results[UnitKey(network.name, k)].episodes),
        )
        for network in networks
    ]


def batched_keys(networks: Sequence[EvaluationRequest], num_episodes: int) -> list[UnitKey]:
    """Name what ``evaluate_batched`` tells of."""
    starts = {b.episodes.start for b in plan_batches(len(networks), num_episodes, MAX_ENVS)}
    return [UnitKey(network.name, first) for network in networks for first in sorted(starts)]


def require_backend(sim_backend: str) -> None:
    """Make sure that the physics can run where it is asked to.

    Raises:
        ResourceError: on a GPU, and there is none.
    """
    if sim_backend == "physx_cuda" and not torch.cuda.is_available():
        raise ResourceError(
            "--sim-backend physx_cuda: torch finds no CUDA device; use --sim-backend physx_cpu"
        )


def plan_batches(num_networks: int, num_episodes: int, num_envs: int) -> list[Batch]:
    """Split the episodes of all networks into batches, the first the largest.

    The episodes of a network are split alike for all networks.

    Args:
        num_networks: At least 1.
        num_episodes: Of each network, at least 1.
        num_envs: Most environments of a batch.
    """
    each = min(num_episodes, num_envs)
    at_once = min(num_networks, num_envs // each)
    networks, episodes = range(num_networks), range(num_episodes)
    return [
        Batch(networks[n : n + at_once], episodes[e : e + each])
        for e in episodes[::each]
        for n in networks[::at_once]
    ]


def pad_seeds(seeds: list[int], length: int) -> list[int]:
    """Repeat the last seed, so that as many environments are reset in every batch."""
    return seeds + [seeds[-1]] * (length - len(seeds))


def _run_batch(
    environment: Any,  # noqa: ANN401 - mani_skill is not typed
    policies: Sequence[TorchMlp],
    seeds: list[int],
    interface: PolicyInterface,
) -> Tensor:
    """Run an episode of each seed with each policy.

    Environments of no policy, in the last round, stand still.

    Returns:
        Success ``(T, num_envs)``, bool, on the CPU; the environments of a policy lie together, in
        the order of the seeds.
    """
    num_envs, each, clip = environment.num_envs, len(seeds), interface.action_clip
    everywhere = seeds * (num_envs // each)
    success = []
    with torch.no_grad(), quiet_simulator():
        observations = torch.empty(0)
        if num_envs > 1:
            environment.reset(seed=everywhere, options={"reconfigure": True})
        for own in torch.arange(num_envs, device=environment.device).split(each):
            options = {"env_idx": own, "reconfigure": num_envs == 1}
            observations, _ = environment.reset(seed=everywhere, options=options)
        for _ in range(interface.horizon):
            actions = observations.new_zeros((num_envs, interface.act_dim))
            shares = zip(policies, actions.split(each), observations.split(each), strict=False)
            for policy, acts, seen in shares:
                acts.copy_(torch.nan_to_num(policy(seen).clamp(-clip, clip)))
            observations, _, _, _, info = environment.step(actions)
            success.append(info["success"].clone())
    return torch.stack(success).cpu()
