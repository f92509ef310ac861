"""What networks have in common, as factors."""

from dataclasses import replace

import pytest
import torch
from learning_examples import DEPTHS, WIDTHS

from nnit.diffusion.batch import UNKNOWN_BRANCH, collate
from nnit.diffusion.factors import FactoredPatches
from nnit.diffusion.transformer import TransformerConfig, build_transformer
from nnit.diffusion.typical import PlaceGrid, TypicalPatches, grid_of

PATCH = 4
WIDEST = 24  # units; a layer has no higher rank
TASKS, BRANCHES = [0, 0, 1], [0, 1, 2]


def fitted(networks, kind, *sizes):
    """Fit what is typical of networks of two tasks and three branches in turn."""
    count = len(networks)
    typical = kind(grid_of(networks), 2, 3, *sizes)
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
    whole = fitted(networks, TypicalPatches, PATCH * (PATCH + 1))
    found = fitted(networks, FactoredPatches, PATCH, 2 * WIDEST)
    assert whole.any()
    torch.testing.assert_close(found, whole, atol=1e-5, rtol=1e-4)


def test_a_lower_rank_loses_more(networks):
    """And a bias nothing: it is kept as it is."""
    whole = fitted(networks, TypicalPatches, PATCH * (PATCH + 1))
    lost = [
        (fitted(networks, FactoredPatches, PATCH, rank) - whole)[..., : PATCH**2].norm()
        for rank in (16, 8, 4, 2)
    ]
    assert 0 < lost[0] < lost[1] < lost[2] < lost[3] < whole.norm()
    biases = fitted(networks, FactoredPatches, PATCH, 2)[..., PATCH**2 :]
    torch.testing.assert_close(biases, whole[..., PATCH**2 :])


def test_layers_out_of_common_codes_are_kept_by_their_rank(networks):
    """As a hypernetwork writes them: U C V', C of each layer, U and V of a kind of side."""
    chance = torch.Generator().manual_seed(0)
    grid = PlaceGrid(1, 6, 6)
    typical = FactoredPatches(grid, 1, 0, PATCH, 3)
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
