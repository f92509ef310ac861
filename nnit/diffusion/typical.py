"""What networks have in common, place by place.

Units mean the same in all networks, so that the mean patch of a place (layer, row and column) over
the training networks is most of any network: four fifths of the variance. A transformer that
predicts what a network has beside it need not learn a table first.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnit.diffusion.batch import TokenBatch, collate
from nnit.tokens.sequence import NetworkTokens

SHRINKAGE = 2.0  # networks of zeros that the mean of a place holds


class PlaceGrid(NamedTuple):
    """How many places there are."""

    depth: int  # the most hidden layers
    rows: int  # of patches
    columns: int

    @property
    def num_layers(self) -> int:
        """Layers of networks of all depths."""
        return self.depth * (self.depth + 3) // 2

    @property
    def num_places(self) -> int:
        """Places of all those layers."""
        return self.num_layers * self.rows * self.columns


def grid_of(networks: Sequence[NetworkTokens]) -> PlaceGrid:
    """Return the smallest grid that has all places of some networks."""
    cells = torch.stack([network.layout.cell.amax(dim=0) for network in networks]).amax(dim=0)
    depth = max(int(network.layout.layer.max()) for network in networks)
    return PlaceGrid(depth, *(cells + 1).tolist())


def find_places(batch: TokenBatch, grid: PlaceGrid) -> tuple[Tensor, Tensor]:
    """Return the place of each token ``(B, S)``, and whether the grid has it.

    Layers are told apart by their distance from both ends. Those of a network that is deeper than
    the grid have the place that is as far through the deepest one. The weight and the bias patch
    of a place are one: they have different entries of content.
    """
    depth = batch.layer.amax(dim=1, keepdim=True)  # (B, 1), as the output layer's index says
    known = depth.clamp(min=1, max=grid.depth)
    layer = (batch.layer * known / depth.clamp(min=1)).round().long()
    of_depth = known * (known + 1) // 2 - 1  # layers of all shallower networks
    row, column = batch.cell.unbind(-1)
    inside = (row < grid.rows) & (column < grid.columns)
    place = ((of_depth + layer) * grid.rows + row) * grid.columns + column
    return torch.where(inside, place, 0), inside


class TypicalPatches(nn.Module):
    """The mean content of each place in each task; zero where no training network has a patch.

    The table is fitted and not trained, but is one of the parameters, which are what is kept.
    """

    def __init__(self, grid: PlaceGrid, num_tasks: int, content_size: int) -> None:
        super().__init__()
        self.grid = grid
        size = (num_tasks * grid.num_places, content_size)
        self.table = nn.Parameter(torch.zeros(size), requires_grad=False)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return the content ``(B, S, C)`` that is typical of the places of a batch."""
        place, inside = find_places(batch, self.grid)
        row = place + batch.task[:, None] * self.grid.num_places
        return F.embedding(row, self.table) * (batch.mask & inside[..., None])

    def by_place(self) -> Tensor:
        """View the table by task, layer of a network of some depth, row and column."""
        return self.table.data.view(-1, self.grid.num_layers, *self.grid[1:], self.table.shape[-1])

    @torch.no_grad()
    def fit(self, networks: Sequence[NetworkTokens], tasks: Sequence[int]) -> None:
        """Average networks, each of a task; the mean of a rare place is shrunk towards zero."""
        counts = torch.zeros_like(self.table)
        self.table.zero_()
        for network, task in zip(networks, tasks, strict=True):
            batch = collate([network], tasks=[task])
            row = find_places(batch, self.grid)[0][0] + task * self.grid.num_places
            self.table.index_add_(0, row, batch.content[0])
            counts.index_add_(0, row, batch.mask[0].float())
        self.table.div_(counts + SHRINKAGE)
