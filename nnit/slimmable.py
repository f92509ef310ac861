"""One MLP of each depth that can be cut to any width: the baseline without a generator.

The first units of every layer are a narrower network. All of them are trained at once, by the
sandwich rule: at each step the widest learns from demonstrations, and the narrowest and some drawn
ones from the widest.

Source: Yu & Huang 2019, "Universally Slimmable Networks and Improved Training Techniques"
(arXiv:1903.05134), sections 3.1 (sandwich rule) and 3.3 (in-place distillation). An MLP has no
statistics of batches to calibrate.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nnit.cloning import (
    CloningData,
    LayerTensors,
    cloning_loss,
    flat_from_layers,
    initialise_flat,
    layers_from_flat,
    run_mlp,
)
from nnit.groups.training import CloningSettings, cosine
from nnit.mlp import ACTION, Architecture, PolicyInterface
from nnit.seeding import numpy_generator, torch_generator

DRAWN = 2  # widths a step, beside the widest and the narrowest


def train_slimmable(
    widest: Architecture,
    narrowest: Architecture,
    draw: Callable[..., Architecture],
    data: CloningData,
    interface: PolicyInterface,
    settings: CloningSettings,
    seed: int,
) -> Tensor:
    """Train a slimmable MLP by behaviour cloning: Adam with a cosine schedule.

    Args:
        widest: Its hidden widths.
        narrowest: The smallest it is cut to.
        draw: From a numpy generator to widths in between, none above ``widest``.
        data: Demonstrations.
        interface: Observation and action sizes.
        settings: The numbers.
        seed: Of weights, batches and widths.

    Returns:
        Its flat weights.
    """
    spec, chance = interface.spec(widest), torch_generator(seed, "slimmable")
    widths = numpy_generator(seed, "slimmable widths")
    flat = initialise_flat(spec, chance).to(data.observations.device).requires_grad_()
    optimizer = torch.optim.Adam([flat], eps=settings.epsilon, fused=True)
    for step in range(settings.steps):
        rows = torch.randint(len(data), (settings.batch_size,), generator=chance)
        rows = rows.to(flat.device)
        seen, layers = data.draw(rows, chance), layers_from_flat(spec, flat)
        whole = run_mlp(layers, seen)
        taught = taught_by(whole.detach(), data)
        loss = data.loss(whole, rows)
        for dims in (narrowest, *(draw(widths) for _ in range(DRAWN))):
            part = run_mlp(cut_layers(layers, interface.spec(dims).layers), seen)
            loss = loss + cloning_loss(part, taught, data.output, data.importance)
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = cosine(step, settings)
        optimizer.step()
    return flat.detach()


def taught_by(outputs: Tensor, data: CloningData) -> Tensor:
    """Return outputs of the widest network as labels for others: actions, or probabilities."""
    return outputs.clamp(-1, 1) if data.output == ACTION else outputs.softmax(dim=-1)


def cut_layers(
    layers: Sequence[LayerTensors], shapes: Sequence[tuple[int, int]]
) -> list[LayerTensors]:
    """Return the first units of each layer.

    Args:
        layers: Of the widest network.
        shapes: ``(fan_out, fan_in)`` of each layer of the narrower one.
    """
    return [
        LayerTensors(layer.weight[:rows, :columns], layer.bias[:rows])
        for layer, (rows, columns) in zip(layers, shapes, strict=True)
    ]


def cut_flat(
    flat: Tensor, widest: Architecture, wanted: Architecture, interface: PolicyInterface
) -> Tensor:
    """Return the flat weights of a narrower network.

    Raises:
        ValueError: another depth, or wider.
    """
    if len(widest) != len(wanted) or any(w > m for w, m in zip(wanted, widest, strict=True)):
        raise ValueError(f"{wanted} is no part of {widest}")
    layers = layers_from_flat(interface.spec(widest), flat)
    return flat_from_layers(cut_layers(layers, interface.spec(wanted).layers))
