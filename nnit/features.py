"""Fourier features of positions and sizes, shared by everything that describes a layer."""

import math

import torch
from torch import Tensor

PLACE_FEATURES = 4


def fourier_features(x: Tensor, periods: tuple[float, ...]) -> Tensor:
    """Return sine and cosine of ``x`` ``(...)`` at each period: ``(..., 2 * len(periods))``."""
    angle = 2 * math.pi * x[..., None] / torch.tensor(periods, dtype=x.dtype, device=x.device)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def slow_features(x: Tensor, periods: tuple[float, ...]) -> Tensor:
    """Describe positive numbers ``x`` ``(...)`` by ``log2 x``: itself and slow Fourier features.

    Returns:
        ``(..., 1 + 2 * len(periods))``; the periods are in octaves.
    """
    octaves = x.log2()
    linear = octaves[..., None] / 8
    return torch.cat([linear, fourier_features(octaves, periods)], dim=-1)


def place_features(count: int) -> Tensor:
    """Describe the places of a chain of ``count`` by their distance from both ends.

    Distances enter as ``2 ** -distance``: far from both ends, places look more and more alike,
    so that a chain longer than any trained one has no place that looks new.

    Returns:
        ``(count, PLACE_FEATURES)``.
    """
    from_start = torch.arange(count, dtype=torch.float32)
    distances = torch.stack([from_start, from_start.flip(0)], dim=-1)
    return torch.cat([torch.exp2(-distances), (distances == 0).float()], dim=-1)
