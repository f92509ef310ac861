"""The straight path from noise to data."""

from itertools import pairwise

import pytest
import torch

from nnit.diffusion.path import (
    MIN_NOISE,
    SPREAD,
    euler_step,
    interpolate,
    loss_weight,
    sample_times,
    time_grid,
    visible_share,
)
from nnit.seeding import torch_generator


@pytest.fixture
def ends():
    """Noise and data, in double precision."""
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64))


def test_path_begins_at_noise_and_ends_at_data(ends):
    """At t = 0 it is x_0, at t = 1 it is x_1, and half-way it is their mean."""
    x_0, x_1 = ends
    assert torch.equal(interpolate(x_0, x_1, torch.tensor(0.0)), x_0)
    assert torch.equal(interpolate(x_0, x_1, torch.tensor(1.0)), x_1)
    torch.testing.assert_close(interpolate(x_0, x_1, torch.tensor(0.5)), (x_0 + x_1) / 2)


def test_each_network_has_its_own_time(ends):
    """Times of shape (B, 1, 1) reach every entry of their network."""
    x_0, x_1 = ends
    t = torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64)
    mixed = interpolate(x_0, x_1, t[:, None, None])
    assert torch.equal(mixed[0], x_0[0])
    assert torch.equal(mixed[2], x_1[2])
    torch.testing.assert_close(mixed[1], 0.75 * x_0[1] + 0.25 * x_1[1])


def test_visible_share_is_the_regression_of_data_on_what_is_seen():
    """Closed form: of normal data of deviation ``SPREAD``, covariance over variance of ``x_t``."""
    t = torch.tensor([0.0, 0.3, 0.9, 1.0], dtype=torch.float64)
    draws = torch.randn(2, 200_000, generator=torch_generator(0), dtype=torch.float64)
    for time, share in zip(t, visible_share(t), strict=True):
        x_1 = SPREAD * draws[1]
        x_t = interpolate(draws[0], x_1, time)
        assert float((x_t * x_1).mean() / x_t.square().mean()) == pytest.approx(
            float(share), abs=0.01
        )
    assert visible_share(t)[[0, -1]].tolist() == [0, 1]


@pytest.mark.parametrize("num_steps", [1, 2, 7])
def test_euler_with_the_true_data_reaches_it(ends, num_steps):
    """In one step or in many; on the way it stays on the line."""
    x_0, x_1 = ends
    x_t = x_0
    grid = time_grid(num_steps)
    for k in range(num_steps):
        x_t = euler_step(x_t, x_1, grid[k], grid[k + 1])
        torch.testing.assert_close(x_t, interpolate(x_0, x_1, torch.tensor(grid[k + 1])))
    torch.testing.assert_close(x_t, x_1)


def test_euler_converges_at_first_order():
    """For the exact predictor of Gaussian data, twice the steps leave half of the error.

    With x_1 ~ N(0, s^2) the mean of x_1 given x_t is x_t * t s^2 / ((1 - t)^2 + t^2 s^2), and
    the flow takes x_0 to s x_0.
    """
    s, x_0 = 0.5, torch.tensor(1.0, dtype=torch.float64)
    errors = []
    for num_steps in (20, 40, 80):
        x_t, grid = x_0, time_grid(num_steps)
        for t, t_next in pairwise(grid):
            predicted = x_t * t * s**2 / ((1 - t) ** 2 + t**2 * s**2)
            x_t = euler_step(x_t, predicted, t, t_next)
        errors.append(abs(float(x_t - s * x_0)))
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.15)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.1)


def test_time_grid_by_hand():
    """Equally spaced from 0 to exactly 1."""
    assert time_grid(4) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert time_grid(3)[-1] == 1.0


@pytest.mark.parametrize("num", [1, 2, 7, 64])
def test_each_stratum_of_time_is_drawn_once(num):
    """Of num equal parts of [0, 1) every one has exactly one time."""
    for seed in range(20):
        times = sample_times(num, torch_generator(seed))
        assert times.shape == (num,)
        strata = (times.double() * num + 1e-4).floor().long()
        assert sorted(strata.tolist()) == list(range(num))


def test_times_are_uniform_and_in_no_order():
    """Each position of the batch sees all of [0, 1)."""
    generator = torch_generator(0)
    times = torch.stack([sample_times(8, generator) for _ in range(2000)])
    torch.testing.assert_close(times.mean(0), torch.full((8,), 0.5), atol=0.03, rtol=0)
    torch.testing.assert_close(times.std(0), torch.full((8,), 12**-0.5), atol=0.02, rtol=0)


def test_loss_weight_is_one_over_the_noise_and_bounded():
    """By hand: 1 at t = 0, 4 at 0.75, and never more than 1 / MIN_NOISE."""
    weights = loss_weight(torch.tensor([0.0, 0.75, 1 - MIN_NOISE / 10, 1.0]))
    torch.testing.assert_close(weights, torch.tensor([1.0, 4.0, 1 / MIN_NOISE, 1 / MIN_NOISE]))
