"""Advantages of the actions that were taken.

Source: Schulman et al. 2016, "High-dimensional continuous control using generalized advantage
estimation" (arXiv:1506.02438), equations 11 to 16.
"""

from typing import NamedTuple

import numpy as np


class Fragment(NamedTuple):
    """``T`` steps of one policy, one episode after the other."""

    observations: np.ndarray  # (T, obs_dim) float32, raw, before each action
    actions: np.ndarray  # (T, act_dim) float32, as drawn; of classes 1 for the chosen one
    rewards: np.ndarray  # (T,) float64
    next_observations: np.ndarray  # (T, obs_dim) float32, raw, after each action
    ended: np.ndarray  # (T,) bool, nothing comes after this step
    cut: np.ndarray  # (T,) bool, the next row is of another episode; also where it ended
    returns: tuple[float, ...]  # of the episodes that were finished


def advantages(
    rewards: np.ndarray,
    values: np.ndarray,
    next_values: np.ndarray,
    ended: np.ndarray,
    cut: np.ndarray,
    *,
    discount: float,
    decay: float,
) -> np.ndarray:
    """Return the generalised advantage estimates ``(T,)``.

    ``A_t = delta_t + discount * decay * A_(t+1)`` within an episode, with ``delta_t = r_t +
    discount * V(s_(t+1)) - V(s_t)``. Where an episode ended, nothing is to come: ``V(s_(t+1))``
    is 0. Where it was only cut, by the horizon or the end of the fragment, the value stands for
    what would have come.

    Args:
        rewards: ``(T,)``.
        values: Of the states before each action ``(T,)``.
        next_values: Of the states after it ``(T,)``.
        ended: ``(T,)`` bool.
        cut: ``(T,)`` bool; the last is True.
        discount: Of later rewards, gamma.
        decay: Of later differences, lambda.
    """
    differences = rewards + discount * np.where(ended, 0, next_values) - values
    found = np.zeros(len(rewards))
    following = 0.0
    for t in range(len(rewards) - 1, -1, -1):
        following = differences[t] + discount * decay * following * (not cut[t])
        found[t] = following
    return found


def discounted_sums(rewards: np.ndarray, cut: np.ndarray, discount: float) -> np.ndarray:
    """Return, for each step ``(T,)``, the discounted sum of an episode's rewards up to it."""
    sums, before = np.zeros(len(rewards)), 0.0
    for t, reward in enumerate(rewards.tolist()):
        before = before * discount + reward
        sums[t] = before
        before *= not cut[t]
    return sums
