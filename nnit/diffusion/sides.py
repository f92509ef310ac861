"""Which row of a table is that of which patch of a side of layers.

A side of a layer lies between hidden layers, where widths have one bound in all tasks, or towards
the action or the observation, whose sizes are those of a task.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor, nn

KINDS = 2  # of sides: between hidden layers, and towards the observation or the action


class OuterSides(NamedTuple):
    """Patches of the outer sides of networks."""

    action: int  # rows of patches of an output layer
    observation: int  # columns of patches of a first layer


class SideRows(nn.Module):
    """Rows by owner, a task or a branch, then by kind of side, then by patch.

    Args:
        hidden: Patches of the longest side between hidden layers.
        outer: Patches of the outer side of each owner.
    """

    counts: Tensor
    first: Tensor

    def __init__(self, hidden: int, outer: Sequence[int]) -> None:
        super().__init__()
        sizes = [rows for size in outer for rows in (hidden, size)]
        starts = [0, *accumulate(sizes)][: len(sizes)]
        for name, numbers in (("counts", sizes), ("first", starts)):  # (owners, KINDS)
            table = torch.tensor(numbers, dtype=torch.int64).view(-1, KINDS)
            self.register_buffer(name, table, persistent=False)
        alike = set(outer) <= {hidden}
        self.shape = (len(outer), KINDS, hidden) if alike else (len(outer) * hidden + sum(outer),)

    def forward(self, owner: Tensor, cell: Tensor, outer: Tensor) -> tuple[Tensor, Tensor]:
        """Find the rows of patches, and whether there is one; else some row is named.

        Args:
            owner: Of each network ``(B,)``.
            cell: Which patch of its side each token is, ``(B, S)``.
            outer: ``(B, S)`` bool, whether the side is an outer one.

        Returns:
            Each ``(B, S)``: int64, and bool.
        """
        of_kind = owner[:, None], outer.long()
        inside = cell < self.counts[of_kind]
        return self.first[of_kind] + torch.where(inside, cell, 0), inside

    def of(self, owner: int, table: Tensor) -> tuple[Tensor, ...]:
        """View an owner's rows of a table ``(*shape, E)``, by kind of side."""
        rows = as_rows(table)
        bounds = zip(self.first[owner].tolist(), self.counts[owner].tolist(), strict=True)
        return tuple(rows[first : first + count] for first, count in bounds)


class TableSides(NamedTuple):
    """Rows of the tables of some owners."""

    rows: SideRows  # of output sides
    columns: SideRows  # of input sides


def own_sides(hidden: int, outer: Sequence[OuterSides]) -> TableSides:
    """Return the sides of owners, each as long as its networks need.

    Args:
        hidden: Patches of the longest side between hidden layers.
        outer: The outer sides of each owner.
    """
    return TableSides(
        SideRows(hidden, [one.action for one in outer]),
        SideRows(hidden, [one.observation for one in outer]),
    )


def even_sides(owners: int, rows: int, columns: int) -> TableSides:
    """Return the sides of owners who all have as many patches on sides of both kinds."""
    return TableSides(SideRows(rows, [rows] * owners), SideRows(columns, [columns] * owners))


def as_rows(table: Tensor) -> Tensor:
    """View a table ``(..., E)`` as rows."""
    return table.flatten(0, -2)
