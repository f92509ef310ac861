"""What networks have in common, place by place."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from learning_examples import DEPTHS, DIMS, INTERFACE, WIDTHS, make_zoo, stirred

from nnit.diffusion.batch import collate
from nnit.diffusion.sampler import choose_manner
from nnit.diffusion.training import network_tokens
from nnit.diffusion.transformer import TransformerConfig, build_transformer
from nnit.diffusion.typical import SHRINKAGE, PlaceGrid, TypicalPatches, find_places, grid_of
from nnit.seeding import torch_generator
from nnit.tokens.sequence import Modality, NetworkTokens, build_layout
from nnit.tokens.tokenizer import tokenize_zoo

GRID = PlaceGrid(depth=3, rows=6, columns=6)  # of DIMS in patches of 4
CONFIG = TransformerConfig(4, DEPTHS, WIDTHS, width=16, depth=1, heads=2)


def typical_of(networks, tasks, branches):
    """Fit the table of these networks."""
    size = networks[0].content.shape[1]
    typical = TypicalPatches(grid_of(networks), max(tasks) + 1, max(branches) + 1, size)
    typical.fit(networks, tasks, branches)
    return typical


def filled(token_set, hidden_dims, value=1.0):
    """Return the sequence of a network of this shape, all of whose weights have one value."""
    layout = build_layout(INTERFACE.spec(hidden_dims), 4, token_set.standardizers[0])
    return NetworkTokens(layout, layout.mask * value)


def test_grid_is_as_large_as_the_largest_networks(networks):
    """Three hidden layers, and 24 units in patches of 4."""
    assert grid_of(networks) == GRID


def test_places_of_all_shapes_are_different(networks):
    """Layers of other depths, rows and columns; the weight and the bias patch of one are one."""
    seen = {}
    for network in networks:
        batch = collate([network])
        place, _, inside = find_places(batch, GRID)
        assert inside.all()
        assert int(place.max()) < GRID.num_places
        depth = int(network.layout.layer.max())
        for token, (layer, cell) in enumerate(
            zip(network.layout.layer, network.layout.cell, strict=True)
        ):
            if network.layout.modality[token] != Modality.ARCH:
                what = (depth, int(layer), *cell.tolist())
                assert seen.setdefault(int(place[0, token]), what) == what


def test_layers_beyond_the_deepest_have_the_places_of_it(token_set):
    """First and last layer are first and last; rows and columns beyond have no place."""
    deep = collate([filled(token_set, (8,) * 6)])
    three = collate([filled(token_set, (8,) * 3)])
    places = {
        name: [find_places(batch, GRID).own[0, batch.layer[0] == layer].max() for layer in layers]
        for name, batch, layers in (("deep", deep, (0, 2, 4, 6)), ("three", three, (0, 1, 2, 3)))
    }
    assert places["deep"] == places["three"]
    seen = find_places(deep, GRID).own[0, deep.layer[0] == 1].max()
    assert seen == find_places(three, GRID).own[0, three.layer[0] == 1].max()  # not of the first
    shallow = PlaceGrid(1, GRID.rows, GRID.columns)  # has no layer between
    between = (deep.layer > 0) & (deep.layer < 6)
    assert torch.equal(find_places(deep, shallow).inside, ~between)
    wide = collate([filled(token_set, (28, 28))])
    assert torch.equal(find_places(wide, GRID).inside, (wide.cell < 6).all(dim=-1))


def test_typical_content_is_the_mean_shrunk_where_a_place_is_rare(token_set):
    """By hand: n networks of c each give n c / (n + SHRINKAGE), and nothing where there is none."""
    ones, threes = filled(token_set, (8, 8)), filled(token_set, (8, 8), 3.0)
    typical = typical_of([ones, threes], [0, 0], [-1, -1])
    found = typical(collate([ones]))[0, : ones.layout.num_tokens]
    torch.testing.assert_close(found, ones.layout.mask * (4 / (2 + SHRINKAGE)))
    other = filled(token_set, (8,))
    assert not typical(collate([other])).any()


def test_every_task_has_its_own(token_set):
    """Two tasks with opposite networks: what is typical of one is the opposite of the other's."""
    ones = filled(token_set, (8, 8))
    typical = typical_of([ones, ones._replace(content=-ones.content)], [0, 1], [-1, -1])
    first, second = typical(collate([ones, ones], tasks=[0, 1]))
    assert first.any()
    assert torch.equal(first, -second)


def test_a_branch_adds_what_its_networks_have_beside_the_mean(token_set):
    """By hand, in one place: the mean, then the mean of what is left; both shrunk."""
    ones, threes = filled(token_set, (8, 8)), filled(token_set, (8, 8), 3.0)
    typical = typical_of([ones, threes], [0, 0], [0, 1])
    mean = 4 / (2 + SHRINKAGE)
    for branch, value in enumerate((1.0, 3.0)):
        found = typical(collate([ones], branches=[branch]))[0, : ones.layout.num_tokens]
        beside = (value - mean) / (1 + SHRINKAGE)
        # two layers of one place each are shared by the only depth there is
        torch.testing.assert_close(found, ones.layout.mask * (mean + beside))
    unsaid = typical(collate([ones]))[0, : ones.layout.num_tokens]
    torch.testing.assert_close(unsaid, ones.layout.mask * mean)


def apart(token_set):
    """Fit four branches that are equally far from each other; return that distance too."""
    ones = filled(token_set, (8, 8))
    entries = int(ones.layout.mask.sum())
    generator = torch.Generator().manual_seed(0)
    directions = torch.linalg.qr(torch.randn(entries, 4, generator=generator)).Q
    networks = [ones._replace(content=torch.zeros_like(ones.content)) for _ in range(4)]
    for network, direction in zip(networks, directions.T, strict=True):
        network.content[ones.layout.mask] = direction
    typical = typical_of(networks, [0] * 4, range(4))
    pure = typical(collate([ones] * 4, branches=range(4)))
    distances = torch.pdist(pure.flatten(1))
    torch.testing.assert_close(distances, distances[:1].expand(6))
    return typical, ones, float(distances[0])


def test_between_branches_each_adds_its_share(token_set):
    """Two of them by hand; beside a network of one branch, whose content is the same bytes."""
    typical, ones, _ = apart(token_set)
    first, third, mixed = typical(collate([ones] * 3, branches=[0, 2, {0: 0.75, 2: 0.25}]))
    torch.testing.assert_close(mixed, 0.75 * first + 0.25 * third)
    assert torch.equal(typical(collate([ones], branches=[0]))[0], first)


def test_samples_of_a_shape_keep_apart(token_set):
    """Against branches that are equally far from each other: as ``choose_manner`` says."""
    typical, ones, unit = apart(token_set)
    same, different = [], []
    for seed in range(20):
        manners = [choose_manner(range(4), torch_generator(seed), k) for k in range(16)]
        contents = typical(collate([ones] * 16, branches=manners)).flatten(1)
        distances = torch.cdist(contents, contents) / unit
        for a, b in combinations(range(16), 2):
            (same if (a - b) % 4 == 0 else different).append(float(distances[a, b]))
    assert np.mean(different) == pytest.approx(0.75, abs=0.01)
    assert np.mean(same) == pytest.approx(0.21, abs=0.01)
    assert min(same + different) > 0.06


def test_a_mixture_of_equal_branches_is_each_of_them(networks):
    """The same prediction, of weights and of architectures, up to rounding."""
    model = stirred(build_transformer(replace(CONFIG, num_branches=2, places=GRID), 0))
    model.branch_in.weight[1] = model.branch_in.weight[0]
    model.typical.by_branch()[1] = model.typical.by_branch()[0]
    count = len(networks)
    one, mixed = (collate(networks, branches=[of] * count) for of in (1, {0: 0.25, 1: 0.75}))
    t = torch.full((count,), 0.5)
    for predict in (lambda batch: model(batch, t, t), lambda b: model.architecture_logits(b, t)):
        torch.testing.assert_close(predict(mixed), predict(one), atol=1e-5, rtol=1e-5)
    model.branch_in.weight[0] += 1
    assert not torch.allclose(model(mixed, t, t), model(one, t, t), atol=1e-3)


def test_all_of_one_branch_is_that_branch_to_the_last_bit(networks):
    """Whether it is said as a row, or as shares of which others have none."""
    model = stirred(build_transformer(replace(CONFIG, num_branches=2, places=GRID), 0))
    count, t = len(networks), torch.full((len(networks),), 0.5)
    expected = model(collate(networks, branches=[1] * count), t, t)
    assert torch.equal(
        model(collate(networks, branches=[{1: 1.0, 0: 0.0}] * count), t, t), expected
    )


def test_what_is_typical_of_a_branch_holds_at_depths_that_it_has_no_network_of(token_set):
    """The first layer of three is moved as that of two; the third has nothing to be moved by."""
    two, three = filled(token_set, (8, 8)), filled(token_set, (8, 8, 8))
    typical = typical_of([two, three], [0, 0], [0, 1])
    (layer,) = collate([three]).layer
    moved = (typical(collate([three], branches=[0])) - typical(collate([three])))[0].any(dim=-1)
    hidden = collate([three]).mask[0].any(dim=-1)
    assert moved[hidden & (layer < 2)].all()
    assert moved[hidden & (layer == 3)].all()  # the output layer, which all depths share
    assert not moved[layer == 2].any()


def test_an_untrained_transformer_predicts_what_is_typical():
    """At any time: of many like networks the network itself but for the shrinking."""
    tokens = tokenize_zoo(make_zoo([DIMS[1]] * 6), 4)
    networks = [network_tokens(tokens, k) for k in range(6)]
    model = build_transformer(replace(CONFIG, places=grid_of(networks)), 0)
    model.typical.fit(networks, [0] * 6, [-1] * 6)
    batch = collate(networks)
    for t in (0.0, 0.5, 1.0):
        found = model(batch, torch.ones(6), torch.full((6,), t))
        assert torch.equal(found, model.typical(batch))
    mean = torch.stack([network.content for network in networks]).mean(0)
    expected = mean * 6 / (6 + SHRINKAGE)
    torch.testing.assert_close(model.typical(batch)[0, : len(mean)], expected)


def test_of_pure_noise_nothing_is_seen(networks):
    """At t = 0 the prediction is the same whatever the noise; later it is not."""
    model = stirred(build_transformer(replace(CONFIG, places=GRID), 0))
    batch = collate(networks)
    other = batch._replace(content=batch.content + batch.mask)
    ones = torch.ones(len(networks))
    assert torch.equal(model(batch, ones, 0 * ones), model(other, ones, 0 * ones))
    assert not torch.equal(model(batch, ones, 0.5 * ones), model(other, ones, 0.5 * ones))


@pytest.mark.parametrize("places", [None, GRID])
def test_what_is_predicted_is_float32_to_the_last_bit(networks, places):
    """With bfloat16 products before it, the last layer's are not rounded to bfloat16."""
    model = stirred(build_transformer(replace(CONFIG, places=places), 0))
    ones = torch.ones(len(networks))
    with torch.autocast("cpu", torch.bfloat16):
        found = model(collate(networks), ones, 0.5 * ones)
    assert found.dtype == torch.float32
    assert (found != found.bfloat16().float()).float().mean() > 0.9


def test_configuration_from_before_there_were_places_is_as_it_was():
    """Nothing is said of places where there are none; where there are, they survive as JSON."""
    assert "places" not in CONFIG.as_dict()
    placed = replace(CONFIG, places=GRID)
    assert TransformerConfig(**{**placed.as_dict(), "places": list(GRID)}) == placed
    with pytest.raises(ValueError, match="places must be within"):
        replace(CONFIG, places=PlaceGrid(0, 1, 1))
