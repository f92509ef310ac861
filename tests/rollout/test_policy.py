"""The fast policy computes what the plain forward pass computes."""

import numpy as np
import pytest
import torch

from nnit.mlp import PolicyInterface, forward, split_layers
from nnit.policy import NumpyPolicy

INTERFACE = PolicyInterface(
    "PushCube-v1", "pd_ee_delta_pos", 5, 2, 50, (0.1,) * 5, (0.5, 1e-3, 1.0, 2.0, 0.3)
)


def _random_weights(hidden_dims, scale=0.5, seed=0):
    size = INTERFACE.spec(hidden_dims).num_parameters
    return np.random.default_rng(seed).normal(scale=scale, size=size).astype(np.float32)


@pytest.mark.parametrize("hidden_dims", [(1,), (16,), (7, 33), (16, 8, 24, 16)])
def test_policy_equals_the_plain_forward_pass(hidden_dims):
    """Scaling, clipping, every layer: as ``nnit.mlp`` says, up to rounding."""
    weights = _random_weights(hidden_dims)
    policy = NumpyPolicy(INTERFACE, hidden_dims, weights)
    layers = split_layers(INTERFACE.spec(hidden_dims), weights)
    for observation in np.random.default_rng(1).normal(size=(50, 5)).astype(np.float32):
        expected = np.clip(forward(layers, INTERFACE.standardise(observation)), -1, 1)
        action = policy(observation)
        assert action.dtype == np.float32
        assert action.shape == (2,)
        np.testing.assert_allclose(action, expected, rtol=1e-5, atol=1e-5)


def test_policy_equals_a_torch_module():
    """The flat order is that of ``torch.nn.Sequential(Linear, ReLU, ...).parameters()``."""
    module = torch.nn.Sequential(
        torch.nn.Linear(5, 12), torch.nn.ReLU(), torch.nn.Linear(12, 2)
    ).requires_grad_(requires_grad=False)
    weights = torch.nn.utils.parameters_to_vector(module.parameters()).numpy()
    observation = np.random.default_rng(2).normal(size=5).astype(np.float32)
    expected = module(torch.from_numpy(INTERFACE.standardise(observation))).clamp(-1, 1)
    action = NumpyPolicy(INTERFACE, (12,), weights)(observation)
    np.testing.assert_allclose(action, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_policy_leaves_observation_and_weights_alone():
    """Buffers are the policy's own."""
    weights, observation = _random_weights((8, 8)), np.ones(5, np.float32)
    copies = weights.copy(), observation.copy()
    policy = NumpyPolicy(INTERFACE, (8, 8), weights)
    first = policy(observation).copy()
    assert np.array_equal(policy(observation), first)
    assert np.array_equal(weights, copies[0])
    assert np.array_equal(observation, copies[1])


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("value", [1e30, np.inf, np.nan])
def test_absurd_weights_still_give_an_action(value):
    """Overflow and NaN become a bounded, finite action."""
    weights = _random_weights((8, 8)) * np.float32(value)
    action = NumpyPolicy(INTERFACE, (8, 8), weights)(np.ones(5, np.float32))
    assert np.isfinite(action).all()
    assert np.abs(action).max() <= 1


def test_wrong_number_of_weights_is_refused():
    """Weights of another architecture do not slip through."""
    with pytest.raises(ValueError, match="spec needs"):
        NumpyPolicy(INTERFACE, (8, 9), _random_weights((8, 8)))


def test_of_classes_the_largest_output_is_chosen():
    """1 for it and 0 for the others, whatever the size of the outputs; as the interface says."""
    interface = INTERFACE._replace(output="class")
    weights = _random_weights((8,), scale=5)
    policy = NumpyPolicy(interface, (8,), weights)
    layers = split_layers(interface.spec((8,)), weights)
    for observation in np.random.default_rng(1).normal(size=(20, 5)).astype(np.float32):
        outputs = forward(layers, interface.standardise(observation))
        chosen = policy(observation)
        assert chosen.tolist() == [float(k == outputs.argmax()) for k in range(2)]
        assert np.array_equal(chosen, interface.read_output(outputs))
