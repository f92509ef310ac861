"""Multi-layer perceptrons as data: their shape, and where each weight lies in a flat vector.

The flat order is that of ``torch.nn.Sequential(Linear, act, Linear, ...).parameters()``:
weight ``(fan_out, fan_in)`` row by row, then bias, layer after layer from the input.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from nnit.errors import UsageError, shorten

Architecture = tuple[int, ...]  # hidden widths from the input to the output
MAX_WIDTH = 65_536  # a typing error, not a policy, beyond this
MAX_DEPTH = 1024  # the same of hidden layers
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,99}")  # of tasks and control modes
ADVICE = "give hidden widths, as in 128,256,128"
Output = Literal["action", "class"]
ACTION: Output = "action"  # numbers within [-1, 1]
CLASS: Output = "class"  # one number for each class; the largest is chosen


class LayerShape(NamedTuple):
    """The shape of one linear layer."""

    fan_out: int
    fan_in: int

    @property
    def num_parameters(self) -> int:
        """Weights and biases."""
        return self.fan_out * (self.fan_in + 1)


@dataclass(frozen=True)
class MlpSpec:
    """The shape of an MLP: ``obs_dim -> hidden_dims -> act_dim``, ReLU between.

    Raises:
        UsageError: a dimension below 1, a width above ``MAX_WIDTH``, no hidden layer or more than
            ``MAX_DEPTH``.
    """

    obs_dim: int
    act_dim: int
    hidden_dims: Architecture

    def __post_init__(self) -> None:
        if not self.hidden_dims:
            raise UsageError("architecture: no hidden layer; give at least one width, as in 64,64")
        if self.depth > MAX_DEPTH:
            raise UsageError(f"architecture: {self.depth} hidden layers, at most {MAX_DEPTH}")
        for width in (self.obs_dim, self.act_dim, *self.hidden_dims):
            if not 1 <= width <= MAX_WIDTH:
                raise UsageError(
                    f"architecture {shorten(format_architecture(self.hidden_dims))}: width "
                    f"{width} is not within 1 to {MAX_WIDTH}"
                )

    @property
    def layers(self) -> tuple[LayerShape, ...]:
        """The linear layers from the input to the output."""
        dims = (self.obs_dim, *self.hidden_dims, self.act_dim)
        return tuple(LayerShape(fan_out, fan_in) for fan_in, fan_out in pairwise(dims))

    @property
    def depth(self) -> int:
        """The number of hidden layers."""
        return len(self.hidden_dims)

    @property
    def num_parameters(self) -> int:
        """Weights and biases of all layers: the length of the flat vector."""
        return sum(layer.num_parameters for layer in self.layers)

    @property
    def num_macs(self) -> int:
        """Multiplications of one forward pass: the weights of all layers."""
        return sum(layer.fan_out * layer.fan_in for layer in self.layers)


class LayerWeights(NamedTuple):
    """The weights of one linear layer, as views into the flat vector."""

    weight: np.ndarray  # (fan_out, fan_in)
    bias: np.ndarray  # (fan_out,)


def split_layers(spec: MlpSpec, flat: np.ndarray) -> list[LayerWeights]:
    """View a flat vector ``(num_parameters,)`` as the layers of ``spec``.

    Raises:
        ValueError: the vector's length is not ``spec.num_parameters``.
    """
    if flat.shape != (spec.num_parameters,):
        raise ValueError(f"flat vector is {flat.shape}, spec needs ({spec.num_parameters},)")
    layers, start = [], 0
    for fan_out, fan_in in spec.layers:
        middle, end = start + fan_out * fan_in, start + fan_out * (fan_in + 1)
        layers.append(LayerWeights(flat[start:middle].reshape(fan_out, fan_in), flat[middle:end]))
        start = end
    return layers


def join_layers(layers: list[LayerWeights]) -> np.ndarray:
    """Inverse of ``split_layers``: one flat vector ``(num_parameters,)``."""
    return np.concatenate([part.reshape(-1) for layer in layers for part in layer])


def forward(layers: list[LayerWeights], x: np.ndarray) -> np.ndarray:
    """Run a ReLU MLP on standardised observations ``(..., obs_dim)``: ``(..., act_dim)``."""
    for layer in layers[:-1]:
        x = np.maximum(x @ layer.weight.T + layer.bias, 0)
    return x @ layers[-1].weight.T + layers[-1].bias


def permute_hidden(
    layers: list[LayerWeights], layer_index: int, permutation: np.ndarray
) -> list[LayerWeights]:
    """Reorder the units of one hidden layer; the function of the network stays the same.

    Args:
        layers: The network.
        layer_index: The hidden layer, 0 for the first.
        permutation: ``(width,)``: new unit ``i`` is old unit ``permutation[i]``.
    """
    permuted = list(layers)
    here, after = layers[layer_index], layers[layer_index + 1]
    permuted[layer_index] = LayerWeights(here.weight[permutation], here.bias[permutation])
    permuted[layer_index + 1] = LayerWeights(after.weight[:, permutation], after.bias)
    return permuted


def format_architecture(hidden_dims: Architecture) -> str:
    """Write an architecture as the command line does: ``128,256,128``."""
    return ",".join(map(str, hidden_dims))


def parse_architecture(text: str, flag: str = "--arch") -> Architecture:
    """Read an architecture such as ``128,256,128``.

    Args:
        text: What was given.
        flag: Where, for the message.

    Raises:
        UsageError: not a comma-separated list of widths, or one that no network may have.
    """
    return tuple(parse_width(part, f"{flag} {shorten(text)}") for part in split_text(text, flag))


def split_text(text: str, flag: str) -> list[str]:
    """Cut what may be an architecture into its parts, without the spaces around them.

    Raises:
        UsageError: nothing, or more parts than ``MAX_DEPTH``.
    """
    if not text.strip():
        raise UsageError(f"{flag}: empty; {ADVICE}")
    depth = text.count(",") + 1
    if depth > MAX_DEPTH:
        raise UsageError(f"{flag} {shorten(text)}: {depth} hidden layers, at most {MAX_DEPTH}")
    return [part.strip() for part in text.split(",")]


def parse_width(part: str, where: str) -> int:
    """Read one width of an architecture.

    Args:
        part: What was given.
        where: As a part of what, for the message.

    Raises:
        UsageError: not an integer from 1 to ``MAX_WIDTH``.
    """
    digits = part.lstrip("0")
    if not digits or not digits.isascii() or not digits.isdigit():
        shown = repr(shorten(part)) if part else "an empty width"
        raise UsageError(f"{where}: {shown} is not a positive integer; {ADVICE}")
    if len(digits) > len(str(MAX_WIDTH)) or int(digits) > MAX_WIDTH:
        raise UsageError(f"{where}: width {shorten(part)} is not within 1 to {MAX_WIDTH}")
    return int(digits)


class Recorded(NamedTuple):
    """The robot that demonstrations were recorded on: the units of its actions, and how often.

    An action within [-1, 1] stands for one within the bounds of what was recorded.
    """

    action_low: tuple[float, ...]  # (act_dim,) what -1 stands for
    action_high: tuple[float, ...]  # (act_dim,) what 1 stands for; not below the former
    control_freq: int | None = None  # Hz; None where it is not known

    @property
    def middle(self) -> np.ndarray:
        """What 0 stands for, ``(act_dim,)`` float64."""
        return (np.asarray(self.action_low) + np.asarray(self.action_high)) / 2

    @property
    def half(self) -> np.ndarray:
        """What 1 stands for beyond that, ``(act_dim,)`` float64; 0 of a number that never moved."""
        return (np.asarray(self.action_high) - np.asarray(self.action_low)) / 2

    def to_units(self, actions: np.ndarray) -> np.ndarray:
        """Return actions ``(..., act_dim)`` within [-1, 1] in the robot's units, float64."""
        return self.middle + self.half * actions

    def from_units(self, actions: np.ndarray) -> np.ndarray:
        """Inverse of ``to_units``, float64; 0 for a number that never moved."""
        moved = self.half > 0
        apart = np.asarray(actions, np.float64) - self.middle
        return np.where(moved, apart / np.where(moved, self.half, 1), 0.0)


class PolicyInterface(NamedTuple):
    """What surrounds a policy network: how observations go in and how outputs are read.

    ``action = clip(mlp(clip((obs - obs_mean) / obs_std, obs_clip)), action_clip)``, where
    ``clip(x, bound)`` limits ``x`` to ``[-bound, bound]``. Of classes, numbered from 0, the
    network's largest output is chosen. Where demonstrations were recorded on a robot, simulators
    and demonstrations have that action, and what leaves nnit has it in the robot's units.
    """

    task: str
    control_mode: str
    obs_dim: int
    act_dim: int  # numbers of an action, or classes
    horizon: int  # control steps of an episode
    obs_mean: tuple[float, ...]  # (obs_dim,)
    obs_std: tuple[float, ...]  # (obs_dim,)
    obs_clip: float = 10.0
    action_clip: float = 1.0
    output: Output = ACTION
    recorded: Recorded | None = None  # None: actions within [-1, 1] are the task's own

    def spec(self, hidden_dims: Architecture) -> MlpSpec:
        """Return the shape of a policy with these hidden widths."""
        return MlpSpec(self.obs_dim, self.act_dim, tuple(hidden_dims))

    def standardise(self, observations: np.ndarray) -> np.ndarray:
        """Scale observations ``(..., obs_dim)`` to what the network sees, float32."""
        mean = np.asarray(self.obs_mean, np.float32)
        std = np.asarray(self.obs_std, np.float32)
        scaled = (np.asarray(observations, np.float32) - mean) / std
        return np.clip(scaled, -self.obs_clip, self.obs_clip)

    def read_output(self, outputs: np.ndarray) -> np.ndarray:
        """Return what outputs ``(..., act_dim)`` of a network say: actions, or 1 for one class."""
        if self.output == ACTION:
            return np.clip(outputs, -self.action_clip, self.action_clip)
        chosen = outputs.argmax(axis=-1, keepdims=True)
        return (np.arange(self.act_dim) == chosen).astype(np.float32)

    def in_units(self, actions: np.ndarray) -> np.ndarray:
        """Return actions ``(..., act_dim)`` as the robot takes them."""
        return actions if self.recorded is None else self.recorded.to_units(actions)


class Network(NamedTuple):
    """One MLP with its weights."""

    hidden_dims: Architecture
    weights: np.ndarray  # (num_parameters,) float32
