"""What is reported of episodes: success with 95 % intervals, and cloning losses."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, stdtrit

from nnit.seeding import numpy_generator

Z_95 = 1.959963984540054  # the standard normal's 0.975 quantile
RESAMPLES = 2_000
TAIL = 0.025  # of them, on either side


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


class Tally(NamedTuple):
    """Successes of all episodes of one architecture."""

    successes: int
    trials: int


def bootstrap_interval(tallies: Sequence[Tally], tail: float = TAIL) -> Interval:
    """Return the 95 % percentile bootstrap over architectures of the share of successes.

    Episodes of one architecture share its luck, so that all of them together say less than as many
    independent ones. Here whole architectures are drawn with replacement, 2,000 times and the same
    ones in every run. Of one architecture this says nothing: both bounds are its share.

    The bounds are order statistics of whole numbers divided once, and the draws are raw words of
    the generator, so that every version of numpy gives the same ones.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13.

    Args:
        tallies: One for each architecture.
        tail: Share of the resamples beyond each bound.

    Raises:
        ValueError: no architecture, or one without a trial.
    """
    if not tallies or any(trials < 1 for _, trials in tallies):
        raise ValueError(f"{list(tallies)}: each architecture needs a trial")
    counts = np.array(tallies, np.int64)  # (A, 2)
    words = numpy_generator(0, "bootstrap over architectures").bit_generator
    raw = words.random_raw(RESAMPLES * len(counts)) >> np.uint64(32)  # type: ignore[attr-defined]
    drawn = (raw * np.uint64(len(counts))) >> np.uint64(32)
    sums = counts[drawn.astype(np.int64)].reshape(RESAMPLES, len(counts), 2).sum(axis=1)
    shares = sorted(successes / trials for successes, trials in sums.tolist())
    beyond = max(1, round(RESAMPLES * tail))
    return Interval(shares[beyond - 1], shares[-beyond])


def expanded_tail(count: int) -> float:
    """Return the tail of a percentile bootstrap of ``count`` architectures that is 95 % in truth.

    Of few values the plain one is too narrow: a resample varies less than a new sample would, and a
    normal quantile stands where Student's belongs.

    Source: Hesterberg 2015, "What Teachers Should Know About the Bootstrap", section 5.3.
    """
    if count < 2:
        return TAIL
    student = stdtrit(count - 1, 1 - TAIL)
    return float(ndtr(-math.sqrt(count / (count - 1)) * student))


def wider(one: Interval, other: Interval) -> Interval:
    """Return the wider of two intervals: the one that a comparison may use."""
    return max(one, other, key=lambda interval: interval.high - interval.low)


def interval_over_architectures(tallies: Sequence[Tally]) -> Interval:
    """Return the wider of the pooled Wilson interval and the bootstrap over architectures.

    Args:
        tallies: One for each architecture.
    """
    pooled = Tally(sum(t.successes for t in tallies), sum(t.trials for t in tallies))
    return wider(wilson_interval(*pooled), bootstrap_interval(tallies, expanded_tail(len(tallies))))


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
        """95 % Wilson interval of ``success_once``."""
        successes = sum(episode.success_once for episode in self.episodes)
        return wilson_interval(successes, len(self.episodes))


def tallies_by_architecture(evaluations: Sequence[Evaluation]) -> list[Tally]:
    """Count successes for each architecture, its networks together."""
    outcomes: dict[tuple[int, ...], list[bool]] = {}
    for evaluation in evaluations:
        successes = [episode.success_once for episode in evaluation.episodes]
        outcomes.setdefault(evaluation.hidden_dims, []).extend(successes)
    return [Tally(sum(one), len(one)) for one in outcomes.values()]


def pooled_tally(evaluations: Sequence[Evaluation]) -> Tally:
    """Count successes over all episodes of all networks."""
    tallies = tallies_by_architecture(evaluations)
    return Tally(sum(t.successes for t in tallies), sum(t.trials for t in tallies))


def comparison_interval(evaluations: Sequence[Evaluation]) -> Interval:
    """Return ``interval_over_architectures`` of networks, those of one architecture together."""
    return interval_over_architectures(tallies_by_architecture(evaluations))


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
