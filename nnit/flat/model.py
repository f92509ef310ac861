"""The networks of the flat-vector baseline: an autoencoder and a denoiser of its latents.

Axis letters: B networks of a batch, P entries of a padded vector, N chunks, C channels, Z latents,
F features of an architecture.

Source: Wang et al. 2024, "Neural Network Diffusion" (p-diff, arXiv:2402.13144): a one-dimensional
convolutional autoencoder of flattened weights, with noise on its latents, and diffusion of the
latents. Ours also tells both parts the architecture, has one latent for networks of all shapes,
and keeps latents at unit size.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from nnit.diffusion.transformer import MAX_BLOCKS, TIME_FEATURES, time_features
from nnit.flat.layout import SLOT_FEATURES, largest_spec
from nnit.mlp import MAX_WIDTH, MlpSpec
from nnit.seeding import torch_generator

CHUNK = 128  # entries of the vector that the first convolution takes in
STRIDE = 4  # of the convolutions after it
CHANNELS = (48, 96, 192)
NECK = 16  # channels where all chunks come together
CONDITION = 256  # width of what time and architecture say


@dataclass(frozen=True)
class FlatConfig:
    """The largest shape, and the size of the networks.

    Raises:
        ValueError: an impossible value.
    """

    obs_dim: int
    act_dim: int
    widest: int  # of the networks in training
    deepest: int  # hidden layers
    latents: int
    width: int  # of the denoiser
    depth: int

    def __post_init__(self) -> None:
        sizes = asdict(self).values()
        if min(sizes) < 1 or max(sizes) > MAX_WIDTH or self.depth > MAX_BLOCKS:
            raise ValueError(
                f"sizes must be within 1 to {MAX_WIDTH} and depth to {MAX_BLOCKS}, got {self}"
            )

    @property
    def largest(self) -> MlpSpec:
        """The shape that all networks are padded to."""
        return largest_spec(self.obs_dim, self.act_dim, self.widest, self.deepest)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON data."""
        return asdict(self)


class Autoencoder(nn.Module):
    """Whole networks, padded, to ``latents`` numbers and back.

    Convolutions have the stride of their kernel, so that each is one matrix product over chunks;
    what makes chunks differ is a learnt vector for the place of each.
    """

    def __init__(self, config: FlatConfig) -> None:
        super().__init__()
        self.entries = config.largest.num_parameters
        step = CHUNK * STRIDE ** (len(CHANNELS) - 1)
        self.coarsest = -(-self.entries // step)  # chunks of the coarsest level
        features = config.deepest * SLOT_FEATURES
        inputs = (CHUNK, *(STRIDE * channels for channels in CHANNELS[:-1]))
        counts = [self.coarsest * STRIDE**k for k in reversed(range(len(CHANNELS)))]
        pairs = list(zip(inputs, CHANNELS, strict=True))
        self.down = nn.ModuleList(nn.Linear(i, o) for i, o in pairs)
        self.up = nn.ModuleList(nn.Linear(o, i) for i, o in reversed(pairs))
        self.down_norms = nn.ModuleList(nn.LayerNorm(channels) for channels in CHANNELS)
        self.up_norms = nn.ModuleList(nn.LayerNorm(channels) for channels in reversed(CHANNELS))
        self.down_places = _places(counts, CHANNELS)
        self.up_places = _places(counts[::-1], CHANNELS[::-1])
        self.squeeze = nn.Linear(CHANNELS[-1], NECK)
        self.stretch = nn.Linear(NECK, CHANNELS[-1])
        self.into_latents = nn.Linear(self.coarsest * NECK + features, config.latents)
        self.out_of_latents = nn.Linear(config.latents + features, self.coarsest * NECK)

    def encode(self, values: Tensor, condition: Tensor) -> Tensor:
        """From vectors ``(B, P)`` and features ``(B, F)`` to ``(B, Z)`` of mean square 1."""
        missing = CHUNK * STRIDE ** (len(CHANNELS) - 1) * self.coarsest - self.entries
        x = rearrange(F.pad(values, (0, missing)), "B (N c) -> B N c", c=CHUNK)
        for level, linear in enumerate(self.down):
            if level:
                x = rearrange(x, "B (N s) C -> B N (s C)", s=STRIDE)
            x = F.gelu(self.down_norms[level](linear(x)) + self.down_places[level])
        x = rearrange(self.squeeze(x), "B N C -> B (N C)")
        latents = self.into_latents(torch.cat([x, condition], dim=-1)).float()
        return latents / latents.square().mean(-1, keepdim=True).add(1e-6).sqrt()

    def decode(self, latents: Tensor, condition: Tensor) -> Tensor:
        """Return vectors ``(B, P)``; entries where a network has no weight mean nothing."""
        x = self.out_of_latents(torch.cat([latents, condition], dim=-1))
        x = self.stretch(rearrange(x, "B (N C) -> B N C", C=NECK))
        for level, linear in enumerate(self.up):
            x = linear(F.gelu(self.up_norms[level](x) + self.up_places[level]))
            if level < len(self.up) - 1:
                x = rearrange(x, "B N (s C) -> B (N s) C", s=STRIDE)
        return rearrange(x, "B N c -> B (N c)")[:, : self.entries]


def _places(counts: list[int], channels: tuple[int, ...]) -> nn.ParameterList:
    return nn.ParameterList(
        nn.Parameter(torch.zeros(count, size)) for count, size in zip(counts, channels, strict=True)
    )


class Block(nn.Module):
    """A residual block that time and architecture scale, shift and gate (adaLN-Zero)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(CONDITION, 3 * width)
        self.hidden = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return ``(B, width)``."""
        shift, scale, gate = self.modulation(condition).chunk(3, dim=-1)
        y = self.norm(x) * (1 + scale) + shift
        return x + gate * self.out(F.gelu(self.hidden(y)))


class Denoiser(nn.Module):
    """From noisy latents, their time and the architecture to the clean latents."""

    def __init__(self, config: FlatConfig) -> None:
        super().__init__()
        features = config.deepest * SLOT_FEATURES
        self.condition = nn.Sequential(
            nn.Linear(TIME_FEATURES + features, CONDITION),
            nn.SiLU(),
            nn.Linear(CONDITION, CONDITION),
            nn.SiLU(),
        )
        self.inwards = nn.Linear(config.latents, config.width)
        self.blocks = nn.ModuleList(Block(config.width) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.outwards = nn.Linear(config.width, config.latents)

    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """Predict clean latents ``(B, Z)`` from noisy ones, times ``(B,)``, features ``(B, F)``."""
        c = self.condition(torch.cat([time_features(t), condition], dim=-1))
        x = self.inwards(x_t)
        for block in self.blocks:
            x = block(x, c)
        return self.outwards(self.norm(x)).float()


class FlatModel(nn.Module):
    """Autoencoder, denoiser, and what makes the latents about unit size."""

    latent_mean: Tensor  # (Z,)
    latent_scale: Tensor  # (1,): one for all, so that small latents stay small

    def __init__(self, config: FlatConfig) -> None:
        super().__init__()
        self.config = config
        self.autoencoder = Autoencoder(config)
        self.denoiser = Denoiser(config)
        self.register_buffer("latent_mean", torch.zeros(config.latents))
        self.register_buffer("latent_scale", torch.ones(1))

    @torch.no_grad()
    def fit_latents(self, latents: Tensor) -> Tensor:
        """Measure the mean and size of latents ``(N, Z)``; return them standardised."""
        self.latent_mean.copy_(latents.mean(0))
        self.latent_scale.copy_((latents - self.latent_mean).square().mean().sqrt().clamp(min=1e-6))
        return (latents - self.latent_mean) / self.latent_scale


def build_flat(config: FlatConfig, seed: int) -> FlatModel:
    """Return a model with initial weights that the seed decides.

    Matrices are drawn at ``1 / sqrt(fan_in)``, places small; modulations start at 0 (adaLN-Zero).
    """
    model = FlatModel(config)
    generator = torch_generator(seed, "flat")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                continue
            if "modulation" in name or name.endswith("bias"):
                parameter.zero_()
            elif "places" in name:
                parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
            else:
                size = 1 / math.sqrt(parameter.shape[1])
                parameter.copy_(size * torch.randn(parameter.shape, generator=generator))
    return model
