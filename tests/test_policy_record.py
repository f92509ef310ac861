"""What a network answers, recorded so that a port of it can be checked."""

import numpy as np
import pytest

from nnit.mlp import CLASS, Network, PolicyInterface
from nnit.policy import NumpyPolicy
from nnit.policy_record import PAIRS, Setting, Versions, record_policy

INTERFACE = PolicyInterface(
    "PushCube-v1", "pd_ee_delta_pos", 35, 4, 50, (0.5,) * 35, (0.25,) * 34 + (1e-3,)
)
SHAPE = (24, 16)
VERSIONS = Versions("1", "2", "3")


def network(scale=0.2, interface=INTERFACE):
    """A network of random weights."""
    size = interface.spec(SHAPE).num_parameters
    weights = np.random.default_rng(1).normal(0, scale, size).astype(np.float32)
    return Network(SHAPE, weights)


def record(some, interface=INTERFACE):
    """Record it without saying where it belongs."""
    return record_policy(some, interface, Setting(), VERSIONS)


def test_recorded_actions_are_those_that_a_rollout_computes():
    """To the rounding of float32; some of them between the bounds, where they say most."""
    some = network()
    found = record(some)
    assert found.observations.shape == (PAIRS, 35)
    assert found.observations.dtype == found.actions.dtype == np.float32
    policy = NumpyPolicy(INTERFACE, SHAPE, some.weights)
    np.testing.assert_allclose(
        [policy(observation) for observation in found.observations], found.actions, atol=1e-5
    )
    assert (abs(found.actions) < INTERFACE.action_clip).sum() > PAIRS


@pytest.mark.parametrize(
    "other", [{"obs_clip": 1e9}, {"action_clip": 9.0}, {"obs_mean": (0.0,) * 35}]
)
def test_a_port_that_leaves_a_step_out_is_noticed(other):
    """Clipping of inputs and of actions, and scaling: each changes a recorded action."""
    some = network(scale=0.4)
    port = NumpyPolicy(INTERFACE._replace(**other), SHAPE, some.weights)
    found = record(some)
    answers = np.stack([port(observation) for observation in found.observations])
    assert abs(answers - found.actions).max() > 0.1


def test_classes_have_their_outputs_recorded():
    """Which class is chosen would hardly tell one network from another."""
    interface = INTERFACE._replace(output=CLASS)
    some = network(interface=interface)
    found, choice = record(some, interface), NumpyPolicy(interface, SHAPE, some.weights)
    for observation, outputs in zip(found.observations, found.actions, strict=True):
        assert choice(observation).argmax() == outputs.argmax()
        assert set(outputs) - {0, 1}


@pytest.mark.filterwarnings("error")
def test_absurd_weights_have_answers_that_are_numbers():
    """Whatever overflows on the way; all that is recorded can be written and read."""
    absurd = network(scale=1e30)
    for interface in (
        INTERFACE,
        INTERFACE._replace(output=CLASS, obs_clip=1e30, obs_std=(1e30,) * 35),
    ):
        found = record(absurd, interface)
        assert np.isfinite(found.observations).all()
        assert np.isfinite(found.actions).all()
