"""Clone with many networks at once: each by itself, with batches of its own."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.adam import adam

from nnit.cloning import (
    CloningData,
    initialise_flat,
    loss_gradient,
    loss_targets,
)
from nnit.groups.stack import build_stacks, padded, stack_size
from nnit.mlp import Architecture, PolicyInterface
from nnit.seeding import torch_generator

ADAM_EPSILON = 1e-8  # torch's
STEPS_TOGETHER = 64  # whose batches are drawn at once
CACHED_WEIGHTS = 40_000  # that a CPU trains side by side: more are out of its cache at each step


@dataclass(frozen=True)
class CloningSettings:
    """How networks are cloned."""

    steps: int  # of the optimiser
    batch_size: int  # transitions a step
    learning_rate: float  # at the start; falls to zero as a cosine
    # Adam's. Every weight moves by about the learning rate while its gradients are well above
    # epsilon; those below, which the loss hardly feels, nearly stay.
    epsilon: float = ADAM_EPSILON


class Pupil(NamedTuple):
    """A network that is to be cloned."""

    hidden_dims: Architecture
    seed: int  # of its batches, and before them of its weights, where it has none
    weights: np.ndarray | None = None  # (num_parameters,) to begin with


def train_groups(
    groups: Sequence[Sequence[Pupil]],
    data: CloningData,
    interface: PolicyInterface,
    settings: CloningSettings,
) -> list[Tensor]:
    """Clone with networks: Adam with a cosine schedule.

    Networks of a group share their products. Each draws from generators of its own, and its result
    is what it would be alone, but for the rounding of products.

    Args:
        groups: Networks of one depth in each.
        data: Demonstrations, on the device that trains.
        interface: Observation and action sizes.
        settings: The numbers.

    Returns:
        The weights of each network, ``(num_parameters,)``, group after group.
    """
    sizes = [stack_size([interface.spec(pupil.hidden_dims) for pupil in group]) for group in groups]
    most = CACHED_WEIGHTS if data.observations.device.type == "cpu" else sum(sizes)
    extra = padded(interface.obs_dim) - interface.obs_dim
    tables = F.pad(data.observations, (0, extra)), loss_targets(data)
    trained = []
    for first, end in _runs(sizes, most):
        trained += _train_together(groups[first:end], data, tables, interface, settings)
    return trained


@torch.no_grad()
def _train_together(
    groups: Sequence[Sequence[Pupil]],
    data: CloningData,
    tables: tuple[Tensor, Tensor],
    interface: PolicyInterface,
    settings: CloningSettings,
) -> list[Tensor]:
    """Train groups side by side: what is not a product is done once for all of them.

    Args:
        groups: Networks of one depth in each.
        data: Demonstrations.
        tables: What the stacks see of each transition, and what the loss does.
        interface: Observation and action sizes.
        settings: The numbers.
    """
    device = data.observations.device
    pupils = [pupil for group in groups for pupil in group]
    generators = [torch.Generator().manual_seed(pupil.seed) for pupil in pupils]
    hiders = [torch_generator(pupil.seed, "hidden") for pupil in pupils]
    stacks, weights, gradients = build_stacks(
        [[interface.spec(pupil.hidden_dims) for pupil in group] for group in groups], device
    )
    first = (_first_weights(*one, interface) for one in zip(pupils, generators, strict=True))
    for stack in stacks:
        stack.write([next(first) for _ in stack.specs])

    widths = *(table.shape[1] for table in tables), interface.act_dim
    inputs, targets, outputs = (
        torch.empty(len(pupils), settings.batch_size, width, device=device) for width in widths
    )
    observed = inputs[..., : interface.obs_dim].unbind()  # without the padding
    counts = [len(group) for group in groups]
    forward = [*zip(stacks, inputs.split(counts), outputs.split(counts), strict=True)]
    optimizer = _Adam(weights, gradients, settings.epsilon)
    for step, chosen in enumerate(_batches(len(data), generators, settings, device)):
        for table, part in zip(tables, (inputs, targets), strict=True):
            torch.index_select(table, 0, chosen, out=part.flatten(0, 1))
        for observations, hider in zip(observed, hiders, strict=True):
            data.hide(observations, hider)
        for stack, x, out in forward:
            stack.forward(x, out)
        errors = loss_gradient(outputs, targets, data.output, data.importance)
        for stack, error in zip(stacks, errors.split(counts), strict=True):
            stack.backward(error)
        optimizer.step(cosine(step, settings))
    return [flat for stack in stacks for flat in stack.read()]


class _Adam:
    """Adam over one vector: torch's own, without what its class does around it at each step."""

    def __init__(self, weights: Tensor, gradients: Tensor, epsilon: float) -> None:
        self._weights, self._gradients = weights, gradients
        self._mean, self._square = torch.zeros_like(weights), torch.zeros_like(weights)
        self._steps = torch.zeros((), device=weights.device)
        self._epsilon = epsilon

    def step(self, learning_rate: float) -> None:
        """Change the weights in place."""
        adam(
            [self._weights],
            [self._gradients],
            [self._mean],
            [self._square],
            [],
            [self._steps],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=learning_rate,
            weight_decay=0.0,
            eps=self._epsilon,
            maximize=False,
        )


def _runs(sizes: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Cut a list into runs whose sizes sum up to at most ``most``, or are of one entry."""
    runs, start, total = [], 0, 0
    for k, size in enumerate(sizes):
        if total + size > most and k > start:
            runs.append((start, k))
            start, total = k, 0
        total += size
    return [*runs, (start, len(sizes))]


def cosine(step: int, settings: CloningSettings) -> float:
    """Return the learning rate of a step."""
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * step / settings.steps))


def _first_weights(pupil: Pupil, generator: torch.Generator, interface: PolicyInterface) -> Tensor:
    """Return what a network begins with, ``(num_parameters,)``."""
    if pupil.weights is not None:
        return torch.tensor(pupil.weights)
    return initialise_flat(interface.spec(pupil.hidden_dims), generator)


def _batches(
    num_rows: int,
    generators: Sequence[torch.Generator],
    settings: CloningSettings,
    device: torch.device,
) -> Iterator[Tensor]:
    """Yield the transitions of each step, ``(K * batch_size,)``: each network's own.

    Those of many steps are drawn at once, and are what they would be if drawn one by one.
    """
    for start in range(0, settings.steps, STEPS_TOGETHER):
        size = (min(STEPS_TOGETHER, settings.steps - start), settings.batch_size)
        drawn = [torch.randint(num_rows, size, generator=generator) for generator in generators]
        yield from torch.cat(drawn, dim=1).to(device)
