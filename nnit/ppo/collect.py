"""Let policies explore, each in episodes of its own, over processes."""

from typing import NamedTuple

import numpy as np

from nnit.errors import UsageError
from nnit.mlp import ACTION, Architecture, PolicyInterface, forward, split_layers
from nnit.ppo.advantages import Fragment
from nnit.seeding import numpy_generator
from nnit.tasks.registry import get_task, process_simulation
from nnit.tasks.seeds import MAX_SEED
from nnit.tasks.task import Task, TaskRef


class FragmentUnit(NamedTuple):
    """Some steps of one policy, as a unit of work for a process."""

    task: TaskRef
    interface: PolicyInterface  # with the scaling of observations of now
    hidden_dims: Architecture
    weights: np.ndarray  # (num_parameters,) float32
    log_std: np.ndarray  # (act_dim,) float32
    num_steps: int
    seed: int
    path: tuple[int, ...]  # which of the units of this seed it is


def exploring_seeds(task: Task) -> range:
    """Return the reset seeds that episodes begin from, above those evaluated by default.

    Raises:
        UsageError: the task has none there.
    """
    seeds = range(task.demo_first_seed, min(MAX_SEED, task.max_seed + 1))
    if not seeds:
        raise UsageError(
            f"--task {task.task_id}: has no reset seed to explore: max_seed is {task.max_seed}, "
            f"expected at least demo_first_seed, {task.demo_first_seed}"
        )
    return seeds


def explore(unit: FragmentUnit) -> Fragment:
    """Run a policy for a number of steps, one episode after the other.

    Actions are drawn from the policy's distribution, and reset seeds too. The result follows from
    the unit alone.

    Raises:
        UsageError: as ``exploring_seeds``.
    """
    task = get_task(unit.task)
    seeds = exploring_seeds(task)
    simulation = process_simulation(unit.task, shaped=True)
    rng = numpy_generator(unit.seed, "explore", *unit.path)
    layers = split_layers(unit.interface.spec(unit.hidden_dims), unit.weights)
    rows: list[tuple[np.ndarray, np.ndarray, float, np.ndarray, bool, bool]] = []
    returns: list[float] = []
    while len(rows) < unit.num_steps:
        observation = simulation.reset(int(rng.integers(seeds.start, seeds.stop)))
        total = 0.0
        for step in range(1, task.horizon + 1):
            outputs = forward(layers, unit.interface.standardise(observation))
            action = draw(outputs, unit.log_std, unit.interface, rng)
            executed = np.clip(action, -1, 1) if unit.interface.output == ACTION else action
            following, success, reward, ended = simulation.step(executed)
            gained = float(success) if reward is None else reward
            total += gained
            over = ended or step == task.horizon
            cut = over or len(rows) + 1 == unit.num_steps
            rows.append((observation, action, gained, following, ended, cut))
            observation = following
            if over:
                returns.append(total)
            if cut:
                break
    columns = (np.stack([row[k] for row in rows]) for k in range(6))
    return Fragment(*columns, returns=tuple(returns))


def draw(
    outputs: np.ndarray, log_std: np.ndarray, interface: PolicyInterface, rng: np.random.Generator
) -> np.ndarray:
    """Draw an action ``(act_dim,)`` float32 for the outputs ``(act_dim,)`` of a network."""
    if interface.output == ACTION:
        noise = rng.standard_normal(len(outputs)).astype(np.float32)
        return np.asarray(outputs + np.exp(log_std) * noise, np.float32)
    gumbel = rng.gumbel(size=len(outputs))
    return (np.arange(len(outputs)) == (outputs + gumbel).argmax()).astype(np.float32)
