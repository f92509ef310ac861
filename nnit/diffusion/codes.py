"""Codes of units: what one layer says to all its patches, put into the terms of each.

What makes two networks of a zoo differ is the same few numbers in all patches of a layer; how they
show depends on the units of a patch's rows and columns. A transformer that predicts the numbers
need not learn for each place what they do there, and isn't held to as many directions as a token
has channels. The hypernetwork's carrier does likewise (``nnit.ghn.decoder``); these codes are
learnt from the zoo's networks alone.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from nnit.diffusion.batch import TokenBatch
from nnit.diffusion.typical import PlaceGrid, add_branches

KINDS = 2  # of sides: between hidden layers, and towards the observation or the action


class SideCodes(nn.Module):
    """The codes of the units on one side of layers, in each task and beside it in each branch.

    Args:
        cells: Patches of the longest side.
        num_tasks: That are told apart.
        num_branches: Of all tasks.
        patch_size: Units of a cell.
        rank: Numbers of a code.
    """

    def __init__(
        self, cells: int, num_tasks: int, num_branches: int, patch_size: int, rank: int
    ) -> None:
        super().__init__()
        self.cells, self.rank, self.num_branches = cells, rank, num_branches
        sizes = KINDS, cells, patch_size * rank
        self.tasks = nn.Parameter(torch.randn(num_tasks, *sizes) * rank**-0.5)
        if num_branches:
            self.branches = nn.Parameter(torch.zeros(num_branches, *sizes))

    def forward(self, cell: Tensor, outer: Tensor, batch: TokenBatch) -> Tensor:
        """Return the codes ``(B, S, patch_size, rank)`` of the units of each token.

        Args:
            cell: ``(B, S)``, which patch of the side; beyond the trained ones codes are 0.
            outer: ``(B, S)`` bool, whether the side is one of observations or actions.
            batch: Says the task and the branches of each network.
        """
        cells = KINDS * self.cells
        place = outer.long() * self.cells + cell.clamp(max=self.cells - 1)
        codes = F.embedding(place + batch.task[:, None] * cells, self.tasks.flatten(0, 2))
        if self.num_branches:
            codes = add_branches(codes, batch, place, self.branches.flatten(1, 2))
        return rearrange(
            codes * (cell < self.cells)[..., None], "b s (p k) -> b s p k", k=self.rank
        )


class UnitCodes(nn.Module):
    """From what is said of a token to its weight patch: ``U C V'``, with C of that token.

    Args:
        grid: The places of training networks.
        num_tasks: That are told apart.
        num_branches: Of all tasks.
        patch_size: Side of a patch.
        rank: Numbers of a code.
        width: Channels of a token.
    """

    def __init__(
        self,
        grid: PlaceGrid,
        num_tasks: int,
        num_branches: int,
        patch_size: int,
        rank: int,
        width: int,
    ) -> None:
        super().__init__()
        self.rows, self.columns = (
            SideCodes(cells, num_tasks, num_branches, patch_size, rank)
            for cells in (grid.rows, grid.columns)
        )
        self.core = nn.Linear(width, rank**2)

    def forward(self, hidden: Tensor, batch: TokenBatch) -> Tensor:
        """Return the content ``(B, S, C)`` that follows from ``(B, S, width)``; none for biases."""
        row, column = batch.cell.unbind(-1)
        last = batch.layer.amax(dim=1, keepdim=True)
        rows = self.rows(row, batch.layer == last, batch)
        columns = self.columns(column, batch.layer == 0, batch)
        core = rearrange(self.core(hidden), "b s (k l) -> b s k l", k=self.rows.rank)
        patches = rows @ core @ columns.mT
        return F.pad(patches.flatten(-2), (0, rows.shape[-2]))
