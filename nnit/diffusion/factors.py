"""What networks have in common, in little: of each layer ``U C V'`` instead of a table of patches.

A hypernetwork writes layers out of codes of units that all networks share, so that the mean of a
layer over the training networks has a rank far below its width. The tables of ``nnit.diffusion.
typical`` are most of a generator of many tasks; factors take a part of that. What is lost is left
to the transformer, which has to be trained with them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from nnit.diffusion.batch import TokenBatch
from nnit.diffusion.sides import KINDS, TableSides, as_rows
from nnit.diffusion.typical import PlaceGrid, TypicalPatches, add_branches, find_places
from nnit.tokens.sequence import NetworkTokens


class LayerPlace(NamedTuple):
    """Where the tokens of a batch are in their network, each ``(B, S)``."""

    layer: Tensor  # int64, of those that the factors know
    cell: Tensor  # (B, S, 2) int64, the row and the column of a patch
    last: Tensor  # bool, whether the output side of the layer is the action
    first: Tensor  # bool, whether its input side is the observation


class LayerFactors(nn.Module):
    """Factors of the layers of some owners, tasks or branches; fitted and not trained.

    Args:
        layers: Of each owner.
        sides: Patches of their sides.
        grid: The places.
        patch_size: Side of a patch.
        rank: Columns of ``U`` and of ``V``.
    """

    def __init__(
        self, layers: int, sides: TableSides, grid: PlaceGrid, patch_size: int, rank: int
    ) -> None:
        super().__init__()
        self.row_sides, self.column_sides = sides
        self.grid, self.patch_size, self.rank = grid, patch_size, rank
        owners = len(sides.rows.counts)
        self.rows, self.columns, self.cores, self.biases = (
            nn.Parameter(torch.zeros(shape), requires_grad=False)
            for shape in (
                (*sides.rows.shape, patch_size * rank),
                (*sides.columns.shape, patch_size * rank),
                (owners, layers, rank**2),
                (owners, layers, grid.rows, patch_size),
            )
        )

    def forward(self, owner: Tensor, place: LayerPlace) -> Tensor:
        """Return the content ``(B, S, C)`` of tokens of each network's owner ``(B,)``."""
        row, column = place.cell.unbind(-1)
        row_of, has_row = self.row_sides(owner, row, place.last)
        column_of, has_column = self.column_sides(owner, column, place.first)
        owner = owner[:, None]
        u, v = (
            rearrange(F.embedding(found, as_rows(table)), "b s (p k) -> b s p k", k=self.rank)
            for found, table in ((row_of, self.rows), (column_of, self.columns))
        )
        core = rearrange(self.cores[owner, place.layer], "b s (k l) -> b s k l", k=self.rank)
        bias = self.biases[owner, place.layer, row.clamp(max=self.grid.rows - 1)]
        content = torch.cat([(u @ core @ v.mT).flatten(-2), bias], dim=-1)
        return content * (has_row & has_column)[..., None]

    def of(self, owner: int) -> tuple[Tensor, ...]:
        """View the factors of an owner: by patch for each kind of side, or by layer."""
        return (
            *self.row_sides.of(owner, self.rows.data),
            *self.column_sides.of(owner, self.columns.data),
            self.cores.data[owner],
            self.biases.data[owner],
        )

    @torch.no_grad()
    def fit(self, owner: int, layers: Tensor, last: Tensor, first: Tensor) -> None:
        """Take the best factors of an owner's layers whose sides of one kind have one basis.

        Source: the truncated higher-order SVD (De Lathauwer et al. 2000), side by side.

        Args:
            owner: Its index.
            layers: ``(L, rows, columns, C)``, the content of each place.
            last: ``(L,)`` bool, whether its output side is the action.
            first: ``(L,)`` bool, whether its input side is the observation.
        """
        p = self.patch_size
        weights, biases = layers[..., : p * p], layers[..., p * p :]
        matrices = rearrange(weights, "l r c (p q) -> l (r p) (c q)", p=p)
        left, right = _bases(matrices, last, self.rank), _bases(matrices.mT, first, self.rank)
        u, v = left[last.long()], right[first.long()]
        self.cores[owner] = (u.mT @ matrices @ v).flatten(1)
        for sides, table, bases in (
            (self.row_sides, self.rows, left),
            (self.column_sides, self.columns, right),
        ):
            patches = rearrange(bases, "n (c p) k -> n c (p k)", p=p)
            for mine, found in zip(sides.of(owner, table.data), patches, strict=True):
                mine.copy_(found[: len(mine)])
        # The bias patch of a place is that of its row; all columns but the first have none.
        self.biases[owner] = biases[:, :, 0]


class FactoredPatches(nn.Module):
    """As ``TypicalPatches``, with less to keep.

    Args:
        grid: The places.
        of_tasks: The patches of the sides of each task.
        of_branches: Those of each branch, counted over all tasks.
        patch_size: Side of a patch.
        rank: Of a layer, and of what a branch has beside it.
    """

    def __init__(
        self,
        grid: PlaceGrid,
        of_tasks: TableSides,
        of_branches: TableSides,
        patch_size: int,
        rank: int,
    ) -> None:
        super().__init__()
        self.grid, self.num_branches = grid, len(of_branches.rows.counts)
        self.content_size = patch_size * (patch_size + 1)
        self.tasks = LayerFactors(grid.num_layers, of_tasks, grid, patch_size, rank)
        if self.num_branches:
            self.branches = LayerFactors(grid.depth + 1, of_branches, grid, patch_size, rank)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return the content ``(B, S, C)`` that is typical of the places of a batch, in float32."""
        places, per_layer = find_places(batch, self.grid), self.grid.rows * self.grid.columns
        sides = batch.layer == batch.layer.amax(dim=1, keepdim=True), batch.layer == 0
        own, shared = (
            LayerPlace(found // per_layer, batch.cell, *sides)
            for found in (places.own, places.shared)
        )
        with torch.autocast(batch.content.device.type, enabled=False):
            typical = self.tasks(batch.task, own)
            if self.num_branches:
                typical = add_branches(typical, batch, lambda branch: self.branches(branch, shared))
        return typical * (batch.mask & places.inside[..., None])

    def fit(
        self, networks: Sequence[NetworkTokens], tasks: Sequence[int], branches: Sequence[int]
    ) -> None:
        """Fit tables as ``TypicalPatches`` does, and take their factors."""
        num_tasks = len(self.tasks.cores)
        whole = TypicalPatches(self.grid, num_tasks, self.num_branches, self.content_size)
        whole.fit(networks, tasks, branches)
        depths = range(1, self.grid.depth + 1)
        first = torch.cat([torch.arange(depth + 1) == 0 for depth in depths])
        last = torch.cat([torch.arange(depth + 1) == depth for depth in depths])
        for task, layers in enumerate(whole.by_place()):
            self.tasks.fit(task, layers, last, first)
        if self.num_branches:
            shared = torch.arange(self.grid.depth + 1)  # output layers first
            for branch, layers in enumerate(whole.by_branch()):
                self.branches.fit(branch, layers, shared == 0, shared == 1)


def _bases(matrices: Tensor, outer: Tensor, rank: int) -> Tensor:
    """Return an orthonormal basis ``(KINDS, rows, rank)`` of the rows of each kind of matrices.

    Args:
        matrices: ``(L, rows, columns)``.
        outer: ``(L,)`` bool, of which kind each is.
        rank: Columns; those beyond what there is are zero.
    """
    bases = matrices.new_zeros(KINDS, matrices.shape[1], rank)
    for kind in range(KINDS):
        mine = matrices[outer == bool(kind)]
        u, s, _ = torch.linalg.svd(rearrange(mine, "l r c -> r (l c)"), full_matrices=False)
        kept = u[:, :rank] * (s[:rank] > 0)
        bases[kind, :, : kept.shape[1]] = kept
    return bases
