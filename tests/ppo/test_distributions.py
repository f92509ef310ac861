"""Log-probabilities beside scipy's and torch's own."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from nnit.ppo.distributions import clipped_objective, entropy, log_probability
from nnit.ppo.statistics import no_statistics, updated


def test_normal_densities_are_scipys():
    """The sum over the numbers of an action."""
    rng = np.random.default_rng(0)
    outputs, actions = rng.normal(size=(2, 5, 3)).astype(np.float32)
    log_std = rng.normal(size=3).astype(np.float32)
    found = log_probability(*map(torch.from_numpy, (outputs, actions, log_std)), "action")
    expected = norm.logpdf(actions, outputs, np.exp(log_std)).sum(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    spread = entropy(torch.from_numpy(outputs), torch.from_numpy(log_std), "action")
    np.testing.assert_allclose(spread, norm.entropy(scale=np.exp(log_std)).sum(), rtol=1e-5)


def test_class_probabilities_are_torchs():
    """Beside torch.distributions.Categorical."""
    outputs = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    chosen = torch.tensor([0, 1, 2, 3, 0, 1])
    reference = torch.distributions.Categorical(logits=outputs)
    actions = torch.nn.functional.one_hot(chosen, 4).float()
    found = log_probability(outputs, actions, torch.zeros(4), "class")
    torch.testing.assert_close(found, reference.log_prob(chosen))
    torch.testing.assert_close(entropy(outputs, torch.zeros(4), "class"), reference.entropy())


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [(1.5, 1.0, 1.2), (1.5, -1.0, -1.5), (0.5, 1.0, 0.5), (0.5, -1.0, -0.8), (1.1, 2.0, 2.2)],
)
def test_the_objective_is_clipped_on_the_side_of_gain(ratio, advantage, expected):
    """The five cases of a ratio within and beyond 1 +- 0.2."""
    found = clipped_objective(
        torch.tensor([ratio]).log(), torch.zeros(1), torch.tensor([advantage]), 0.2
    )
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_statistics_of_parts_are_those_of_the_whole():
    """Whatever the parts."""
    rows = np.random.default_rng(0).normal(3, 5, (100, 2))
    known = no_statistics(2)
    for part in np.split(rows, [10, 11, 70]):
        known = updated(known, part)
    np.testing.assert_allclose(known.mean, rows.mean(0), rtol=1e-4)
    np.testing.assert_allclose(known.deviation, rows.std(0), rtol=1e-3)
