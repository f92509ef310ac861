"""Train a graph hypernetwork by behaviour cloning, over many architectures at once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from nnit.cloning import CloningData, run_mlp
from nnit.ghn.model import GraphHyperNetwork
from nnit.mlp import Architecture, PolicyInterface
from nnit.muon import MuonAdamW
from nnit.seeding import numpy_generator, torch_generator
from nnit.training import build_optimizer, one_cycle, optimise

ArchitectureSampler = Callable[[np.random.Generator], Architecture]


@dataclass(frozen=True)
class GhnTrainingSettings:
    """How a graph hypernetwork is trained."""

    steps: int
    architectures_per_step: int
    batch_size: int  # transitions for each architecture
    learning_rate: float  # the peak
    seed: int
    autocast: bool = False  # bfloat16 convolutions and matrix products in the hypernetwork


class TrainingStep(NamedTuple):
    """What one optimiser step tells its caller."""

    step: int  # steps done, 1 after the first
    loss: float


def build_ghn_optimizer(ghn: GraphHyperNetwork, weight_decay: float) -> torch.optim.AdamW:
    """Muon for the hidden matrices where the decoder has a carrier, AdamW for all else.

    The convolutions of the other decoders gain less by Muon than it costs on a CPU.
    """
    hidden = ghn.hidden_matrices()
    if not hidden:
        return build_optimizer(ghn, weight_decay)
    theirs = {id(parameter) for parameter in hidden}
    others = [parameter for parameter in ghn.parameters() if id(parameter) not in theirs]
    return MuonAdamW(hidden, others, weight_decay)


def train_ghn(
    ghn: GraphHyperNetwork,
    optimizer: torch.optim.Optimizer,
    data: CloningData,
    interface: PolicyInterface,
    sample_architecture: ArchitectureSampler,
    settings: GhnTrainingSettings,
    *,
    start: int = 0,
) -> Iterator[TrainingStep]:
    """Train in place, one yield for each step.

    Each step draws architectures and transitions from generators of its own, so that a training
    that is continued at ``start`` goes on exactly as the uninterrupted one.

    Args:
        ghn: The hypernetwork.
        optimizer: Over its parameters.
        data: Demonstrations.
        interface: Observation and action sizes.
        sample_architecture: Draws hidden widths; must refuse held-out architectures.
        settings: The numbers.
        start: Steps that were done before.
    """
    for step in range(start, settings.steps):
        architectures = numpy_generator(settings.seed, "architectures", step)
        transitions = torch_generator(settings.seed, "transitions", step)
        count = settings.architectures_per_step
        specs = [interface.spec(sample_architecture(architectures)) for _ in range(count)]
        losses = []
        device_type = data.actions.device.type
        with torch.autocast(device_type, torch.bfloat16, enabled=settings.autocast):
            networks = ghn(specs)
        for layers in networks:
            rows = torch.randint(len(data), (settings.batch_size,), generator=transitions)
            rows = rows.to(data.actions.device)
            predicted = run_mlp(layers, data.draw(rows, transitions))
            losses.append(data.loss(predicted, rows))
        loss = torch.stack(losses).mean()
        learning_rate = one_cycle(step, settings.steps, settings.learning_rate)
        optimise(optimizer, loss, *[learning_rate] * len(optimizer.param_groups))
        yield TrainingStep(step + 1, loss.item())
