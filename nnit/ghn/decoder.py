"""Decoders: from the embedding of a layer to its weights, at any size.

A weight matrix is the top-left crop of a field over (row, column) that has no largest size, so
unit ``i`` of a narrow layer is unit ``i`` of a wide one. ``CarrierDecoder`` gives every unit a code
of its own, the same in all networks, and says how codes are mixed: index-aligned and of high rank,
without a reason to be smooth. ``CnnDecoder`` makes neighbouring blocks of 4 x 4 weights alike by
convolving (within a block the pixel shuffle gives every weight a filter of its own);
``PointwiseDecoder`` decodes every cell by itself, as the 1 x 1 convolutions of HyperPPO do (Hegde
et al. 2024, arXiv:2309.16663). The fields of these two follow from slow features of positions, and
have a rank of ten, however wide a layer is.

Convolutions have no padding and normalisation is over channels alone, so that a value
depends on its neighbourhood and not on how large the matrix is: layers of different sizes can be
decoded in one batch at the largest size, and cropped.

Axis letters: B layers; R, C rows and columns of cells; r, c of half cells; D channels.
"""

import hashlib
import math

import numpy as np
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
LEARNT_UNITS = 1024  # whose codes are learnt: beyond any trained width, and most observations
UNTRAINED = 0.5  # size of codes that no training network has, beside that of the others


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


def unit_codes(side: str, start: int, stop: int, rank: int) -> Tensor:
    """Return the codes that units ``start`` to ``stop - 1`` begin with: ``(units, rank)``.

    Entries are ``+-1 / sqrt(rank)``, the bits of a hash of the unit's index: the same everywhere,
    unrelated from unit to unit, and without a last unit.

    Args:
        side: ``row`` or ``column``; a unit has one code for what comes in, one for what goes out.
        start: The first unit.
        stop: After the last one.
        rank: Numbers of a code.
    """
    hashes = [
        hashlib.shake_256(f"{side}/{unit}".encode()).digest(math.ceil(rank / 8))
        for unit in range(start, stop)
    ]
    drawn = np.frombuffer(b"".join(hashes), np.uint8).reshape(stop - start, -1)
    bits = np.unpackbits(drawn, axis=1)[:, :rank]
    return torch.from_numpy((2 * bits.astype(np.float32) - 1) / math.sqrt(rank))


class CarrierDecoder(nn.Module):
    """Codes of units that all networks share, mixed as the layer's embedding says.

    The field of a layer is ``U C V'``: ``U`` has a row for each of its units, ``V`` one for each
    of its inputs, and only ``C`` (rank x rank) follows from the embedding. The codes start as
    random signs, so that the rank is full from the start, and are learnt. Units that no training
    network has keep theirs, and theirs are smaller: what such units say to the others is noise, and
    networks beyond the trained widths have a tenth of the loss with codes of half the size.

    Args:
        node_dim: Numbers of an embedding.
        channels: Twice the rank.
        units: The largest trained width.
    """

    def __init__(self, node_dim: int, channels: int, units: int) -> None:
        super().__init__()
        self.rank = channels // 2
        rows, columns = (unit_codes(s, 0, LEARNT_UNITS, self.rank) for s in ("row", "column"))
        rows[units:] *= UNTRAINED
        columns[units:] *= UNTRAINED
        self.rows, self.columns = nn.Parameter(rows), nn.Parameter(columns)
        self.core = nn.Linear(node_dim, self.rank**2)
        nn.init.normal_(self.core.weight, std=node_dim**-0.5)
        nn.init.zeros_(self.core.bias)

    def forward(self, embeddings: Tensor, fan_out: int, fan_in: int) -> Tensor:
        """Return the fields ``(B, fan_out, fan_in)`` of layers with these embeddings ``(B, H)``."""
        mixing = rearrange(self.core(embeddings), "b (p q) -> b p q", p=self.rank)
        rows, columns = self._codes("row", fan_out), self._codes("column", fan_in)
        return rows @ mixing @ columns.T

    @torch.no_grad()
    def disturb(self, share: float, generator: torch.Generator) -> None:
        """Add noise of a share of each code's size to it, in place; its size stays about the same.

        What is made with other codes differs in the same way in networks of all shapes.
        """
        for codes in (self.rows, self.columns):
            size = codes.square().mean(dim=1, keepdim=True).sqrt()
            noise = torch.randn(codes.shape, generator=generator).to(codes.device)
            codes.add_(share * size * noise).div_(math.sqrt(1 + share**2))

    def _codes(self, side: str, count: int) -> Tensor:
        learnt = self.rows if side == "row" else self.columns
        if count <= LEARNT_UNITS:
            return learnt[:count]
        further = UNTRAINED * unit_codes(side, LEARNT_UNITS, count, self.rank)
        return torch.cat([learnt, further.to(learnt.device)])


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
