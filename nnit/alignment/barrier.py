"""The loss along the straight line between two networks of one shape.

Source: Frankle et al. 2020, "Linear Mode Connectivity", arXiv:1912.05671.
"""

from typing import NamedTuple

import numpy as np
import torch

from nnit.cloning import CloningData, evaluate_loss, layers_from_flat
from nnit.mlp import MlpSpec

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)


class Line(NamedTuple):
    """Losses at ``ALPHAS`` of the way from one network to another."""

    losses: tuple[float, ...]

    @property
    def barrier(self) -> float:
        """How far the loss rises above the straight line between the losses of the ends."""
        start, end = self.losses[0], self.losses[-1]
        rises = [
            loss - ((1 - alpha) * start + alpha * end)
            for alpha, loss in zip(ALPHAS, self.losses, strict=True)
        ]
        return max(0.0, *rises)


def line_losses(spec: MlpSpec, one: np.ndarray, other: np.ndarray, data: CloningData) -> Line:
    """Measure the cloning loss between two flat networks ``(num_parameters,)``."""
    points = [one + np.float32(alpha) * (other - one) for alpha in ALPHAS[:-1]] + [other]
    losses = [
        evaluate_loss(layers_from_flat(spec, torch.from_numpy(np.ascontiguousarray(p))), data)
        for p in points
    ]
    return Line(tuple(losses))
