"""Behaviour cloning: the data, the loss, and networks as tensors that learn by it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nnit.demos import Demos
from nnit.mlp import ACTION, Architecture, MlpSpec, Network, Output, PolicyInterface
from nnit.training import prepare_torch

SATURATION = 0.999  # a label beyond it is at the bound of the action
WORST_LOSS = 1e30  # the largest that artifacts hold
LEAST_SPREAD = 0.1  # of the largest one of an action's numbers, for one that hardly moves


class LayerTensors(NamedTuple):
    """The weights of one linear layer."""

    weight: Tensor  # (fan_out, fan_in)
    bias: Tensor  # (fan_out,)


@dataclass(frozen=True)
class CloningData:
    """Transitions ready to learn from."""

    observations: Tensor  # (N, obs_dim), standardised
    actions: Tensor  # (N, act_dim), in [-1, 1]; of classes the right one is 1, the others 0
    output: Output = ACTION
    input_dropout: float = 0.0  # share of an observation that is hidden while networks learn
    importance: Tensor | None = None  # (act_dim,) of the numbers of an action; by default all alike

    def __len__(self) -> int:
        return len(self.observations)

    def loss(self, predicted: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        """Return the cloning loss of a network's outputs for the transitions ``rows``."""
        return self.errors(predicted, rows).mean()

    def errors(self, predicted: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        """Return what ``loss`` is the mean of: ``(..., act_dim)``, or ``(...,)`` of classes."""
        return cloning_errors(predicted, self.actions[rows], self.output, self.importance)

    def draw(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Return the observations ``(B, obs_dim)`` of a training batch, some numbers hidden.

        Args:
            rows: Which transitions, ``(B,)``.
            generator: As of ``hide``.
        """
        return self.hide(self.observations[rows], generator)

    def hide(self, observations: Tensor, generator: torch.Generator) -> Tensor:
        """Hide numbers of standardised observations ``(B, obs_dim)`` in place, and return these.

        A hidden number is 0, its mean; the others are larger by as much as keeps the mean of all.
        It is dropout (Srivastava et al. 2014) of inputs, against learning few examples by heart.

        Args:
            observations: Of a batch; changed.
            generator: Draws what is hidden, on the CPU; nothing where nothing is hidden.
        """
        if not self.input_dropout:
            return observations
        kept = torch.rand(observations.shape, generator=generator).ge_(self.input_dropout)
        return observations.mul_(kept.to(observations.device)).div_(1 - self.input_dropout)


class Transitions(NamedTuple):
    """What a network is held to in a step."""

    rows: Tensor  # (T,) which transitions, on the device
    observations: Tensor  # (T, obs_dim) of these, some numbers hidden


def draw_transitions(
    data: Sequence[CloningData | None], batch_size: int, generator: torch.Generator
) -> list[Transitions | None]:
    """Draw transitions of the task of each network; None where it has no demonstrations.

    Args:
        data: The demonstrations of each.
        batch_size: Transitions for each.
        generator: Draws them, and what of them is hidden.
    """
    drawn: list[Transitions | None] = []
    for of_one in data:
        if of_one is None:
            drawn.append(None)
            continue
        rows = torch.randint(len(of_one), (batch_size,), generator=generator)
        rows = rows.to(of_one.actions.device)
        drawn.append(Transitions(rows, of_one.draw(rows, generator)))
    return drawn


def cloning_data(demos: Demos, device: str = "cpu") -> CloningData:
    """Standardise demonstrations and move them to a device."""
    observations = demos.interface.standardise(demos.observations).astype(np.float32)
    actions = torch.tensor(demos.actions)  # a copy: the array may be shared with others
    importance = action_importance(actions).to(device) if demos.interface.output == ACTION else None
    return CloningData(
        torch.from_numpy(observations).to(device),
        actions.to(device),
        demos.interface.output,
        demos.input_dropout,
        importance,
    )


def action_importance(actions: Tensor) -> Tensor:
    """Return how much the error of each number of an action ``(N, act_dim)`` weighs.

    It is inverse to the number's spread (standard deviation), at the scale at which the best
    constant action has about its mean squared error: alike, a gripper that opens and closes would
    outweigh an arm that moves by a little.
    """
    spread = actions.std(dim=0, correction=0)
    spread = spread.clamp(min=LEAST_SPREAD * float(spread.max()))
    if not spread.any():
        return torch.ones_like(spread)
    return spread.square().sum() / spread.sum() / spread


def cloning_loss(
    predicted: Tensor, actions: Tensor, output: Output = ACTION, importance: Tensor | None = None
) -> Tensor:
    """Return the mean squared error of actions, or the mean cross-entropy of classes in nats.

    The environment clips actions at -1 and 1, so that an output beyond a label at the bound is
    as good as the label: overshooting a saturated label costs nothing.

    Args:
        predicted: Outputs of the network, ``(..., act_dim)``, not clipped.
        actions: Labels, the same shape, within [-1, 1]; of classes, their probabilities.
        output: What the outputs are.
        importance: Of the numbers of an action, ``(act_dim,)``; by default all weigh 1.
    """
    return cloning_errors(predicted, actions, output, importance).mean()


def cloning_errors(
    predicted: Tensor, actions: Tensor, output: Output = ACTION, importance: Tensor | None = None
) -> Tensor:
    """Return what ``cloning_loss`` is the mean of: ``(..., act_dim)``, or ``(...,)`` of classes."""
    if output != ACTION:
        return -(actions * predicted.log_softmax(dim=-1)).sum(dim=-1)
    overshoot = (actions >= SATURATION) & (predicted > actions)
    undershoot = (actions <= -SATURATION) & (predicted < actions)
    errors = (predicted - actions).masked_fill(overshoot | undershoot, 0).square()
    return errors if importance is None else errors * importance


def loss_targets(data: CloningData) -> Tensor:
    """Return what ``loss_gradient`` needs to know of each transition.

    Returns:
        ``(N, 2 * act_dim)``, the lowest and the highest outputs that are right: the label, and
        what is beyond it where it is at the bound. Of classes ``(N, act_dim)``, the labels.
    """
    if data.output != ACTION:
        return data.actions
    lowest = data.actions.masked_fill(data.actions <= -SATURATION, -math.inf)
    highest = data.actions.masked_fill(data.actions >= SATURATION, math.inf)
    return torch.cat([lowest, highest], dim=1)


def loss_gradient(
    predicted: Tensor, targets: Tensor, output: Output = ACTION, importance: Tensor | None = None
) -> Tensor:
    """Return the gradient of ``cloning_loss`` by the outputs, for several networks at once.

    Args:
        predicted: Outputs, ``(K, B, act_dim)``.
        targets: Rows of ``loss_targets``, ``(K, B, ...)``.
        output: What the outputs are.
        importance: As of ``cloning_loss``.
    """
    if output != ACTION:
        return (predicted.softmax(dim=-1) - targets) / predicted.shape[1]
    _, batch_size, act_dim = predicted.shape
    lowest, highest = targets.chunk(2, dim=-1)
    errors = (predicted - predicted.clamp(lowest, highest)) * (2 / (batch_size * act_dim))
    return errors if importance is None else errors * importance


def run_mlp(layers: list[LayerTensors], x: Tensor) -> Tensor:
    """Run a ReLU MLP on standardised observations ``(B, obs_dim)``: ``(B, act_dim)``."""
    for layer in layers[:-1]:
        x = F.relu(F.linear(x, layer.weight, layer.bias))
    return F.linear(x, layers[-1].weight, layers[-1].bias)


def layers_from_flat(spec: MlpSpec, flat: Tensor) -> list[LayerTensors]:
    """View a flat vector ``(num_parameters,)`` as layers; gradients flow through."""
    sizes = [size for out, fan_in in spec.layers for size in (out * fan_in, out)]
    parts = flat.split(sizes)
    return [
        LayerTensors(weight.view(shape), bias)
        for weight, bias, shape in zip(parts[::2], parts[1::2], spec.layers, strict=True)
    ]


def flat_from_layers(layers: list[LayerTensors]) -> Tensor:
    """Inverse of ``layers_from_flat``."""
    return torch.cat([part.reshape(-1) for layer in layers for part in layer])


class TorchMlp:
    """A network with its scaling on a device, for batches of raw observations.

    Args:
        interface: The scaling of observations.
        hidden_dims: The shape.
        weights: Flat, ``(num_parameters,)``.
        device: Where it runs.
    """

    def __init__(
        self,
        interface: PolicyInterface,
        hidden_dims: Architecture,
        weights: np.ndarray,
        device: torch.device,
    ) -> None:
        flat = torch.tensor(weights, device=device)
        self._layers = layers_from_flat(interface.spec(hidden_dims), flat)
        self._mean = torch.tensor(interface.obs_mean, device=device)
        self._std = torch.tensor(interface.obs_std, device=device)
        self._clip = interface.obs_clip

    def __call__(self, observations: Tensor) -> Tensor:
        """Return outputs ``(E, act_dim)``, not clipped, for observations ``(E, obs_dim)``."""
        scaled = ((observations - self._mean) / self._std).clamp(-self._clip, self._clip)
        return run_mlp(self._layers, scaled)


@torch.no_grad()
def evaluate_loss(layers: list[LayerTensors], data: CloningData) -> float:
    """Return the cloning loss over all transitions."""
    return float(data.loss(run_mlp(layers, data.observations)))


def network_loss(network: Network, interface: PolicyInterface, data: CloningData) -> float:
    """Return the cloning loss of a network over all transitions.

    An output beyond float32 makes a loss that is no number; it counts as the worst one.
    """
    flat = torch.from_numpy(np.array(network.weights))
    loss = evaluate_loss(layers_from_flat(interface.spec(network.hidden_dims), flat), data)
    return loss if loss < WORST_LOSS else WORST_LOSS  # NaN is not below it


class LossUnit(NamedTuple):
    """Measure the cloning loss of some networks, as a unit of work for a process."""

    demos: Demos  # with the networks' own scaling of observations
    networks: tuple[Network, ...]


def measure_losses(unit: LossUnit) -> list[float]:
    """Return the cloning loss of each network over all transitions."""
    prepare_torch()
    data = cloning_data(unit.demos)
    return [network_loss(network, unit.demos.interface, data) for network in unit.networks]


def initialise_flat(spec: MlpSpec, generator: torch.Generator) -> Tensor:
    """Draw weights and biases as ``torch.nn.Linear`` does: uniform within ``1 / sqrt(fan_in)``.

    He et al.'s weights (arXiv:1502.01852) have a deviation 2.4 times as large, with which the
    outputs of a fresh policy are as large as its inputs, not small beside the bounds of actions.
    """
    parts = []
    for fan_out, fan_in in spec.layers:
        for size in (fan_out * fan_in, fan_out):
            drawn = torch.rand(size, generator=generator)
            parts.append((2 * drawn - 1) / math.sqrt(fan_in))
    return torch.cat(parts)
