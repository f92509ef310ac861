"""What is reported of episodes: success with 95 % intervals, and cloning losses."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np

from nnit.intervals import Interval, Level, success_interval, wilson_interval


class Episode(NamedTuple):
    """One evaluation episode."""

    episode_ix: int
    seed: int
    success_once: bool
    success_at_end: bool
    episode_return: float  # sum of the rewards; without any, the control steps spent in success
    episode_len: int  # control steps


class Evaluation(NamedTuple):
    """All episodes of one network."""

    name: str  # unique within the rollouts, such as "sample-0000" or "ghn-64x64"
    source: str  # what made the network: "sample", "ghn", "zoo", "cloned", "expert", ...
    hidden_dims: tuple[int, ...]  # empty for an expert
    kind: str  # "unseen_combo", ..., or "train" or "" where it is not known
    episodes: tuple[Episode, ...]
    loss: float | None = None  # cloning loss on demonstrations that nothing was trained on

    @property
    def success_once(self) -> float:
        """Share of the episodes that were in success at any step."""
        return sum(episode.success_once for episode in self.episodes) / len(self.episodes)

    @property
    def success_at_end(self) -> float:
        """Share of the episodes that were in success at the last step."""
        return sum(episode.success_at_end for episode in self.episodes) / len(self.episodes)

    @property
    def interval(self) -> Interval:
        """95 % Wilson interval of ``success_once`` over initial states, of this network alone."""
        return wilson_interval(self.success_once, len(self.episodes))


def reset_seeds(evaluations: Sequence[Evaluation]) -> tuple[int, ...]:
    """Return the seeds of the resets of all networks, in order.

    Raises:
        ValueError: no network, or two that faced different ones.
    """
    found = {tuple(episode.seed for episode in one.episodes) for one in evaluations}
    if len(found) != 1:
        raise ValueError(f"{len(found)} sets of initial states; an interval is over one")
    return found.pop()


def by_shape(evaluations: Sequence[Evaluation]) -> dict[tuple[int, ...], list[Evaluation]]:
    """Return the networks of each shape."""
    groups: dict[tuple[int, ...], list[Evaluation]] = {}
    for one in evaluations:
        groups.setdefault(one.hidden_dims, []).append(one)
    return groups


def success_cells(evaluations: Sequence[Evaluation]) -> np.ndarray:
    """Return ``(S, R)``, the share of the networks of a shape that succeed from a state.

    Raises:
        ValueError: as ``reset_seeds``.
    """
    reset_seeds(evaluations)
    return np.stack(
        [
            np.mean([[episode.success_once for episode in one.episodes] for one in same], axis=0)
            for same in by_shape(evaluations).values()
        ]
    )


def success_level(evaluations: Sequence[Evaluation]) -> Level:
    """Return mean success of networks, and its interval for further shapes, which weigh the same.

    Raises:
        ValueError: as ``reset_seeds``.
    """
    mean = fmean(one.success_once for one in evaluations)
    return Level(mean, success_interval(success_cells(evaluations)))


def summarise_episode(
    episode_ix: int, seed: int, success: Sequence[bool], rewards: Sequence[float] | None = None
) -> Episode:
    """Report an episode by its success, and its reward, after each of its control steps."""
    return Episode(
        episode_ix=episode_ix,
        seed=seed,
        success_once=any(success),
        success_at_end=bool(success[-1]),
        episode_return=float(sum(success)) if rewards is None else math.fsum(rewards),
        episode_len=len(success),
    )
