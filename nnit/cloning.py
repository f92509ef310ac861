"""Behaviour cloning: the data, the loss, and networks as tensors that learn by it."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nnit.demos import Demos
from nnit.mlp import ACTION, Architecture, MlpSpec, Network, Output, PolicyInterface
from nnit.seeding import torch_generator
from nnit.training import prepare_torch

CLONE_LEARNING_RATE = 2e-3
CLONE_BATCH_SIZE = 256
ADAM_EPSILON = 1e-8  # torch's
SATURATION = 0.999  # a label beyond it is at the bound of the action
WORST_LOSS = 1e30  # the largest that artifacts hold


class LayerTensors(NamedTuple):
    """The weights of one linear layer."""

    weight: Tensor  # (fan_out, fan_in)
    bias: Tensor  # (fan_out,)


@dataclass(frozen=True)
class CloningData:
    """Transitions ready to learn from."""

    observations: Tensor  # (N, obs_dim), standardised
    actions: Tensor  # (N, act_dim), in [-1, 1]; of classes the right one is 1, the others 0
    episode_ends: np.ndarray  # (E,) int64, cumulative
    output: Output = ACTION

    def __len__(self) -> int:
        return len(self.observations)

    def loss(self, predicted: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        """Return the cloning loss of a network's outputs for the transitions ``rows``."""
        return cloning_loss(predicted, self.actions[rows], self.output)


def cloning_data(demos: Demos, device: str = "cpu") -> CloningData:
    """Standardise demonstrations and move them to a device."""
    observations = demos.interface.standardise(demos.observations).astype(np.float32)
    return CloningData(
        torch.from_numpy(observations).to(device),
        torch.from_numpy(demos.actions).to(device),
        demos.episode_ends,
        demos.interface.output,
    )


def bootstrap(data: CloningData, generator: np.random.Generator) -> CloningData:
    """Resample whole episodes with replacement, as many as there are."""
    starts = np.concatenate([[0], data.episode_ends[:-1]])
    chosen = generator.integers(len(starts), size=len(starts))
    ends = data.episode_ends
    index = np.concatenate([np.arange(int(starts[e]), int(ends[e])) for e in chosen])
    lengths = ends[chosen] - starts[chosen]
    rows = torch.from_numpy(index).to(data.observations.device)
    ends = np.cumsum(lengths)
    return CloningData(data.observations[rows], data.actions[rows], ends, data.output)


def cloning_loss(predicted: Tensor, actions: Tensor, output: Output = ACTION) -> Tensor:
    """Return the mean squared error of actions, or the mean cross-entropy of classes in nats.

    The environment clips actions at -1 and 1, so that an output beyond a label at the bound is
    as good as the label: overshooting a saturated label costs nothing.

    Args:
        predicted: Outputs of the network, ``(..., act_dim)``, not clipped.
        actions: Labels, the same shape, within [-1, 1]; of classes, their probabilities.
        output: What the outputs are.
    """
    if output != ACTION:
        return -(actions * predicted.log_softmax(dim=-1)).sum(dim=-1).mean()
    overshoot = (actions >= SATURATION) & (predicted > actions)
    undershoot = (actions <= -SATURATION) & (predicted < actions)
    error = (predicted - actions).masked_fill(overshoot | undershoot, 0)
    return error.square().mean()


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


def train_alone(
    spec: MlpSpec,
    flat: Tensor,
    data: CloningData,
    *,
    steps: int,
    learning_rate: float,
    batch_size: int,
    generator: torch.Generator,
    epsilon: float = ADAM_EPSILON,
) -> Tensor:
    """Clone with one network: Adam with a cosine schedule, from the weights ``flat``.

    Args:
        spec: The network's shape.
        flat: Initial weights ``(num_parameters,)``; not changed.
        data: Demonstrations.
        steps: Optimiser steps.
        learning_rate: At the start; zero at the end.
        batch_size: Transitions a step.
        generator: Draws the batches.
        epsilon: Adam's. Every weight moves by about the learning rate while its gradients are
            well above epsilon; those below, which the loss hardly feels, nearly stay.

    Returns:
        The trained weights ``(num_parameters,)``.
    """
    parameters = flat.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([parameters], lr=learning_rate, eps=epsilon, fused=True)
    layers = layers_from_flat(spec, parameters)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = (
            learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        )
        rows = torch.randint(len(data), (batch_size,), generator=generator)
        rows = rows.to(data.actions.device)
        loss = data.loss(run_mlp(layers, data.observations[rows]), rows)
        (parameters.grad,) = torch.autograd.grad(loss, parameters, retain_graph=True)
        optimizer.step()
    return parameters.detach()


class CloneUnit(NamedTuple):
    """Clone one architecture from scratch, as a unit of work for a process."""

    demos: Demos
    hidden_dims: Architecture
    steps: int
    seed: int


def clone_network(unit: CloneUnit) -> np.ndarray:
    """Clone directly with all demonstrations; returns the flat weights ``(num_parameters,)``."""
    prepare_torch()
    spec = unit.demos.interface.spec(unit.hidden_dims)
    generator = torch_generator(unit.seed, "clone", *unit.hidden_dims)
    trained = train_alone(
        spec,
        initialise_flat(spec, generator),
        cloning_data(unit.demos),
        steps=unit.steps,
        learning_rate=CLONE_LEARNING_RATE,
        batch_size=CLONE_BATCH_SIZE,
        generator=generator,
    )
    return trained.numpy()
