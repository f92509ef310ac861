"""Disagreement as an alarm: the band and the measures."""

import numpy as np
import pytest

from nnit.rollout.alarms import ALPHA, Band, Watched, disagreement, fit_band, judge

STEPS = 30

pytestmark = pytest.mark.seconds


def watched(chance, episodes, *, failing=0.0, louder=1.0):
    """Return episodes whose disagreement is noise, and louder in those that fail."""
    failed = chance.random(episodes) < failing
    noise = np.abs(chance.normal(size=(episodes, STEPS))) * (1 + np.arange(STEPS) / STEPS)
    return Watched(noise * np.where(failed, louder, 1)[:, None], failed, np.arange(episodes) % 100)


def test_the_band_holds_for_whole_episodes_as_often_as_it_says():
    """Of successful episodes like those that it was fitted to, ALPHA raise an alarm, on average."""
    chance = np.random.default_rng(0)
    shares = [
        judge(fit_band(watched(chance, 600)), watched(chance, 600))["false_alarms"]
        for _ in range(40)
    ]
    assert np.mean(shares) == pytest.approx(ALPHA, abs=0.015)


def test_loud_failures_are_told_and_quiet_ones_are_not():
    """By area under the curve, whose interval has a half where nothing tells them apart."""
    chance = np.random.default_rng(1)
    band = fit_band(watched(chance, 600))
    loud = judge(band, watched(chance, 600, failing=0.2, louder=20.0))
    assert loud["auroc"] > 0.99
    assert loud["true_alarms"] > 0.9
    quiet = judge(band, watched(chance, 600, failing=0.2))
    assert quiet["auroc_95"][0] < 0.5 < quiet["auroc_95"][1]


def test_lead_is_what_is_left_of_the_horizon_at_the_first_alarm():
    """By hand: failed episodes raise one at the 6th and the 21st of 30 steps; the median."""
    band = Band(np.zeros(STEPS), np.ones(STEPS), 1.0)
    scores = np.zeros((4, STEPS))
    scores[0, 5:], scores[1, 20], scores[2, 1] = 2, 2, 2
    said = judge(band, Watched(scores, np.array([True, True, False, True]), np.arange(4)))
    assert said["lead"] == pytest.approx(((1 - 5 / 30) + (1 - 20 / 30)) / 2)
    assert (said["true_alarms"], said["false_alarms"]) == (pytest.approx(2 / 3), 1)


def test_without_failures_there_is_nothing_to_tell():
    """No area, and no share of nothing."""
    chance = np.random.default_rng(2)
    said = judge(fit_band(watched(chance, 600)), watched(chance, 100))
    assert (said["auroc"], said["true_alarms"], said["lead"]) == (None, None, None)


def test_too_few_successes_make_no_band():
    """Nineteen are needed for one in twenty."""
    with pytest.raises(ValueError, match="too few"):
        fit_band(watched(np.random.default_rng(0), 30))


def test_disagreement_is_the_deviation_from_the_mean_action():
    """By hand; networks that are one have none."""
    policies = [lambda one, k=k: np.array([k, 0.0]) for k in (-1.0, 0.0, 1.0)]
    observations = np.zeros((4, 2))
    assert disagreement(policies, observations) == pytest.approx([np.sqrt(1 / 3)] * 4)
    assert disagreement(policies[:1] * 3, observations).tolist() == [0] * 4
