"""Advantages, by hand and by the definition."""

import numpy as np
import pytest

from nnit.ppo.advantages import advantages, discounted_sums


def test_two_steps_by_hand():
    """Gamma 1/2, lambda 1/2, an episode of two steps that ends."""
    found = advantages(
        np.array([1.0, 2.0]),
        np.array([4.0, 8.0]),
        np.array([8.0, 100.0]),  # the last is of a state after which nothing comes
        np.array([False, True]),
        np.array([False, True]),
        discount=0.5,
        decay=0.5,
    )
    # differences: 1 + 4 - 4 = 1 and 2 + 0 - 8 = -6
    np.testing.assert_allclose(found, [1 - 6 / 4, -6])


def test_a_cut_episode_counts_what_would_have_come():
    """Cut, not ended: the value of the next state stands for the rest; nothing flows across."""
    found = advantages(
        np.zeros(2),
        np.zeros(2),
        np.array([10.0, 20.0]),
        np.array([False, False]),
        np.array([True, True]),
        discount=0.9,
        decay=0.8,
    )
    np.testing.assert_allclose(found, [9, 18])


@pytest.mark.parametrize("decay", [0.0, 0.7, 1.0])
def test_the_sum_of_the_definition(decay):
    """A_t is the sum of (gamma lambda)^k delta_(t+k) up to the end of the episode (equation 16)."""
    rng = np.random.default_rng(0)
    count, discount = 40, 0.97
    rewards, values, following = rng.normal(size=(3, count))
    cut = rng.uniform(size=count) < 0.2
    cut[-1] = True
    ended = cut & (rng.uniform(size=count) < 0.5)
    deltas = rewards + discount * np.where(ended, 0, following) - values
    expected = []
    for t in range(count):
        last = t + int(np.argmax(cut[t:]))
        powers = (discount * decay) ** np.arange(last - t + 1)
        expected.append((powers * deltas[t : last + 1]).sum())
    found = advantages(rewards, values, following, ended, cut, discount=discount, decay=decay)
    np.testing.assert_allclose(found, expected)


def test_discounted_sums_begin_anew_with_each_episode():
    """1, 1/2 + 1, then again."""
    cut = np.array([False, True, False, True])
    np.testing.assert_allclose(discounted_sums(np.ones(4), cut, 0.5), [1, 1.5, 1, 1.5])
