"""One independent generator for each item."""

import numpy as np
import torch

from nnit.seeding import derive_seed, numpy_generator, torch_generator

GOLDEN = 2_968_449_603_188_802_139


def test_seed_of_an_item_is_the_same_for_ever():
    """The number written down here: another one would change every artifact."""
    assert derive_seed(0, "member", 3) == GOLDEN


def test_seeds_are_non_negative_and_below_two_to_the_63():
    """What numpy and torch take."""
    assert all(0 <= derive_seed(seed, "x") < 2**63 for seed in range(1000))


def test_different_items_have_different_seeds():
    """Neither seed, name, index nor their order may be swapped."""
    paths = [(0,), (0, "a"), (0, "b"), (0, "a", 1), (0, "a", 2), (0, 1, "a"), (1, "a", 1), (0, 11)]
    seeds = [derive_seed(*path) for path in paths]
    assert len(set(seeds)) == len(paths)


def test_streams_of_neighbours_are_unrelated():
    """Draws of items 0 and 1 correlate no more than chance allows."""
    one, two = (numpy_generator(0, "item", k).standard_normal(10_000) for k in (0, 1))
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.05


def test_generators_repeat_and_leave_the_global_ones_alone():
    """The same path gives the same numbers, and nobody else's numbers change."""
    before = torch.get_rng_state()
    draws = [torch.rand(5, generator=torch_generator(0, "a")) for _ in range(2)]
    assert torch.equal(*draws)
    assert torch.equal(torch.get_rng_state(), before)
    assert numpy_generator(0, "a").random() == numpy_generator(0, "a").random()
