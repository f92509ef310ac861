"""Train the flat-vector baseline: first the autoencoder, then diffusion of its latents."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nnit.diffusion.ema import Ema
from nnit.diffusion.path import interpolate, loss_weight, sample_times
from nnit.flat.layout import FlatNetwork, condition_features, flatten
from nnit.flat.model import FlatModel
from nnit.mlp import MlpSpec
from nnit.seeding import numpy_generator, torch_generator
from nnit.tokens.token_set import Standardizer
from nnit.training import one_cycle, optimise
from nnit.zoo.members import ModelZoo

LATENT_NOISE = 0.1  # added to latents of mean square 1, so that the decoder bears small errors


@dataclass(frozen=True)
class FlatTrainingSettings:
    """How the two parts are trained."""

    autoencoder_steps: int
    steps: int  # of the diffusion
    batch_size: int  # networks, of the autoencoder
    latent_batch_size: int  # networks, of the diffusion
    learning_rate: float  # the peak of both
    seed: int
    autocast: bool  # bfloat16 matrix products


class FlatStep(NamedTuple):
    """What one optimiser step tells its caller."""

    step: int  # steps done, 1 after the first; those of the diffusion go on counting
    loss: float
    learning_rate: float
    networks: int  # that were learnt from


class FlatBatch(NamedTuple):
    """Padded networks."""

    values: Tensor  # (B, P)
    loss_weights: Tensor  # (B, P)
    condition: Tensor  # (B, F)


@dataclass(frozen=True)
class FlatZoo:
    """The training networks; vectors are padded when a batch is made, for they are mostly zeros."""

    zoo: ModelZoo
    indices: tuple[int, ...]  # of the networks to train on
    standardizer: Standardizer
    largest: MlpSpec

    def __len__(self) -> int:
        return len(self.indices)

    def network(self, k: int) -> FlatNetwork:
        """Return training network ``k``."""
        index = self.indices[k]
        return flatten(
            self.largest, self.zoo.spec(index), self.zoo.network(index), self.standardizer
        )

    def condition(self) -> Tensor:
        """Return the features of all architectures ``(N, F)``."""
        members = [self.zoo.members[index] for index in self.indices]
        return torch.stack([condition_features(m.hidden_dims, self.largest.depth) for m in members])

    def batch(self, chosen: np.ndarray, condition: Tensor) -> FlatBatch:
        """Return some networks, with their rows of ``condition``."""
        networks = [self.network(int(k)) for k in chosen]
        return FlatBatch(
            torch.from_numpy(np.stack([network.values for network in networks])),
            torch.from_numpy(np.stack([network.loss_weights for network in networks])),
            condition[torch.from_numpy(chosen)],
        )


def draw_batch(num: int, size: int, seed: int, label: str, step: int) -> np.ndarray:
    """Return the networks of a step: an epoch is a permutation, cut into batches; no last part."""
    per_epoch = max(1, num // size)
    epoch, position = divmod(step, per_epoch)
    order = numpy_generator(seed, label, epoch).permutation(num)
    return order[position * size : (position + 1) * size]


def reconstruction_loss(decoded: Tensor, batch: FlatBatch) -> Tensor:
    """Squared error over the real entries: over entries, then layers, then networks."""
    return ((decoded - batch.values).square() * batch.loss_weights).sum(-1).mean()


def train_autoencoder(
    model: FlatModel,
    optimizer: torch.optim.Optimizer,
    networks: FlatZoo,
    settings: FlatTrainingSettings,
    *,
    device: str = "cpu",
    start: int = 0,
) -> Iterator[FlatStep]:
    """Train the autoencoder in place, one yield a step; resumed at ``start`` it goes on exactly."""
    device_type, condition = torch.device(device).type, networks.condition()
    for step in range(start, settings.autoencoder_steps):
        generator = torch_generator(settings.seed, "latent-noise", step)
        chosen = draw_batch(len(networks), settings.batch_size, settings.seed, "autoencoder", step)
        batch = FlatBatch(*(part.to(device) for part in networks.batch(chosen, condition)))
        with torch.autocast(device_type, torch.bfloat16, enabled=settings.autocast):
            latents = model.autoencoder.encode(batch.values, batch.condition)
            noise = torch.randn(latents.shape, generator=generator).to(device)
            decoded = model.autoencoder.decode(latents + LATENT_NOISE * noise, batch.condition)
        loss = reconstruction_loss(decoded.float(), batch)
        rate = one_cycle(step, settings.autoencoder_steps, settings.learning_rate)
        optimise(optimizer, loss, rate)
        yield FlatStep(step + 1, loss.item(), rate, len(chosen))


@torch.no_grad()
def encode_zoo(
    model: FlatModel, networks: FlatZoo, batch_size: int, *, device: str = "cpu"
) -> tuple[Tensor, float]:
    """Return the latents of all networks ``(N, Z)``, and the mean error of their reconstruction.

    The error is in squared standardised units.
    """
    condition, parts, errors = networks.condition(), [], []
    for start in range(0, len(networks), batch_size):
        chosen = np.arange(start, min(start + batch_size, len(networks)))
        batch = FlatBatch(*(part.to(device) for part in networks.batch(chosen, condition)))
        latents = model.autoencoder.encode(batch.values, batch.condition)
        decoded = model.autoencoder.decode(latents, batch.condition)
        errors += [float(reconstruction_loss(decoded, batch))] * len(chosen)
        parts.append(latents)
    return torch.cat(parts), float(np.mean(errors))


def train_denoiser(
    model: FlatModel,
    ema: Ema,
    optimizer: torch.optim.Optimizer,
    latents: Tensor,
    condition: Tensor,
    settings: FlatTrainingSettings,
    *,
    start: int = 0,
) -> Iterator[FlatStep]:
    """Train the diffusion in place, one yield a step; resumed at ``start`` it goes on exactly.

    Args:
        model: Its denoiser is trained.
        ema: Of the denoiser; updated after each step.
        optimizer: Over the denoiser's parameters.
        latents: ``(N, Z)``, standardised.
        condition: Features of the architectures ``(N, F)``.
        settings: The numbers.
        start: Steps of the diffusion that were done before.
    """
    device_type, first = latents.device.type, settings.autoencoder_steps
    for step in range(start, settings.steps):
        generator = torch_generator(settings.seed, "noise", step)
        chosen = torch.from_numpy(
            draw_batch(len(latents), settings.latent_batch_size, settings.seed, "diffusion", step)
        ).to(latents.device)
        t = sample_times(len(chosen), generator).to(latents.device)
        x_1 = latents[chosen]
        x_0 = torch.randn(x_1.shape, generator=generator).to(latents.device)
        x_t = interpolate(x_0, x_1, t[:, None])
        with torch.autocast(device_type, torch.bfloat16, enabled=settings.autocast):
            predicted = model.denoiser(x_t, t, condition[chosen])
        loss = ((predicted - x_1).square().mean(-1) * loss_weight(t)).mean()
        rate = one_cycle(step, settings.steps, settings.learning_rate)
        optimise(optimizer, loss, rate)
        ema.update(model.denoiser, step)
        yield FlatStep(first + step + 1, loss.item(), rate, len(chosen))
