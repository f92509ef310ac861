"""The rectified-flow path between noise and data, and the losses and steps along it.

Time convention, for the whole code base: ``t = 0`` is noise, ``t = 1`` is data. Every tensor
named ``x_0`` is noise and every tensor named ``x_1`` is data. The network predicts ``x_1``, and
without a skip connection from ``x_t``: architecture and branch decide a network's weights almost
wholly, so that a network would have to undo the noise that is skipped.
"""

import torch
from torch import Tensor

SPREAD = 0.1  # of networks around what is predicted of them, in standard deviations of all weights
MIN_NOISE = 0.05  # below this share of noise, losses and velocities stop growing


def interpolate(x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
    """Return ``x_t = (1 - t) x_0 + t x_1``; ``t`` broadcasts over the trailing axes.

    Source: Liu et al. 2023, "Flow Straight and Fast", Eq. 1 (arXiv:2209.03003), with the
    direction of time of Lipman et al. 2023 (arXiv:2210.02747).
    """
    return (1 - t) * x_0 + t * x_1


def visible_share(t: Tensor) -> Tensor:
    """Return the share of ``x_t`` beside the typical that is not taken for noise.

    The mean of normal data of deviation ``SPREAD`` is that share of ``x_t``: nothing at ``t = 0``,
    where all is noise, little for long, and 1 at about ``t = 1``.
    """
    return t * SPREAD**2 / ((1 - t) ** 2 + t**2 * SPREAD**2)


def loss_weight(t: Tensor) -> Tensor:
    """Return the weight of the squared error of ``x_1`` at ``t``: one over the noise level."""
    return 1 / (1 - t).clamp(min=MIN_NOISE)


def sample_times(num: int, generator: torch.Generator) -> Tensor:
    """Draw ``(num,)`` times in [0, 1), one from each of ``num`` equal strata, shuffled.

    Stratified draws have the same marginal as independent ones and a smaller variance of the
    mean loss (Kingma et al. 2021, "Variational Diffusion Models", arXiv:2107.00630, App. I.1).
    """
    offset = torch.rand((), generator=generator)
    times = (torch.arange(num) + offset) / num
    return times[torch.randperm(num, generator=generator)]


def time_grid(num_steps: int) -> list[float]:
    """Return ``num_steps + 1`` times from 0 to 1, equally spaced."""
    return [k / num_steps for k in range(num_steps + 1)]


def euler_step(x_t: Tensor, x_1: Tensor, t: float, t_next: float) -> Tensor:
    """Move from ``t`` to ``t_next`` along the straight line to the predicted data ``x_1``.

    The velocity ``(x_1 - x_t) / (1 - t)`` is that of the line; at ``t_next = 1`` the result is
    ``x_1`` itself.
    """
    return x_t + (t_next - t) / (1 - t) * (x_1 - x_t)
