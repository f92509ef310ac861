"""Generate networks with the flat-vector baseline."""

from itertools import pairwise

import torch

from nnit.diffusion.path import euler_step, time_grid
from nnit.flat.layout import condition_features, unflatten
from nnit.flat.model import FlatModel
from nnit.mlp import MlpSpec, Network
from nnit.tokens.token_set import Standardizer


@torch.no_grad()
def sample_flat(
    model: FlatModel,
    spec: MlpSpec,
    standardizer: Standardizer,
    generator: torch.Generator,
    *,
    num_steps: int,
    device: str = "cpu",
) -> Network:
    """Generate one network; the result depends on nothing but the arguments.

    Args:
        model: The trained model.
        spec: A shape that the padded vector has room for (see ``has_room``).
        standardizer: That of the training networks.
        generator: The noise of this network alone.
        num_steps: Evaluations of the denoiser.
        device: Where the model is.
    """
    condition = condition_features(spec.hidden_dims, model.config.deepest)[None].to(device)
    x_t = torch.randn(1, model.config.latents, generator=generator).to(device)
    for t, t_next in pairwise(time_grid(num_steps)):
        clean = model.denoiser(x_t, torch.full((1,), t, device=device), condition)
        x_t = euler_step(x_t, clean, t, t_next)
    latents = x_t * model.latent_scale + model.latent_mean
    values = model.autoencoder.decode(latents, condition)[0].cpu().numpy()
    return unflatten(model.config.largest, spec, values, standardizer)
