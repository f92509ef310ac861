"""Batches of networks of different lengths."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nnit.diffusion.batch import LENGTH_STEP, BatchRules, collate, epoch_batches, padded_length

relaxed = settings(deadline=None, derandomize=True)
lengths_of_networks = st.lists(st.integers(1, 200), min_size=1, max_size=40).map(np.array)


@given(st.integers(1, 10_000))
@relaxed
def test_padded_length_is_the_next_multiple(length):
    """Not shorter than the sequence, and less than one step longer."""
    padded = padded_length(length)
    assert padded % LENGTH_STEP == 0
    assert 0 <= padded - length < LENGTH_STEP


def test_collate_keeps_the_networks_and_masks_the_rest(networks):
    """Every tensor begins with the network's own; beyond it all is zero and not real."""
    batch = collate(networks)
    longest = max(network.layout.num_tokens for network in networks)
    assert batch.content.shape[:2] == (len(networks), padded_length(longest))
    for k, (layout, content) in enumerate(networks):
        length = layout.num_tokens
        assert torch.equal(batch.content[k, :length], content)
        assert torch.equal(batch.features[k, :length], layout.features)
        assert torch.equal(batch.mask[k, :length], layout.mask)
        assert torch.equal(batch.layer[k, :length], layout.layer)
        assert torch.equal(batch.cell[k, :length], layout.cell)
        assert batch.real[k].tolist() == [True] * length + [False] * (len(batch.real[k]) - length)
        for tensor in batch[:6]:
            assert not tensor[k, length:].any()


@relaxed
@given(lengths_of_networks, st.integers(1, 400), st.integers(0, 3))
def test_an_epoch_has_every_network_once_within_the_budget(lengths, tokens_per_batch, epoch):
    """Padded tokens of a batch stay within the budget, unless one network alone exceeds it."""
    batches = epoch_batches(lengths, BatchRules(tokens_per_batch), 0, epoch, np.zeros(len(lengths)))
    assert sorted(k for batch in batches for k in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = padded_length(int(lengths[batch].max()))
        assert len(batch) == 1 or len(batch) * padded <= tokens_per_batch


def test_batches_have_few_shapes():
    """Almost all batches are full ones of a single padded length."""
    lengths = np.random.default_rng(0).integers(10, 300, size=800)
    batches = epoch_batches(lengths, BatchRules(3000), 0, 0, np.zeros(len(lengths)))
    padded = [{padded_length(int(length)) for length in lengths[batch]} for batch in batches]
    assert sum(len(shapes) > 1 for shapes in padded) <= len(np.unique(-(-lengths // LENGTH_STEP)))
    assert np.mean([len(shapes) == 1 for shapes in padded]) > 0.8


def test_order_depends_on_seed_and_epoch_alone():
    """The same twice; another epoch or seed deals the networks out otherwise."""
    lengths = np.random.default_rng(0).integers(10, 300, size=60)

    def order(seed, epoch):
        tasks = np.arange(60) % 7  # of 9 networks, or 8
        batches = epoch_batches(lengths, BatchRules(1000), seed, epoch, tasks)
        return [batch.tolist() for batch in batches]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


@relaxed
@given(lengths_of_networks, st.integers(0, 200), st.integers(1, 4))
def test_small_networks_come_more_often_and_few_at_a_time(lengths, small, times):
    """The others come once; room decides how many share a step, and the small ones take more."""
    rules = BatchRules(400, least_tokens=100, small_tokens=small, small_times=times)
    batches = epoch_batches(lengths, rules, 0, 0, np.zeros(len(lengths)))
    came = np.bincount(np.concatenate(batches), minlength=len(lengths))
    assert came.tolist() == np.where(lengths <= small, times, 1).tolist()
    assert max(map(len, batches)) <= 4


@relaxed
@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.integers(1, 4))
def test_tasks_weigh_the_same(sizes, weight):
    """Or as they should; all networks of one come about as often as each other."""
    tasks = np.repeat(np.arange(len(sizes)), sizes)
    lengths = np.arange(len(tasks)) % 90 + 1
    batches = epoch_batches(lengths, BatchRules(300), 0, 0, tasks, {0: weight})
    times = np.bincount(np.concatenate(batches), minlength=len(tasks))
    for task, size in enumerate(sizes):
        mine, expected = times[tasks == task], max(sizes) * (1 if task else weight)
        assert mine.sum() == expected
        assert set(mine) <= {expected // size, -(-expected // size)}
