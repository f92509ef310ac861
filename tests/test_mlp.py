"""Multi-layer perceptrons as data."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_examples import INTERFACE, random_flat, random_layers
from torch import nn

from nnit.errors import UsageError
from nnit.mlp import (
    MAX_DEPTH,
    MAX_WIDTH,
    LayerShape,
    LayerWeights,
    MlpSpec,
    format_architecture,
    forward,
    join_layers,
    parse_architecture,
    permute_hidden,
    split_layers,
)

specs = st.builds(
    MlpSpec,
    st.integers(1, 9),
    st.integers(1, 5),
    st.lists(st.integers(1, 12), min_size=1, max_size=4).map(tuple),
)
relaxed = settings(deadline=None, derandomize=True)


def test_shapes_and_size_by_hand():
    """3 -> 5 -> 2 has layers (5, 3) and (2, 5): 20 and 12 parameters."""
    spec = MlpSpec(3, 2, (5,))
    assert spec.layers == (LayerShape(5, 3), LayerShape(2, 5))
    assert spec.num_parameters == 32
    assert spec.depth == 1


@relaxed
@given(specs)
def test_join_is_the_inverse_of_split(spec):
    """Any flat vector comes back bit for bit, by way of layers of the right shapes."""
    flat = random_flat(spec, seed=1)
    layers = split_layers(spec, flat)
    assert [layer.weight.shape for layer in layers] == list(spec.layers)
    assert [layer.bias.shape for layer in layers] == [(shape.fan_out,) for shape in spec.layers]
    np.testing.assert_array_equal(join_layers(layers), flat)


def test_split_layers_are_views():
    """Writing to a layer writes to the flat vector."""
    spec = MlpSpec(2, 1, (3,))
    flat = np.zeros(spec.num_parameters, np.float32)
    split_layers(spec, flat)[-1].bias[0] = 7
    assert flat[-1] == 7


@pytest.mark.parametrize("shape", [(31,), (33,), (1, 32)])
def test_split_refuses_a_vector_of_another_shape(shape):
    """The message says both lengths."""
    with pytest.raises(ValueError, match=r"needs \(32,\)"):
        split_layers(MlpSpec(3, 2, (5,)), np.zeros(shape, np.float32))


@relaxed
@given(specs)
def test_forward_and_flat_order_are_those_of_torch_sequential(spec):
    """The flat vector put into torch's own modules computes the same function."""
    modules = []
    for fan_out, fan_in in spec.layers:
        modules += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    model = nn.Sequential(*modules[:-1])
    flat = random_flat(spec, seed=2)
    nn.utils.vector_to_parameters(torch.from_numpy(flat), model.parameters())
    x = np.random.default_rng(3).standard_normal((2, 4, spec.obs_dim), np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(x)).numpy()
    ours = forward(split_layers(spec, flat), x)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)


@pytest.fixture
def network():
    """Two hidden layers of 8 and 6 units, and observations."""
    spec = MlpSpec(5, 3, (8, 6))
    x = np.random.default_rng(4).standard_normal((20, 5), np.float32)
    return random_layers(spec, seed=5), x


@pytest.mark.parametrize(("hidden_layer", "width"), [(0, 8), (1, 6)])
def test_permuting_hidden_units_keeps_the_function(network, hidden_layer, width):
    """Other weights, same outputs, whichever hidden layer is reordered."""
    layers, x = network
    order = np.roll(np.arange(width), 1)
    permuted = permute_hidden(layers, hidden_layer, order)
    assert not np.array_equal(join_layers(permuted), join_layers(layers))
    np.testing.assert_allclose(forward(permuted, x), forward(layers, x), atol=1e-5)


@pytest.mark.parametrize("side", ["rows", "columns"])
def test_permuting_one_side_only_changes_the_function(network, side):
    """Rows without the columns after them, or the other way round, are another network."""
    layers, x = network
    permuted = permute_hidden(layers, 0, np.roll(np.arange(8), 1))
    half = list(layers)
    changed = 0 if side == "rows" else 1
    half[changed] = permuted[changed]
    assert np.abs(forward(half, x) - forward(layers, x)).max() > 0.1


def test_new_unit_i_is_old_unit_of_the_permutation():
    """By hand on a network of two units."""
    layers = [
        LayerWeights(np.array([[1.0], [2.0]]), np.array([3.0, 4.0])),
        LayerWeights(np.array([[5.0, 6.0]]), np.array([7.0])),
    ]
    first, last = permute_hidden(layers, 0, np.array([1, 0]))
    np.testing.assert_array_equal(first.weight, [[2.0], [1.0]])
    np.testing.assert_array_equal(first.bias, [4.0, 3.0])
    np.testing.assert_array_equal(last.weight, [[6.0, 5.0]])


@given(st.lists(st.integers(1, MAX_WIDTH), min_size=1, max_size=6).map(tuple))
@relaxed
def test_parse_is_the_inverse_of_format(hidden_dims):
    """Any architecture survives being written and read."""
    assert parse_architecture(format_architecture(hidden_dims)) == hidden_dims


def test_parse_allows_spaces_around_widths():
    """People type them."""
    assert parse_architecture(" 64, 32 ") == (64, 32)


@pytest.mark.parametrize(
    "text", ["", "  ", "0", "64,0", "128,abc", "64,,64", "64,", "-3", "1.5", "²", "٣", "+4", "1_6"]
)
def test_parse_refuses_what_is_no_list_of_positive_integers(text):
    """One line that names the flag, with the exit code of a usage error."""
    with pytest.raises(UsageError, match="--arch") as caught:
        parse_architecture(text)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        ",".join(["8"] * (MAX_DEPTH + 1)),
        ",".join(["8"] * 100_000),
        f"64,{MAX_WIDTH + 1}",
        "9" * 5000,
        "x" * 5000,
    ],
)
def test_parse_refuses_what_no_network_may_have(text):
    """Too deep, too wide, or endless: one short line, in no time."""
    with pytest.raises(UsageError, match="--arch") as caught:
        parse_architecture(text)
    assert len(str(caught.value)) < 200


def test_parse_allows_the_bounds_themselves():
    """The deepest and the widest; zeros in front are no digits that count."""
    assert parse_architecture(",".join(["8"] * MAX_DEPTH)) == (8,) * MAX_DEPTH
    assert parse_architecture(f"0000000{MAX_WIDTH}") == (MAX_WIDTH,)


@pytest.mark.parametrize(
    "dims",
    [
        (3, 2, ()),
        (3, 2, (8,) * (MAX_DEPTH + 1)),
        (3, 2, (0,)),
        (3, 2, (4, -1)),
        (3, 2, (MAX_WIDTH + 1,)),
        (0, 2, (4,)),
        (3, 0, (4,)),
    ],
)
def test_impossible_shapes_are_refused(dims):
    """No hidden layer, a dimension below 1, or one that is a typing error."""
    with pytest.raises(UsageError, match="architecture"):
        MlpSpec(*dims)


def test_largest_width_is_allowed():
    """The bound itself lies within the range."""
    assert MlpSpec(1, 1, (MAX_WIDTH,)).num_parameters == 3 * MAX_WIDTH + 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_standardise_by_hand(dtype):
    """Subtract the mean, divide by the deviation, clip at 10; float32 whatever comes in."""
    observations = np.array([[1.5, 1.5, -100.0, 100.0, 0.25, 1.0]], dtype)
    standardised = INTERFACE.standardise(observations)
    np.testing.assert_allclose(standardised, [[1.0, 1.0, -10.0, 10.0, 0.5, 0.0]])
    assert standardised.dtype == np.float32
