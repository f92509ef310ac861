"""From a zoo to tokens and back."""

import time

import numpy as np
import pytest
from learning_examples import INTERFACE, OTHER, make_zoo

from nnit.mlp import join_layers, permute_hidden, split_layers
from nnit.tokens.patches import patchify
from nnit.tokens.tokenizer import (
    join_tokens,
    network_layers,
    sequence_lengths,
    tokenize_zoo,
    untokenize,
)
from nnit.zoo.members import ZooMember, build_zoo

DIMS = [(5,), (16, 8), (7, 9, 3), (16, 8), (1,)]
FLOOR_MB_S = 60  # half of what one busy core does


@pytest.mark.parametrize("patch_size", [1, 4, 16, 100])
def test_untokenize_gives_every_weight_back(patch_size):
    """Bit for bit, NaN and signed zero included, with shapes, branches and losses."""
    zoo = make_zoo(DIMS)
    zoo.weights[[0, 1]] = [np.nan, -0.0]
    tokens = tokenize_zoo(zoo, patch_size)
    networks = untokenize(tokens)
    assert len(tokens) == len(networks) == len(zoo)
    for k, network in enumerate(networks):
        assert network.hidden_dims == DIMS[k]
        assert network.weights.tobytes() == zoo.network(k).weights.tobytes()
        assert tokens.branches[k] == zoo.members[k].branch
        assert tokens.losses[k] == np.float32(zoo.members[k].loss)


def test_patches_of_a_network_are_those_of_patchify():
    """The offsets cut the set into what each network alone would give."""
    zoo = make_zoo(DIMS)
    tokens = tokenize_zoo(zoo, 4)
    for k in range(len(zoo)):
        layers = split_layers(zoo.spec(k), zoo.network(k).weights)
        weights, biases = patchify(layers, 4)
        ours = tokens.weight_patches[tokens.weight_offsets[k] : tokens.weight_offsets[k + 1]]
        np.testing.assert_array_equal(ours, weights)
        ours = tokens.bias_patches[tokens.bias_offsets[k] : tokens.bias_offsets[k + 1]]
        np.testing.assert_array_equal(ours, biases)
        np.testing.assert_array_equal(
            join_layers(network_layers(tokens, k)), zoo.network(k).weights
        )


def test_sequence_lengths_count_all_three_modalities():
    """By hand at patch 4: 6 -> 5 -> 3 has 2 + 4 + 2 weight, 2 + 1 bias and 2 others."""
    tokens = tokenize_zoo(make_zoo([(5,), (4, 4)]), 4)
    assert sequence_lengths(tokens).tolist() == [2 + (2 * 2 + 1 * 2) + (2 + 1), 3 + 4 + 3]


def test_same_function_with_permuted_units_has_other_patches():
    """Tokens are of the weights as they lie: only aligned networks have alike tokens."""
    zoo = make_zoo([(16, 8)])
    layers = split_layers(zoo.spec(0), zoo.network(0).weights)
    swapped = permute_hidden(layers, 0, np.roll(np.arange(16), 5))
    member = ZooMember((16, 8), 0, 0, 0.0, 0.0)
    permuted = build_zoo([member], [join_layers(swapped)], INTERFACE)
    one, other = tokenize_zoo(zoo, 4), tokenize_zoo(permuted, 4)
    assert (one.weight_patches != other.weight_patches).mean() > 0.5
    assert (one.bias_patches != other.bias_patches).mean() > 0.3


@pytest.fixture(scope="module")
def large():
    """Sixty megabytes of weights in networks of mixed sizes."""
    rng = np.random.default_rng(0)
    dims, size = [], 0
    while size < 15_000_000:
        dims.append(tuple(int(w) for w in rng.integers(16, 257, size=rng.integers(1, 5))))
        size += INTERFACE.spec(dims[-1]).num_parameters
    return make_zoo(dims)


def rate(function, argument, num_bytes):
    """Return megabytes a second, the better of two runs."""
    durations = []
    for _ in range(2):
        start = time.perf_counter()
        function(argument)
        durations.append(time.perf_counter() - start)
    return num_bytes / 1e6 / min(durations)


def test_cutting_and_joining_are_not_slow(large):
    """A loop over patches would fall under the floor, which is far below the project's target."""
    tokens = tokenize_zoo(large, 16)
    cutting = rate(lambda zoo: tokenize_zoo(zoo, 16), large, large.weights.nbytes)
    joining = rate(untokenize, tokens, large.weights.nbytes)
    print(f"tokenize {cutting:.0f} MB/s, untokenize {joining:.0f} MB/s")
    assert min(cutting, joining) > FLOOR_MB_S


def test_tasks_lie_side_by_side():
    """Joined, each network is what it was, of its own task's sizes and with its own statistics."""
    zoos = [make_zoo([(5,), (8, 8)], seed=1), make_zoo([(7, 9), (3,)], seed=9, interface=OTHER)]
    parts = [tokenize_zoo(zoo, 4) for zoo in zoos]
    joined = join_tokens(parts)
    alone = [network for part in parts for network in untokenize(part)]
    for network, expected in zip(untokenize(joined), alone, strict=True):
        assert network.hidden_dims == expected.hidden_dims
        assert network.weights.tobytes() == expected.weights.tobytes()
    assert joined.tasks.tolist() == [0, 0, 1, 1]
    assert [joined.spec(k).obs_dim for k in range(4)] == [6, 6, 9, 9]
    assert joined.standardizers == (*parts[0].standardizers, *parts[1].standardizers)
    assert joined.standardizers[0] != joined.standardizers[1]
    assert [joined.num_branches(task) for task in (0, 1)] == [2, 2]
    lengths = [*sequence_lengths(parts[0]), *sequence_lengths(parts[1])]
    assert sequence_lengths(joined).tolist() == lengths


def test_one_task_is_joined_with_nothing():
    """A single set stays the very same."""
    one = tokenize_zoo(make_zoo([(5,)]), 4)
    assert join_tokens([one]) is one
    assert one.interface == INTERFACE


def test_what_cannot_be_joined():
    """A task twice, patches of two sizes; and several tasks have no single interface."""
    zoo, other = make_zoo([(5,)]), make_zoo([(5,)], interface=OTHER)
    with pytest.raises(ValueError, match="a task twice"):
        join_tokens([tokenize_zoo(zoo, 4), tokenize_zoo(zoo, 4)])
    with pytest.raises(ValueError, match=r"different sizes: \[4, 8\]"):
        join_tokens([tokenize_zoo(zoo, 4), tokenize_zoo(other, 8)])
    joined = join_tokens([tokenize_zoo(zoo, 4), tokenize_zoo(other, 4)])
    with pytest.raises(ValueError, match="too many values"):
        _ = joined.interface
