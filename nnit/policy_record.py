"""What a network says of itself beside its interface: where it belongs, and what it answers.

Whoever runs it elsewhere can see that the environment is the right one, and that the port computes
the same.
"""

from typing import NamedTuple

import numpy as np

from nnit.mlp import ACTION, Network, PolicyInterface, forward, split_layers

PAIRS = 10
FAR_PAIRS = 2  # of them, the last: some numbers so far out that the clipping of inputs shows
FAR_NUMBERS = slice(None, None, 8)  # which: with all of them far out every action is at its bound
MAX_VALUE = 1e30  # of a recorded number


class Part(NamedTuple):
    """A slice of the observation."""

    name: str  # as in ManiSkill's dictionary of the state, ``extra/tcp_pose``
    start: int
    length: int


class Setting(NamedTuple):
    """What a task expects of whoever lets a network act, as far as it is known."""

    control_freq: int | None = None  # actions in a second
    layout: tuple[Part, ...] = ()  # all of the observation, in order


class Versions(NamedTuple):
    """The versions that a network was made with."""

    gymnasium: str
    mani_skill: str
    nnit: str


class PolicyRecord(NamedTuple):
    """Where a network belongs, and ten observations with what it answers."""

    setting: Setting
    versions: Versions
    observations: np.ndarray  # (PAIRS, obs_dim) float32, raw
    actions: np.ndarray  # (PAIRS, act_dim) float32


def record_policy(
    network: Network, interface: PolicyInterface, setting: Setting, versions: Versions
) -> PolicyRecord:
    """Record what a network answers to observations that are drawn from its scaling.

    They are the same for all networks of one scaling.

    Raises:
        UsageError: as ``answers``.
    """
    observations = draw_observations(interface, PAIRS, FAR_PAIRS)
    actions = answers(network, interface, observations)
    return PolicyRecord(setting, versions, observations, actions)


def draw_observations(interface: PolicyInterface, count: int, far: int) -> np.ndarray:
    """Draw raw observations ``(count, obs_dim)`` float32 from a scaling, the same every time.

    Args:
        interface: What says mean and standard deviation of each number.
        count: How many.
        far: Of them, the last: some numbers are so far out that the clipping of inputs shows.
    """
    z = np.random.default_rng(0).standard_normal((count, interface.obs_dim))
    z[-far:, FAR_NUMBERS] *= 100 * interface.obs_clip
    drawn = np.asarray(interface.obs_mean) + np.asarray(interface.obs_std) * z
    return np.clip(drawn, -MAX_VALUE, MAX_VALUE).astype(np.float32)


def answers(network: Network, interface: PolicyInterface, observations: np.ndarray) -> np.ndarray:
    """Return a network's actions ``(N, act_dim)`` float32, computed in double precision.

    They are in the robot's units where demonstrations were recorded on one.

    So they are the same wherever they are computed, and what a port is off by is its own rounding.
    Of classes they are the outputs that the largest is chosen among. What is not a number is 0, as
    in ``NumpyPolicy``.

    Args:
        network: What is asked.
        interface: Its interface.
        observations: ``(N, obs_dim)`` float32, raw.

    """
    layers = split_layers(interface.spec(network.hidden_dims), network.weights)
    with np.errstate(over="ignore", invalid="ignore"):
        found = forward(layers, interface.standardise(observations).astype(np.float64))
    found = interface.read_output(found) if interface.output == ACTION else found
    found = interface.in_units(np.nan_to_num(found))
    return np.clip(found, -MAX_VALUE, MAX_VALUE).astype(np.float32)
