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
from nnit.diffusion.sides import SideRows, TableSides, as_rows
from nnit.diffusion.typical import add_branches


class SideCodes(nn.Module):
    """The codes of the units on one side of layers, in each task and beside it in each branch.

    Args:
        of_tasks: The patches of each task.
        of_branches: Those of each branch, counted over all tasks.
        patch_size: Units of a patch.
        rank: Numbers of a code.
    """

    def __init__(
        self, of_tasks: SideRows, of_branches: SideRows, patch_size: int, rank: int
    ) -> None:
        super().__init__()
        self.of_tasks, self.of_branches, self.rank = of_tasks, of_branches, rank
        size, self.num_branches = patch_size * rank, len(of_branches.counts)
        self.tasks = nn.Parameter(torch.randn(*of_tasks.shape, size) * rank**-0.5)
        if self.num_branches:
            self.branches = nn.Parameter(torch.zeros(*of_branches.shape, size))

    def forward(self, cell: Tensor, outer: Tensor, batch: TokenBatch) -> Tensor:
        """Return the codes ``(B, S, patch_size, rank)`` of the units of each token.

        Args:
            cell: ``(B, S)``, which patch of the side; beyond the trained ones codes are 0.
            outer: ``(B, S)`` bool, whether the side is one of observations or actions.
            batch: Says the task and the branches of each network.
        """
        row, inside = self.of_tasks(batch.task, cell, outer)
        codes = F.embedding(row, as_rows(self.tasks))
        if self.num_branches:
            codes = add_branches(
                codes,
                batch,
                lambda branch: F.embedding(
                    self.of_branches(branch, cell, outer)[0], as_rows(self.branches)
                ),
            )
        return rearrange(codes * inside[..., None], "b s (p k) -> b s p k", k=self.rank)

    def of_task(self, task: int) -> tuple[Tensor, ...]:
        """View the codes of a task, by kind of side and patch."""
        return self.of_tasks.of(task, self.tasks.data)

    def of_branch(self, branch: int) -> tuple[Tensor, ...]:
        """View what a branch has beside them, likewise."""
        return self.of_branches.of(branch, self.branches.data)


class UnitCodes(nn.Module):
    """From what is said of a token to its weight patch: ``U C V'``, with C of that token.

    Args:
        of_tasks: The patches of the sides of each task.
        of_branches: Those of each branch, counted over all tasks.
        patch_size: Side of a patch.
        rank: Numbers of a code.
        width: Channels of a token.
    """

    def __init__(
        self,
        of_tasks: TableSides,
        of_branches: TableSides,
        patch_size: int,
        rank: int,
        width: int,
    ) -> None:
        super().__init__()
        self.rows, self.columns = (
            SideCodes(tasks, branches, patch_size, rank)
            for tasks, branches in zip(of_tasks, of_branches, strict=True)
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
