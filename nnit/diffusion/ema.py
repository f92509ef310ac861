"""An exponential moving average of a model's parameters: the weights that sample."""

import numpy as np
import torch
from torch import nn


class Ema:
    """Averages parameters over steps.

    The decay rises from 0.1 as ``(1 + step) / (10 + step)``, up to ``decay``, so that short
    trainings are not dominated by the initial weights.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.parameters = {
            name: parameter.detach().clone() for name, parameter in model.named_parameters()
        }

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model's parameters after step number ``step`` (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for ours, theirs in zip(self.parameters.values(), model.parameters(), strict=True):
            ours.lerp_(theirs, 1 - decay)

    def arrays(self, prefix: str = "") -> dict[str, np.ndarray]:
        """Return the averaged parameters by name, behind a prefix."""
        return {
            prefix + name: parameter.detach().cpu().numpy().copy()
            for name, parameter in self.parameters.items()
        }
