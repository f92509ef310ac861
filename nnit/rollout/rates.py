"""How fast the direct path is, beside ManiSkill's official environment under the same protocol."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nnit.engine import ONE_WORKER
from nnit.mlp import Architecture, PolicyInterface
from nnit.parallel import map_units
from nnit.policy import NumpyPolicy
from nnit.rollout.episodes import run_trajectory
from nnit.tasks.registry import get_task, process_simulation
from nnit.tasks.simulation import make_environment, quiet_simulator
from nnit.tasks.task import TaskRef

WARM_UP_EPISODES = 2


class Rates(NamedTuple):
    """Control steps per second of one core, policy and resets included."""

    direct: float
    official: float

    @property
    def ratio(self) -> float:
        """How many times faster the direct path is."""
        return self.direct / self.official


class _Unit(NamedTuple):
    interface: PolicyInterface
    hidden_dims: Architecture
    weights: np.ndarray
    num_episodes: int
    official: bool


def measure_rates(
    interface: PolicyInterface,
    hidden_dims: Architecture,
    weights: np.ndarray,
    num_episodes: int = 20,
) -> Rates:
    """Run the same episodes through both paths, each alone in a fresh process.

    Both rebuild the scene at each reset, so that results don't depend on history. The official
    environment is as it comes: without reward, and without this project's ``prepare_process``,
    which alone would make its resets ten times faster. Rates are per second of CPU time.
    """
    units = [
        _Unit(interface, hidden_dims, weights, num_episodes, official) for official in (False, True)
    ]
    direct, official = (map_units(_measure, [unit], ONE_WORKER)[0] for unit in units)
    return Rates(direct, official)


def _measure(unit: _Unit) -> float:
    policy = NumpyPolicy(unit.interface, unit.hidden_dims, unit.weights)
    run = _official_runner(unit, policy) if unit.official else _direct_runner(unit, policy)
    for seed in range(WARM_UP_EPISODES):
        run(seed)
    started = time.process_time()
    for seed in range(unit.num_episodes):
        run(seed)
    return unit.num_episodes * unit.interface.horizon / (time.process_time() - started)


def _direct_runner(unit: _Unit, policy: NumpyPolicy) -> Callable[[int], None]:
    simulation = process_simulation(TaskRef(unit.interface.task))

    def run(seed: int) -> None:
        run_trajectory(simulation, policy, seed, unit.interface.horizon)

    return run


def _official_runner(unit: _Unit, policy: NumpyPolicy) -> Callable[[int], None]:
    environment = make_environment(get_task(unit.interface.task))

    def run(seed: int) -> None:
        with quiet_simulator():
            observation, _ = environment.reset(seed=seed, options={"reconfigure": True})
            for _ in range(unit.interface.horizon):
                action = policy(observation[0].numpy())
                observation, _, _, _, _ = environment.step(action)

    return run
