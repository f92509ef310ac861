"""What networks have in common, as factors."""

from dataclasses import replace

import pytest
import torch
from learning_examples import DEPTHS, INTERFACE, WIDTHS

from nnit.diffusion.batch import UNKNOWN_BRANCH, collate
from nnit.diffusion.factors import FactoredPatches
from nnit.diffusion.sides import OuterSides, even_sides, own_sides
from nnit.diffusion.transformer import TransformerConfig, build_transformer
from nnit.diffusion.typical import PlaceGrid, TypicalPatches, grid_of

PATCH = 4
WIDEST = 24  # units; a layer has no higher rank
TASKS, BRANCHES = [0, 0, 1], [0, 1, 2]


def sides_of(grid):
    """Return the patches of two tasks' sides and of three branches'."""
    return even_sides(2, *grid[1:]), even_sides(3, *grid[1:])


def tables(networks):
    """Return the whole tables of two tasks and three branches."""
    return TypicalPatches(grid_of(networks), 2, 3, PATCH * (PATCH + 1))


def factors(networks, rank):
    """Return their factors."""
    grid = grid_of(networks)
    return FactoredPatches(grid, *sides_of(grid), PATCH, rank)


def fitted(networks, typical):
    """Fit what is typical of networks of two tasks and three branches in turn."""
    count = len(networks)
    tasks, branches = ((own * count)[:count] for own in (TASKS, BRANCHES))
    typical.fit(networks, tasks, branches)
    batch = collate(
        list(networks) + list(networks),
        branches=[*branches, *[{0: 0.7, 1: 0.3}, UNKNOWN_BRANCH] * count][: 2 * count],
        tasks=[*tasks, *[0] * count],
    )
    return typical(batch)


def test_factors_of_full_rank_are_the_tables(networks):
    """In any place, task and mixture of branches, biases too."""
    whole = fitted(networks, tables(networks))
    found = fitted(networks, factors(networks, 2 * WIDEST))
    assert whole.any()
    torch.testing.assert_close(found, whole, atol=1e-5, rtol=1e-4)


def test_a_lower_rank_loses_more(networks):
    """And a bias nothing: it is kept as it is."""
    whole = fitted(networks, tables(networks))
    lost = [
        (fitted(networks, factors(networks, rank)) - whole)[..., : PATCH**2].norm()
        for rank in (16, 8, 4, 2)
    ]
    assert 0 < lost[0] < lost[1] < lost[2] < lost[3] < whole.norm()
    biases = fitted(networks, factors(networks, 2))[..., PATCH**2 :]
    torch.testing.assert_close(biases, whole[..., PATCH**2 :])


def test_sides_of_their_own_are_enough(networks):
    """As long as the networks are: the same factors out of fewer rows, and of no place beyond."""
    grid = grid_of(networks)
    hidden = grid.rows
    ends = [OuterSides(-(-INTERFACE.act_dim // PATCH), -(-INTERFACE.obs_dim // PATCH))] * 3
    own = own_sides(hidden, ends[:2]), own_sides(hidden, ends)
    small = FactoredPatches(grid, *own, PATCH, 3)
    even = factors(networks, 3)
    assert small.tasks.rows.numel() < even.tasks.rows.numel()
    torch.testing.assert_close(fitted(networks, small), fitted(networks, even))
    batch = collate(networks, branches=[0] * len(networks))
    beyond = batch._replace(cell=batch.cell + hidden)
    assert not small(beyond).any()


def test_layers_out_of_common_codes_are_kept_by_their_rank(networks):
    """As a hypernetwork writes them: U C V', C of each layer, U and V of a kind of side."""
    chance = torch.Generator().manual_seed(0)
    grid = PlaceGrid(1, 6, 6)
    typical = FactoredPatches(grid, even_sides(1, 6, 6), even_sides(0, 6, 6), PATCH, 3)
    u, v = (torch.randn(2, 6 * PATCH, 3, generator=chance) for _ in range(2))
    cores = torch.randn(2, 3, 3, generator=chance)
    first, last = torch.tensor([True, False]), torch.tensor([False, True])
    weights = u[last.long()] @ cores @ v[first.long()].mT
    patches = weights.view(2, 6, PATCH, 6, PATCH).transpose(2, 3).flatten(-2)
    content = torch.cat([patches, torch.zeros(2, 6, 6, PATCH)], dim=-1)
    typical.tasks.fit(0, content, last, first)
    network = next(one for one in networks if one.layout.layer.max() == 1)
    batch = collate([network])
    for token, (layer, (row, column)) in enumerate(
        zip(batch.layer[0].tolist(), batch.cell[0].tolist(), strict=True)
    ):
        found = typical(batch)[0, token]
        torch.testing.assert_close(
            found, content[layer, row, column] * batch.mask[0, token], atol=1e-4, rtol=1e-4
        )


@pytest.mark.parametrize("rank", [0, 2])
def test_a_configuration_mentions_the_rank_where_there_is_one(rank):
    """So that those from before stay as they were; and the model is smaller."""
    config = TransformerConfig(
        4, DEPTHS, WIDTHS, width=16, depth=1, heads=2, places=PlaceGrid(3, 6, 6), typical_rank=rank
    )
    assert ("typical_rank" in config.as_dict()) == bool(rank)
    whole = build_transformer(replace(config, typical_rank=0), 0)
    size, full = (
        sum(p.numel() for p in model.parameters())
        for model in (build_transformer(config, 0), whole)
    )
    assert (size < full) == bool(rank)


def test_a_configuration_has_the_outer_sides_of_every_owner():
    """Or of none: then sides of both kinds are alike."""
    config = TransformerConfig(
        4, DEPTHS, WIDTHS, num_branches=2, num_tasks=2, places=PlaceGrid(3, 6, 6)
    )
    assert "outer" not in config.as_dict()
    own = replace(config, outer=[(1, 2), (1, 3), (1, 2), (1, 3)])
    assert TransformerConfig(**own.as_dict()) == own
    for impossible in ([(1, 2)], [(1, 2), (1, 3), (1, 2), (0, 3)]):
        with pytest.raises(ValueError, match="outer sides must be"):
            replace(config, outer=impossible)
