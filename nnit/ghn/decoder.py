"""Decoders: from the embedding of a layer to its weights, at any size.

A weight matrix is the top-left crop of a field over (row, column) that has no largest size, so
unit ``i`` of a narrow layer is unit ``i`` of a wide one. ``CnnDecoder`` makes neighbouring blocks
of 4 x 4 weights alike by convolving (within a block the pixel shuffle gives every weight a filter
of its own); ``PointwiseDecoder`` decodes every cell by itself, as the 1 x 1 convolutions of
HyperPPO do (Hegde et al. 2024, arXiv:2309.16663): index-aligned, without a reason to be smooth.
Convolutions have no padding and normalisation is over channels alone, so that a value
depends on its neighbourhood and not on how large the matrix is: layers of different sizes can be
decoded in one batch at the largest size, and cropped.

Axis letters: B layers; R, C rows and columns of cells; r, c of half cells; D channels.
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from nnit.features import fourier_features, slow_features

CELL = 8  # weights along one side of a cell of seeds
MARGIN = 2  # cells around the matrix, consumed by the unpadded convolutions
POSITION_PERIODS = (4.0, 8.0, 16.0)  # cells: 32 to 128 units
POSITION_OCTAVES = (4.0, 8.0)
NUM_POSITION_FEATURES = 2 * len(POSITION_PERIODS) + 1 + 2 * len(POSITION_OCTAVES)


def position_features(num_cells: int, margin: int, device: torch.device) -> Tensor:
    """Describe cells ``-margin`` to ``num_cells + margin - 1``: ``(cells, features)``.

    Beyond the largest trained width only the logarithm takes new values, and slowly so.
    """
    index = torch.arange(-margin, num_cells + margin, dtype=torch.float32, device=device)
    octaves = slow_features(1 + index.clamp(min=0), POSITION_OCTAVES)
    return torch.cat([fourier_features(index, POSITION_PERIODS), octaves], dim=-1)


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each position of ``(B, D, R, C)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each position by itself; the shape stays."""
        return rearrange(self.norm(rearrange(x, "b d r c -> b r c d")), "b r c d -> b d r c")


class SeedGrid(nn.Module):
    """From node embeddings to grids of seeds, one for each cell of a weight matrix."""

    def __init__(self, node_dim: int, channels: int) -> None:
        super().__init__()
        self.node = nn.Linear(node_dim, 2 * channels)
        self.row = nn.Linear(NUM_POSITION_FEATURES, 2 * channels, bias=False)
        self.column = nn.Linear(NUM_POSITION_FEATURES, 2 * channels, bias=False)
        self.mix = nn.Linear(2 * channels, 2 * channels)
        self.out = nn.Linear(2 * channels, channels)
        self.norm = nn.LayerNorm(channels)

    def forward(self, embeddings: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Return seeds ``(B, R, C, D)`` for position features ``(R, P)`` and ``(C, P)``."""
        grid = (
            rearrange(self.node(embeddings), "b d -> b 1 1 d")
            + rearrange(self.row(rows), "r d -> r 1 d")
            + rearrange(self.column(columns), "c d -> 1 c d")
        )
        hidden = F.silu(grid)
        hidden = hidden + F.silu(self.mix(hidden))
        return self.norm(self.out(hidden))


class CnnDecoder(nn.Module):
    """Seeds per 8 x 8 cell, 3 x 3 convolutions at 1/8 and 1/4 resolution, pixel shuffle to full."""

    def __init__(self, node_dim: int, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.seeds = SeedGrid(node_dim, channels)
        self.coarse = nn.Conv2d(channels, channels, 3)
        self.coarse_norm = ChannelNorm(channels)
        self.fine = nn.Conv2d(channels, half, 3)
        self.fine_norm = ChannelNorm(half)
        self.finest = nn.Conv2d(half, half, 3)
        self.finest_norm = ChannelNorm(half)
        self.head = nn.Conv2d(half, 16, 1)

    def forward(self, embeddings: Tensor, fan_out: int, fan_in: int) -> Tensor:
        """Return the fields ``(B, fan_out, fan_in)`` of layers with these embeddings ``(B, H)``."""
        num_rows, num_columns = math.ceil(fan_out / CELL), math.ceil(fan_in / CELL)
        rows = position_features(num_rows, MARGIN, embeddings.device)
        columns = position_features(num_columns, MARGIN, embeddings.device)
        x = rearrange(self.seeds(embeddings, rows, columns), "b r c d -> b d r c")
        x = F.silu(x[..., 1:-1, 1:-1] + self.coarse_norm(self.coarse(x)))  # margin 1 cell
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")  # margin 2 half cells
        x = F.silu(self.fine_norm(self.fine(x)))  # margin 1 half cell
        x = F.silu(x[..., 1:-1, 1:-1] + self.finest_norm(self.finest(x)))  # no margin
        field = rearrange(self.head(x), "b (p q) r c -> b (r p) (c q)", p=4, q=4)
        return field[:, :fan_out, :fan_in]


class PointwiseDecoder(nn.Module):
    """Every cell by itself: the ablation of the convolutions."""

    def __init__(self, node_dim: int, channels: int) -> None:
        super().__init__()
        self.seeds = SeedGrid(node_dim, channels)
        self.hidden = nn.Linear(channels, 2 * channels)
        self.norm = nn.LayerNorm(2 * channels)
        self.head = nn.Linear(2 * channels, CELL * CELL)

    def forward(self, embeddings: Tensor, fan_out: int, fan_in: int) -> Tensor:
        """Return the fields ``(B, fan_out, fan_in)`` of layers with these embeddings ``(B, H)``."""
        rows = position_features(math.ceil(fan_out / CELL), 0, embeddings.device)
        columns = position_features(math.ceil(fan_in / CELL), 0, embeddings.device)
        seeds = self.seeds(embeddings, rows, columns)
        cells = self.head(F.silu(self.norm(self.hidden(seeds))))
        field = rearrange(cells, "b r c (p q) -> b (r p) (c q)", p=CELL, q=CELL)
        return field[:, :fan_out, :fan_in]


class BiasDecoder(nn.Module):
    """From node embeddings to the biases of layers, eight units from each cell."""

    def __init__(self, node_dim: int, channels: int) -> None:
        super().__init__()
        self.node = nn.Linear(node_dim, channels)
        self.row = nn.Linear(NUM_POSITION_FEATURES, channels, bias=False)
        self.norm = nn.LayerNorm(channels)
        self.head = nn.Linear(channels, CELL)

    def forward(self, embeddings: Tensor, fan_out: int) -> Tensor:
        """Return the biases ``(B, fan_out)``."""
        rows = position_features(math.ceil(fan_out / CELL), 0, embeddings.device)
        nodes = rearrange(self.node(embeddings), "b d -> b 1 d")
        hidden = F.silu(self.norm(nodes + self.row(rows)))
        return rearrange(self.head(hidden), "b r p -> b (r p)")[:, :fan_out]
