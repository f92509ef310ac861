"""Films of episodes: the same ones that are counted, drawn step by step."""

from typing import NamedTuple

import numpy as np

from nnit.rollout.episodes import Policy, run_trajectory
from nnit.rollout.metrics import Episode
from nnit.tasks.task import FilmedSimulation, Observed


class Film(NamedTuple):
    """One episode as pictures."""

    pictures: tuple[np.ndarray, ...]  # (height, width, 3) uint8: after the reset and each step
    fps: int
    episode: Episode


class _Filming:
    """A simulation that keeps a picture of each moment."""

    def __init__(self, inner: FilmedSimulation) -> None:
        self._inner = inner
        self.pictures: list[np.ndarray] = []

    def reset(self, seed: int) -> np.ndarray:
        observation = self._inner.reset(seed)
        self.pictures.append(self._inner.picture())
        return observation

    def step(self, action: np.ndarray) -> Observed:
        seen = self._inner.step(action)
        self.pictures.append(self._inner.picture())
        return seen


def film_episode(
    simulation: FilmedSimulation, policy: Policy, seed: int, horizon: int, episode_ix: int = 0
) -> Film:
    """Run a policy from one initial state and film it to the horizon, or to its end.

    The episode follows from the seed and the policy alone: it is the one that
    ``evaluate_networks`` counts.
    """
    filming = _Filming(simulation)
    episode = run_trajectory(filming, policy, seed, horizon).episode(episode_ix)
    return Film(tuple(filming.pictures), simulation.fps, episode)
