"""The graph hypernetwork as a function from architectures to weights."""

import math

import numpy as np
import pytest
import torch
from learning_examples import INTERFACE, TINY_GHN

from nnit.ghn.graph import NUM_NODE_FEATURES, node_features
from nnit.ghn.model import (
    CALIBRATION_WIDTHS,
    DECODERS,
    GhnConfig,
    GraphHyperNetwork,
    build_ghn,
    load_ghn,
    write_networks,
)
from nnit.mlp import MlpSpec, split_layers
from nnit.training import model_arrays

CONFIGS = [GhnConfig(decoder, node_dim=16, channels=16, rounds=2) for decoder in DECODERS]


def fresh(config=TINY_GHN, seed=0) -> GraphHyperNetwork:
    """Return a small calibrated hypernetwork."""
    return build_ghn(config, INTERFACE.obs_dim, INTERFACE.act_dim, seed)


@pytest.fixture(scope="module")
def ghn():
    """One that no test changes."""
    return fresh()


@pytest.mark.parametrize("hidden_dims", [(1,), (8,), (16, 24), (7,) * 6])
def test_a_node_for_each_layer(hidden_dims):
    """One row of features for each linear layer."""
    spec = INTERFACE.spec(hidden_dims)
    assert node_features(spec).shape == (len(spec.layers), NUM_NODE_FEATURES)


def test_node_features_vary_slowly_with_width():
    """Ten per cent wider looks almost the same; four times as wide does not."""
    at, wider, wide = (node_features(INTERFACE.spec((w, 64))) for w in (100, 110, 400))
    assert (wider - at).abs().max() < 0.25
    assert (wide - at).abs().max() > 0.5


def test_width_shows_in_the_two_layers_that_it_touches_alone():
    """Layers further on have the same features."""
    one, other = (node_features(INTERFACE.spec((w, 16, 16))) for w in (8, 24))
    changed = (one != other).any(dim=1)
    assert changed.tolist() == [True, True, False, False]


@pytest.mark.parametrize("config", CONFIGS, ids=DECODERS)
@pytest.mark.parametrize("hidden_dims", [(1,), (24, 8), (300, 5), (7,) * 9])
def test_writes_any_architecture(config, hidden_dims):
    """Narrower, wider and deeper than anything calibrated: right shapes, sane sizes."""
    spec = INTERFACE.spec(hidden_dims)
    (network,) = write_networks(fresh(config), [spec])
    assert network.hidden_dims == hidden_dims
    assert network.weights.shape == (spec.num_parameters,)
    assert network.weights.dtype == np.float32
    for layer in split_layers(spec, network.weights):
        field = layer.weight * math.sqrt(layer.weight.shape[1] / 2)
        assert 0.01 < np.sqrt(np.square(field).mean()) < 10
        assert np.abs(layer.bias).max() < 1


@pytest.mark.parametrize("config", CONFIGS, ids=DECODERS)
@pytest.mark.parametrize("seed", range(3))
def test_calibrated_field_has_unit_deviation(config, seed):
    """Over the calibration architectures, whatever the random start."""
    specs = [INTERFACE.spec(widths) for widths in CALIBRATION_WIDTHS]
    with torch.no_grad():
        fields = [
            (layer.weight * math.sqrt(layer.weight.shape[1] / 2)).flatten()
            for layers in fresh(config, seed)(specs)
            for layer in layers
        ]
    assert float(torch.cat(fields).std()) == pytest.approx(1, rel=1e-4)


def test_a_network_does_not_depend_on_its_batch(ghn):
    """The same weights whether asked for alone, with shallower or with deeper ones."""
    spec = INTERFACE.spec((16, 8))
    others = [INTERFACE.spec((24,)), INTERFACE.spec((9, 30, 8, 8, 8))]
    with torch.no_grad():
        (alone,) = ghn([spec])
        _, _, among = ghn([*others, spec])
    assert len(alone) == len(among) == 3
    for ours, expected in zip(among, alone, strict=True):
        torch.testing.assert_close(ours.weight, expected.weight, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(ours.bias, expected.bias, atol=1e-6, rtol=1e-4)


def test_every_layer_knows_its_place(ghn):
    """Two middle layers of one shape in one network have different weights."""
    with torch.no_grad():
        (layers,) = ghn([INTERFACE.spec((16, 16, 16))])
    assert (layers[1].weight - layers[2].weight).abs().max() > 1e-3


def test_written_networks_are_those_asked_for_alone(ghn):
    """Bit for bit, whatever else is in the list."""
    specs = [INTERFACE.spec(dims) for dims in ((8,), (16, 24, 8))]
    together = write_networks(ghn, specs)
    for spec, network in zip(specs, together, strict=True):
        np.testing.assert_array_equal(network.weights, write_networks(ghn, [spec])[0].weights)


def test_loading_gives_the_same_function(ghn):
    """Arrays and configuration are all there is; the calibration is among them."""
    again = load_ghn(GhnConfig(**ghn.config.as_dict()), model_arrays(ghn))
    spec = INTERFACE.spec((16, 8))
    one, two = (write_networks(model, [spec])[0].weights for model in (ghn, again))
    np.testing.assert_array_equal(one, two)


def test_building_depends_on_the_seed_and_on_nothing_else():
    """The same seed gives the same arrays, another seed others; torch's own state stays."""
    before = torch.get_rng_state()
    one, same, other = (model_arrays(fresh(seed=seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    name = "decoder.head.weight"
    assert not np.array_equal(one[name], other[name])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("config", CONFIGS, ids=DECODERS)
def test_gradient_reaches_every_parameter(config):
    """Nothing of the hypernetwork is dead."""
    model = fresh(config)
    written = [part for layers in model([INTERFACE.spec((16, 9))]) for la in layers for part in la]
    torch.stack([(part * torch.randn_like(part)).sum() for part in written]).sum().backward()
    dead = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert dead == []


@pytest.mark.parametrize(
    "fields",
    [
        {"decoder": "rnn"},
        {"node_dim": 0},
        {"channels": 0},
        {"channels": 7},
        {"rounds": 0},
        {"rounds": -1},
        {"units": 0},
    ],
)
def test_impossible_configurations_are_refused(fields):
    """The message has the value that is wrong."""
    (value,) = fields.values()
    with pytest.raises(ValueError, match=str(value)):
        GhnConfig(**fields)


def test_configuration_of_a_decoder_without_codes_is_what_it_was():
    """Artifacts of these decoders say no largest trained width, and are read without one."""
    assert GhnConfig("cnn").as_dict() == {
        "decoder": "cnn",
        "node_dim": 96,
        "channels": 128,
        "rounds": 3,
    }
    assert GhnConfig(**GhnConfig("carrier", units=64).as_dict()).units == 64


def test_observations_of_one_and_actions_of_one():
    """The smallest task there can be."""
    (network,) = write_networks(build_ghn(TINY_GHN, 1, 1, 0), [MlpSpec(1, 1, (1,))])
    assert network.weights.shape == (4,)
