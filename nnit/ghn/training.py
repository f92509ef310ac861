"""Train a graph hypernetwork by behaviour cloning, over many architectures at once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from nnit.cloning import CloningData, Transitions, draw_transitions, run_mlp
from nnit.distributed import descend, touching, wrap
from nnit.ghn.model import GraphHyperNetwork
from nnit.mlp import Architecture, MlpSpec, PolicyInterface
from nnit.muon import MuonAdamW
from nnit.ranks import ALONE, Ranks, Share
from nnit.seeding import numpy_generator, torch_generator
from nnit.training import build_optimizer, one_cycle, take_step

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


@dataclass(frozen=True)
class TrainingStep:
    """What one optimiser step tells its caller; a GPU is waited for when it is asked."""

    step: int  # steps done, 1 after the first
    figure: Tensor
    learning_rate: float
    transitions: int  # that were learnt from

    @cached_property
    def _value(self) -> float:
        return float(self.figure)

    @property
    def loss(self) -> float:
        """The mean cloning loss of the step's architectures."""
        return self._value


class StepLoss(nn.Module):
    """The cloning loss of some architectures of a step; called by ``nnit.distributed.descend``."""

    def __init__(
        self,
        ghn: GraphHyperNetwork,
        data: CloningData,
        settings: GhnTrainingSettings,
        ranks: Ranks = ALONE,
    ) -> None:
        super().__init__()
        self.ghn = ghn
        self._data, self._settings, self._ranks = data, settings, ranks

    def forward(
        self, share: Share, specs: list[MlpSpec], transitions: list[Transitions]
    ) -> tuple[Tensor, Tensor]:
        """Return a share's part of the mean loss: times the ranks, and once."""
        mine, size = specs[share.rows], self._ranks.size
        if not mine:
            nothing = touching(self.ghn)
            return nothing, nothing.detach()
        device_type = self._data.actions.device.type
        with torch.autocast(device_type, torch.bfloat16, enabled=self._settings.autocast):
            networks = self.ghn(mine)
        losses = [
            self._data.loss(run_mlp(layers, drawn.observations), drawn.rows)
            for layers, drawn in zip(networks, transitions[share.rows], strict=True)
        ]
        loss = torch.stack(losses).mean() * (len(mine) / len(specs))
        figure = loss.detach()
        return (size * loss + touching(self.ghn) if size > 1 else loss), figure


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
    ranks: Ranks = ALONE,
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
        ranks: Which of the processes that train together this one is.
        start: Steps that were done before.
    """
    step_loss = wrap(ranks, StepLoss(ghn, data, settings, ranks))
    count = settings.architectures_per_step
    for step in range(start, settings.steps):
        architectures = numpy_generator(settings.seed, "architectures", step)
        transitions = torch_generator(settings.seed, "transitions", step)
        specs = [interface.spec(sample_architecture(architectures)) for _ in range(count)]
        drawn = draw_transitions([data] * count, settings.batch_size, transitions)
        optimizer.zero_grad(set_to_none=True)
        loss = descend(ranks, step_loss, count, specs, drawn)
        learning_rate = one_cycle(step, settings.steps, settings.learning_rate)
        take_step(optimizer, *[learning_rate] * len(optimizer.param_groups))
        yield TrainingStep(step + 1, loss, learning_rate, count * settings.batch_size)
