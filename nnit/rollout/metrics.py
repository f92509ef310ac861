"""What is reported of episodes: success with a 95 % Wilson interval."""

import math
from collections.abc import Sequence
from typing import NamedTuple

Z_95 = 1.959963984540054  # the standard normal's 0.975 quantile


class Interval(NamedTuple):
    """A confidence interval of a proportion."""

    low: float
    high: float


def wilson_interval(successes: int, trials: int) -> Interval:
    """Return the 95 % Wilson score interval of ``successes / trials``.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    Raises:
        ValueError: ``trials`` is below 1 or ``successes`` is not within 0 to ``trials``.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials")
    share = successes / trials
    denominator = 1 + Z_95**2 / trials
    centre = (share + Z_95**2 / (2 * trials)) / denominator
    half = Z_95 * math.sqrt(share * (1 - share) / trials + Z_95**2 / (4 * trials**2)) / denominator
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return Interval(low, high)


class Episode(NamedTuple):
    """One evaluation episode. ``episode_return`` counts the control steps in success."""

    episode_ix: int
    seed: int
    success_once: bool
    success_at_end: bool
    episode_return: float  # sum of the sparse reward: control steps spent in success
    episode_len: int  # control steps


class Evaluation(NamedTuple):
    """All episodes of one network."""

    name: str  # unique within the rollouts, such as "sample-0000" or "ghn-64x64"
    source: str  # what made the network: "sample", "ghn", "zoo", "cloned", "expert"
    hidden_dims: tuple[int, ...]  # empty for an expert
    kind: str  # "unseen_combo", ..., or "train" or "" where it is not known
    episodes: tuple[Episode, ...]

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
        """95 % Wilson interval of ``success_once``."""
        successes = sum(episode.success_once for episode in self.episodes)
        return wilson_interval(successes, len(self.episodes))


def summarise_episode(episode_ix: int, seed: int, success: Sequence[bool]) -> Episode:
    """Report an episode by its success after each of its control steps."""
    return Episode(
        episode_ix=episode_ix,
        seed=seed,
        success_once=any(success),
        success_at_end=bool(success[-1]),
        episode_return=float(sum(success)),
        episode_len=len(success),
    )
