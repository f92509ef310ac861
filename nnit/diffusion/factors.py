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
from nnit.diffusion.typical import PlaceGrid, TypicalPatches, find_places
from nnit.tokens.sequence import NetworkTokens

KINDS = 2  # of sides: between hidden layers, and towards the observation or the action


class Sides(NamedTuple):
    """Where the tokens of a batch are in their layer, each ``(B, S)``."""

    layer: Tensor  # int64, of those that the factors know
    row: Tensor  # int64, patch of the output side, within the kind of that side
    column: Tensor  # the same of the input side


class LayerFactors(nn.Module):
    """Factors of the layers of some owners, tasks or branches; fitted and not trained.

    Args:
        owners: How many.
        layers: Of each.
        grid: Its patches.
        patch_size: Side of a patch.
        rank: Columns of ``U`` and of ``V``.
    """

    def __init__(
        self, owners: int, layers: int, grid: PlaceGrid, patch_size: int, rank: int
    ) -> None:
        super().__init__()
        self.grid, self.patch_size, self.rank = grid, patch_size, rank
        self.rows, self.columns, self.cores, self.biases = (
            nn.Parameter(torch.zeros(owners, count, size), requires_grad=False)
            for count, size in (
                (KINDS * grid.rows, patch_size * rank),
                (KINDS * grid.columns, patch_size * rank),
                (layers, rank**2),
                (layers * grid.rows, patch_size),
            )
        )

    def forward(self, owner: Tensor, sides: Sides) -> Tensor:
        """Return the content ``(B, S, C)`` of tokens of each network's owner ``(B,)``."""
        row = look_up(self.rows, owner, sides.row)
        column = look_up(self.columns, owner, sides.column)
        core = look_up(self.cores, owner, sides.layer)
        place = sides.layer * self.grid.rows + sides.row % self.grid.rows
        bias = look_up(self.biases, owner, place)
        u, v = (rearrange(side, "b s (p k) -> b s p k", k=self.rank) for side in (row, column))
        c = rearrange(core, "b s (k l) -> b s k l", k=self.rank)
        return torch.cat([(u @ c @ v.mT).flatten(-2), bias], dim=-1)

    def by_place(self, owner: int) -> tuple[Tensor, ...]:
        """View the factors of an owner by kind of side and patch, or by layer and patch."""
        return (
            self.rows[owner].unflatten(0, (KINDS, -1)),
            self.columns[owner].unflatten(0, (KINDS, -1)),
            self.cores[owner],
            self.biases[owner].unflatten(0, (-1, self.grid.rows)),
        )

    @torch.no_grad()
    def fit(self, owner: int, layers: Tensor, outer_rows: Tensor, outer_columns: Tensor) -> None:
        """Take the best factors of an owner's layers whose sides of one kind have one basis.

        Source: the truncated higher-order SVD (De Lathauwer et al. 2000), side by side.

        Args:
            owner: Its index.
            layers: ``(L, R, columns, C)``, the content of each place.
            outer_rows: ``(L,)`` bool, whether its output side is the action.
            outer_columns: ``(L,)`` bool, whether its input side is the observation.
        """
        p = self.patch_size
        weights, biases = layers[..., : p * p], layers[..., p * p :]
        matrices = rearrange(weights, "l r c (p q) -> l (r p) (c q)", p=p)
        left = _bases(matrices, outer_rows, self.rank)
        right = _bases(matrices.mT, outer_columns, self.rank)
        u, v = left[outer_rows.long()], right[outer_columns.long()]
        self.cores[owner] = (u.mT @ matrices @ v).flatten(1)
        self.rows[owner] = rearrange(left, "n (r p) k -> (n r) (p k)", p=p)
        self.columns[owner] = rearrange(right, "n (c p) k -> (n c) (p k)", p=p)
        # The bias patch of a place is that of its row; all columns but the first have none.
        self.biases[owner] = rearrange(biases[:, :, 0], "l r p -> (l r) p")


class FactoredPatches(nn.Module):
    """As ``TypicalPatches``, with less to keep.

    Args:
        grid: The places.
        num_tasks: That are told apart.
        num_branches: Of all tasks.
        patch_size: Side of a patch.
        rank: Of a layer, and of what a branch has beside it.
    """

    def __init__(
        self, grid: PlaceGrid, num_tasks: int, num_branches: int, patch_size: int, rank: int
    ) -> None:
        super().__init__()
        self.grid, self.num_branches = grid, num_branches
        self.content_size = patch_size * (patch_size + 1)
        self.tasks = LayerFactors(num_tasks, grid.num_layers, grid, patch_size, rank)
        if num_branches:
            self.branches = LayerFactors(num_branches, grid.depth + 1, grid, patch_size, rank)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return the content ``(B, S, C)`` that is typical of the places of a batch, in float32."""
        places = find_places(batch, self.grid)
        row, column = (torch.where(places.inside, side, 0) for side in batch.cell.unbind(-1))
        last = batch.layer.amax(dim=1, keepdim=True)
        row = row + (batch.layer == last) * self.grid.rows
        column = column + (batch.layer == 0) * self.grid.columns
        per_layer = self.grid.rows * self.grid.columns
        own, shared = (
            Sides(found // per_layer, row, column) for found in (places.own, places.shared)
        )
        with torch.autocast(batch.content.device.type, enabled=False):
            typical = self.tasks(batch.task, own)
            if self.num_branches:
                for branch, share in zip(batch.branch.T, batch.share.T, strict=True):
                    said = share * (branch >= 0)  # else UNKNOWN_BRANCH: of the mean branch
                    beside = self.branches(branch.clamp(min=0), shared)
                    typical = typical + beside * said[:, None, None]
        return typical * (batch.mask & places.inside[..., None])

    def fit(
        self, networks: Sequence[NetworkTokens], tasks: Sequence[int], branches: Sequence[int]
    ) -> None:
        """Fit tables as ``TypicalPatches`` does, and take their factors."""
        num_tasks = len(self.tasks.rows)
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


def look_up(table: Tensor, owner: Tensor, index: Tensor) -> Tensor:
    """Return rows ``(B, S, E)`` of a table ``(owners, rows, E)``.

    Args:
        table: Of all owners.
        owner: Of each network ``(B,)``.
        index: Of each token ``(B, S)``.
    """
    return F.embedding(index + owner[:, None] * table.shape[1], table.flatten(0, 1))


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
