"""Whether a sampler's path leads away from networks that work.

Along the path from noise to a training network the transformer has learnt to predict well. A
sampler's own path leads to its predictions instead, with their errors; where the next prediction
adds to them, more steps make worse networks.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from nnit.diffusion.batch import TokenBatch
from nnit.diffusion.path import euler_step, interpolate, time_grid
from nnit.diffusion.sampler import DataPredictor


class PathLosses(NamedTuple):
    """Losses of what is predicted at the times of a sampler's steps, from 0 on."""

    true: list[float]  # from the interpolation between noise and the network
    own: list[float]  # from where the sampler is

    @property
    def drift(self) -> float:
        """How much larger the losses of the own path are than those of the true one, at most."""
        return max(own / true for own, true in zip(self.own, self.true, strict=True))


@torch.no_grad()
def losses_along_path(
    predict: DataPredictor,
    clean: TokenBatch,
    judge: Callable[[Tensor], float],
    num_steps: int,
    generator: torch.Generator,
) -> PathLosses:
    """Judge the predictions for one network, both ways from the same noise.

    Args:
        predict: The trained transformer.
        clean: One training network.
        judge: From content ``(1, S, C)`` to the loss of the network that it is.
        num_steps: Of the sampler.
        generator: Draws the noise.
    """
    noise = torch.randn(clean.content.shape, generator=generator) * clean.mask
    given = clean.content.new_ones(1)
    content, losses = noise, PathLosses([], [])
    for t, t_next in pairwise(time_grid(num_steps)):
        time = torch.full_like(given, t)
        truth = interpolate(noise, clean.content, time)
        true, own = (
            predict(clean._replace(content=found), given, time) * clean.mask
            for found in (truth, content)
        )
        losses.true.append(judge(true))
        losses.own.append(judge(own))
        content = euler_step(content, own, t, t_next)
    return losses
