"""Generate the weights of a network of a given architecture."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from nnit.diffusion.batch import TokenBatch, collate
from nnit.diffusion.path import euler_step, time_grid
from nnit.mlp import MlpSpec, Network, join_layers
from nnit.tokens.patches import unpatchify
from nnit.tokens.sequence import NetworkTokens, build_layout, tokens_to_raw
from nnit.tokens.token_set import Standardizer

# (noisy batch, t_arch (B,), t_weight (B,)) -> clean content (B, S, C)
DataPredictor = Callable[[TokenBatch, Tensor, Tensor], Tensor]


def draw_noise(
    spec: MlpSpec, patch_size: int, standardizer: Standardizer, generator: torch.Generator
) -> NetworkTokens:
    """Lay out a network's sequence with content of pure noise from its own generator."""
    layout = build_layout(spec, patch_size, standardizer)
    noise = torch.randn(layout.mask.shape, generator=generator)
    return NetworkTokens(layout, noise * layout.mask)


@torch.no_grad()
def integrate(predict: DataPredictor, batch: TokenBatch, num_steps: int) -> TokenBatch:
    """Follow the flow from noise to data in Euler steps, the architecture being given."""
    grid = time_grid(num_steps)
    t_arch = batch.content.new_ones(len(batch.content))
    for t, t_next in pairwise(grid):
        clean = predict(batch, t_arch, torch.full_like(t_arch, t))
        content = euler_step(batch.content, clean, t, t_next)
        batch = batch._replace(content=content * batch.mask)
    return batch


def sample_network(
    predict: DataPredictor,
    spec: MlpSpec,
    patch_size: int,
    standardizer: Standardizer,
    generator: torch.Generator,
    *,
    num_steps: int,
    device: str = "cpu",
) -> Network:
    """Generate one network; the result depends on nothing but the arguments.

    Args:
        predict: The trained transformer.
        spec: The shape to generate, trained on or not.
        patch_size: That of the training tokens.
        standardizer: That of the training tokens.
        generator: The noise of this network alone.
        num_steps: Evaluations of the transformer.
        device: Where the transformer is.
    """
    tokens = draw_noise(spec, patch_size, standardizer, generator)
    batch = integrate(predict, collate([tokens]).to(device), num_steps)
    content = batch.content[0, : tokens.layout.num_tokens].cpu()
    weights, biases = tokens_to_raw(tokens._replace(content=content), patch_size)
    return Network(spec.hidden_dims, join_layers(unpatchify(spec, weights, biases)))
