"""What networks have in common, place by place.

Units mean the same in all networks, so that the mean patch of a place (layer, row and column) over
the training networks is most of any network. So is what the networks of a branch have beside it
most of the difference between branches, in networks of all depths alike. A transformer that
predicts what a network has beside both need not learn tables first.
"""

from collections.abc import Callable, Sequence
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

    @property
    def num_shared(self) -> int:
        """Places that networks of all depths share."""
        return (self.depth + 1) * self.rows * self.columns


class Places(NamedTuple):
    """Where the tokens of a batch are, each ``(B, S)``."""

    own: Tensor  # int64, among the places of networks of all depths
    shared: Tensor  # int64, among those that all depths share: output layers first
    inside: Tensor  # bool, whether the grid has the place


def grid_of(networks: Sequence[NetworkTokens]) -> PlaceGrid:
    """Return the smallest grid that has all places of some networks."""
    cells = torch.stack([network.layout.cell.amax(dim=0) for network in networks]).amax(dim=0)
    depth = max(int(network.layout.layer.max()) for network in networks)
    return PlaceGrid(depth, *(cells + 1).tolist())


def find_places(batch: TokenBatch, grid: PlaceGrid) -> Places:
    """Return the places of the tokens.

    Layers are told apart by their distance from both ends; shared are those equally far from the
    input, and all output layers. Layers of a network that is deeper than the grid have the place
    that is as far through the deepest one, of the layers between if they are; where the grid has
    none, they have no place. The weight and the bias patch of a place are one: they
    have different entries of content.
    """
    depth = batch.layer.amax(dim=1, keepdim=True)  # (B, 1), as the output layer's index says
    known = depth.clamp(min=1, max=grid.depth)
    layer = (batch.layer * known / depth.clamp(min=1)).round().long()
    between = (batch.layer > 0) & (batch.layer < depth)
    layer = torch.where(between, layer.clamp(min=1).minimum(known - 1), layer)
    of_depth = known * (known + 1) // 2 - 1  # layers of all shallower networks
    row, column = batch.cell.unbind(-1)
    inside = (row < grid.rows) & (column < grid.columns) & ~(between & (known == 1))
    own, shared = (
        torch.where(inside, (number * grid.rows + row) * grid.columns + column, 0)
        for number in (of_depth + layer, torch.where(layer == known, 0, 1 + layer))
    )
    return Places(own, shared, inside)


class TypicalPatches(nn.Module):
    """The mean content of each place in each task, and what each branch has beside it.

    Both are zero where no training network has a patch. The tables are fitted and not trained, but
    are among the parameters, which are what is kept.

    Args:
        grid: The places.
        num_tasks: That are told apart.
        num_branches: Of all tasks.
        content_size: Entries of a token's content.
    """

    def __init__(
        self, grid: PlaceGrid, num_tasks: int, num_branches: int, content_size: int
    ) -> None:
        super().__init__()
        self.grid = grid
        self.num_branches = num_branches
        sizes = num_tasks * grid.num_places, num_branches * grid.num_shared
        self.table, branches = (
            nn.Parameter(torch.zeros(size, content_size), requires_grad=False) for size in sizes
        )
        if num_branches:
            self.branches = branches

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return the content ``(B, S, C)`` that is typical of the places of a batch."""
        places = find_places(batch, self.grid)
        typical = F.embedding(places.own + batch.task[:, None] * self.grid.num_places, self.table)
        if self.num_branches:
            typical = add_branches(
                typical,
                batch,
                lambda branch: F.embedding(
                    places.shared + branch[:, None] * self.grid.num_shared, self.branches
                ),
            )
        return typical * (batch.mask & places.inside[..., None])

    def by_place(self) -> Tensor:
        """View the table by task, layer of a network of some depth, row and column."""
        return self.table.data.view(-1, self.grid.num_layers, *self.grid[1:], self.table.shape[-1])

    def by_branch(self) -> Tensor:
        """View what is typical of branches by branch, shared layer, row and column."""
        size = self.branches.shape[-1]
        return self.branches.data.view(-1, self.grid.depth + 1, *self.grid[1:], size)

    @torch.no_grad()
    def fit(
        self, networks: Sequence[NetworkTokens], tasks: Sequence[int], branches: Sequence[int]
    ) -> None:
        """Average networks, each of a task and of a branch, counted over all tasks.

        The mean of a rare place is shrunk towards zero: first that of all branches, then that of
        what those of a branch have beside it.
        """
        batches = [
            collate([network], branches=[branch], tasks=[task])
            for network, task, branch in zip(networks, tasks, branches, strict=True)
        ]
        places = [find_places(batch, self.grid) for batch in batches]
        rows = [
            found.own[0] + task * self.grid.num_places
            for found, task in zip(places, tasks, strict=True)
        ]
        if self.num_branches:
            self.branches.zero_()
        self.table.copy_(
            shrunk_means(batches, [batch.content for batch in batches], rows, self.table)
        )
        if self.num_branches:
            mine = [k for k, branch in enumerate(branches) if branch >= 0]
            beside = [batches[k].content - self(batches[k]) for k in mine]
            rows = [places[k].shared[0] + branches[k] * self.grid.num_shared for k in mine]
            self.branches.copy_(
                shrunk_means([batches[k] for k in mine], beside, rows, self.branches)
            )


def add_branches(found: Tensor, batch: TokenBatch, beside: Callable[[Tensor], Tensor]) -> Tensor:
    """Add to what is found of tokens what the branches of their networks have beside it.

    Args:
        found: ``(B, S, E)``.
        batch: Says which branches each network is like, and how much.
        beside: From a branch of each network ``(B,)`` to what it has at each token ``(B, S, E)``.
    """
    # One by one: all together they would take several times the memory of what is found.
    for branch, share in zip(batch.branch.T, batch.share.T, strict=True):
        said = share * (branch >= 0)  # else UNKNOWN_BRANCH: of the mean branch
        found = found + beside(branch.clamp(min=0)) * said[:, None, None]
    return found


def shrunk_means(
    batches: Sequence[TokenBatch], contents: Sequence[Tensor], rows: Sequence[Tensor], like: Tensor
) -> Tensor:
    """Return the mean content of each row of a table, shrunk where it is rare.

    Args:
        batches: Networks, one in each.
        contents: Of each, ``(1, S, C)``.
        rows: Of the tokens of each, ``(S,)``.
        like: The table.
    """
    sums, counts = torch.zeros_like(like), torch.zeros_like(like)
    for batch, content, row in zip(batches, contents, rows, strict=True):
        sums.index_add_(0, row, content[0] * batch.mask[0])
        counts.index_add_(0, row, batch.mask[0].float())
    return sums / (counts + SHRINKAGE)
