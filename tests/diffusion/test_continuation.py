"""Going on from a trained transformer with further tasks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from learning_examples import DEPTHS, INTERFACE, WIDTHS, random_flat, stirred

from nnit.diffusion.architecture import mask_batch
from nnit.diffusion.batch import UNKNOWN_BRANCH, BatchRules, collate
from nnit.diffusion.continuation import KnownTask, different_sizes, go_on_from
from nnit.diffusion.ema import Ema
from nnit.diffusion.sampler import SampleRequest, sample_networks
from nnit.diffusion.training import (
    DiffusionTrainingSettings,
    branch_rows,
    network_tokens,
    train_diffusion,
)
from nnit.diffusion.transformer import TransformerConfig, build_transformer, places_of_tasks
from nnit.diffusion.typical import PlaceGrid
from nnit.seeding import torch_generator
from nnit.tokens.tokenizer import join_tokens, tokenize_zoo
from nnit.training import build_optimizer
from nnit.zoo.members import ZooMember, build_zoo

GRID = PlaceGrid(3, 6, 6)
ONE = TransformerConfig(4, DEPTHS, WIDTHS, width=32, depth=2, heads=2, num_branches=2)
TWO = replace(ONE, num_branches=5, num_tasks=2)  # two branches and three
THREE = replace(ONE, num_branches=9, num_tasks=3)  # three, four and two: the second one first
FIRST, SECOND = places_of_tasks([2, 3])

pytestmark = pytest.mark.seconds


def predict(model, networks, place, branch):
    """Predict weights and architectures of networks as those of one branch of one task."""
    count = len(networks)
    row = branch if branch == UNKNOWN_BRANCH else place.branches[branch]
    batch = collate(networks, branches=[row] * count, tasks=[place.task] * count)
    masked = mask_batch(
        [(8, 3), (24,)], model.config, torch.Generator().manual_seed(0), tasks=[place.task] * 2
    )
    t = torch.full((count,), 0.5)
    with torch.no_grad():
        logits = model.architecture_logits(masked.batch, masked.t_arch)
        return model(batch, t, t), logits


@pytest.mark.parametrize("branch", [0, 1, UNKNOWN_BRANCH])
@pytest.mark.parametrize(
    ("places", "ranks"),
    [
        (None, {}),
        (GRID, {}),
        (GRID, {"rank": 3}),
        (GRID, {"rank": 3, "typical_rank": 2}),
        (GRID, {"rank": 3, "typical_rank": 2, "outer": True}),
    ],
)
def test_what_a_task_was_is_kept_exactly(networks, branch, places, ranks):
    """From one task to two, and on to three in another order: the same predictions to the bit.

    Also where the others have larger networks, so that there are more places.
    """
    more = places and PlaceGrid(5, 7, 8)
    ranks, a, b, c = {**ranks}, (1, 2), (1, 3), (1, 1)
    own = ranks.pop("outer", False)  # sides of each task, of its branches too

    def made(config, grid, seed, outer):
        config = replace(config, places=grid, outer=outer if own else (), **ranks)
        return stirred(build_transformer(config, seed))

    one = made(ONE, places, 1, (a, a, a))
    two = made(TWO, more, 2, (a, b, a, a, b, b, b))
    (alone,) = places_of_tasks([2])
    go_on_from(one, two, [KnownTask(alone, FIRST)])
    expected = predict(one, networks, alone, branch)
    assert all(map(torch.equal, predict(two, networks, FIRST, branch), expected))

    two = stirred(two)
    three = made(THREE, more, 3, (b, c, a, *[b] * 3, *[c] * 4, *[a] * 2))
    new = places_of_tasks([3, 4, 2])
    go_on_from(two, three, [KnownTask(FIRST, new[2]), KnownTask(SECOND, new[0])])
    for old, now in ((FIRST, new[2]), (SECOND, new[0])):
        expected = predict(two, networks, old, branch)
        assert all(map(torch.equal, predict(three, networks, now, branch), expected))


def test_rows_of_what_is_new_stay_fresh():
    """Task, branches, and values of architecture tokens that the old transformer did not know."""
    one = stirred(build_transformer(ONE, 1))
    wider = replace(TWO, arch_widths=(*WIDTHS, 64))
    fresh, new = build_transformer(wider, 2), build_transformer(wider, 2)
    go_on_from(one, new, [KnownTask(places_of_tasks([2])[0], FIRST)])
    assert not new.task_in.weight[0].any()
    assert torch.equal(new.task_in.weight[1], fresh.task_in.weight[1])
    assert torch.equal(new.branch_in.weight[2:5], fresh.branch_in.weight[2:5])
    assert torch.equal(new.branch_in.weight[[0, 1, -1]], one.branch_in.weight)
    assert torch.equal(new.arch_out.weight[:-1], one.arch_out.weight)
    assert torch.equal(new.arch_out.weight[-1], fresh.arch_out.weight[-1])


@pytest.mark.parametrize("branch", [0, 2, UNKNOWN_BRANCH])
def test_one_task_of_several_can_be_gone_on_with_alone(networks, branch):
    """Its row is in its branches then: the same predictions up to rounding."""
    two = stirred(build_transformer(TWO, 2))
    one = build_transformer(replace(ONE, num_branches=3), 1)
    (alone,) = places_of_tasks([3])
    go_on_from(two, one, [KnownTask(SECOND, alone)])
    for ours, theirs in zip(
        predict(one, networks, alone, branch), predict(two, networks, SECOND, branch), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_other_sizes_are_named():
    """Neither wider nor deeper nor with other patches."""
    other = replace(TWO, width=64, depth=3, patch_size=8, places=PlaceGrid(1, 1, 1))
    assert different_sizes(ONE, other) == ["patch_size", "width", "depth", "places"]
    with pytest.raises(ValueError, match="different in patch_size, width, depth, places"):
        go_on_from(build_transformer(ONE, 0), build_transformer(other, 0), [])


def trained(model, token_set, steps):
    """Train a transformer in place on a token set and give it its averaged weights."""
    ema, optimizer = Ema(model, 0.9), build_optimizer(model, 0.0)
    settings = DiffusionTrainingSettings(steps, BatchRules(256), 5e-3, seed=0, autocast=False)
    networks = [network_tokens(token_set, k) for k in range(len(token_set))]
    for _ in train_diffusion(
        model,
        ema,
        optimizer,
        networks,
        token_set.architectures,
        branch_rows(token_set),
        settings,
        tasks=token_set.tasks.tolist(),
    ):
        pass
    model.load_state_dict(ema.parameters)
    return model


def test_a_task_that_is_added_is_learnt_and_the_other_is_kept():
    """Opposite networks of one shape, the second task added later: asked for each, it gives it."""
    spec = INTERFACE.spec((8,))
    centre = random_flat(spec, seed=20)
    interfaces = (INTERFACE, INTERFACE._replace(task="PickCube-v1"))
    member = ZooMember((8,), 0, 0, 0.0, 0.0)
    parts = [
        tokenize_zoo(build_zoo([member], [sign * centre], interface), 4)
        for sign, interface in zip((1, -1), interfaces, strict=True)
    ]
    config = TransformerConfig(4, (1,), (8,), width=32, depth=1, heads=2, num_branches=1)
    old = trained(build_transformer(config, 0), parts[0], 150)
    new = build_transformer(replace(config, num_branches=2, num_tasks=2), 1)
    places = places_of_tasks([1, 1])
    go_on_from(old, new, [KnownTask(places_of_tasks([1])[0], places[0])])
    together = join_tokens(parts)
    trained(new, together, 200)
    for place, sign in zip(places, (1, -1), strict=True):
        requests = [
            SampleRequest(spec, place.branches[0], torch_generator(seed), place.task)
            for seed in range(3)
        ]
        standardizer = together.standardizers[place.task]
        for _, network in sample_networks(new, requests, 4, standardizer, num_steps=4):
            error = np.linalg.norm(network.weights - sign * centre)
            assert error < 0.3 * np.linalg.norm(centre)
