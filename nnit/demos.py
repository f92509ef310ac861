"""Demonstrations: what an expert saw and did."""

import hashlib
from dataclasses import dataclass

import numpy as np

from nnit.mlp import PolicyInterface


@dataclass(frozen=True)
class Demos:
    """Expert transitions of whole episodes, one after the other.

    Labels are the expert's clean actions; the executed actions had noise added (DART, Laskey
    et al. 2017, arXiv:1703.09327), so that the data holds recoveries.
    """

    observations: np.ndarray  # (N, obs_dim) float32, raw
    actions: np.ndarray  # (N, act_dim) float32, in [-1, 1]
    episode_ends: np.ndarray  # (E,) int64, cumulative; the last is N
    success_once: np.ndarray  # (E,) bool, of the noisy episode
    success_at_end: np.ndarray  # (E,) bool
    seeds: np.ndarray  # (E,) int64, reset seed of each episode
    interface: PolicyInterface
    input_dropout: float = 0.0  # share of an observation that is hidden while networks learn

    @property
    def reset_seeds(self) -> frozenset[int]:
        """The reset seeds of the episodes."""
        return frozenset(self.seeds.tolist())

    def seeds_by_content(self) -> dict[bytes, int]:
        """Return the reset seed of each episode, by a digest of what was observed in it."""
        episodes = np.split(self.observations, self.episode_ends[:-1])
        digests = [hashlib.sha256(one.tobytes()).digest() for one in episodes]
        return dict(zip(digests, self.seeds.tolist(), strict=True))
