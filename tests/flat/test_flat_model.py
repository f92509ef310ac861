"""The networks of the flat-vector baseline."""

import pytest
import torch

from nnit.diffusion.transformer import TransformerConfig, build_transformer
from nnit.flat.model import FlatConfig, build_flat
from stages.params import Params

CONFIG = FlatConfig(obs_dim=6, act_dim=3, widest=24, deepest=2, latents=16, width=24, depth=2)


def test_flat_denoiser_is_no_smaller_than_the_transformer():
    """At the defaults, and has no fewer steps; the autoencoder is extra."""
    params = Params()
    training_range, ours, theirs = (
        params.architectures.training_range(),
        params.flat_train,
        params.diffuse_train,
    )
    config = FlatConfig(
        42,
        4,
        training_range.widths_max,
        training_range.depth_max,
        ours.latents,
        ours.width,
        ours.depth,
    )
    depths = tuple(range(training_range.depth_min, training_range.depth_max + 1))
    transformer = build_transformer(
        TransformerConfig(
            params.tokenize.patch,
            depths,
            training_range.trainable_widths(),
            theirs.width,
            theirs.depth,
            theirs.heads,
        ),
        0,
    )
    denoiser = build_flat(config, 0).denoiser
    sizes = [sum(p.numel() for p in model.parameters()) for model in (denoiser, transformer)]
    assert sizes[0] >= sizes[1]
    assert ours.steps >= theirs.steps


def test_latents_have_unit_size_and_vectors_their_length():
    """Whatever goes in."""
    model = build_flat(CONFIG, 0).autoencoder
    size, condition = CONFIG.largest.num_parameters, torch.rand(5, 16)
    generator = torch.Generator().manual_seed(0)
    values = 9 * torch.randn(5, size, generator=generator)
    latents = model.encode(values, condition)
    torch.testing.assert_close(latents.square().mean(-1), torch.ones(5), rtol=1e-3, atol=1e-3)
    assert model.decode(latents, condition).shape == values.shape


def test_fitted_latents_have_zero_mean_and_unit_variance():
    """And the model remembers how to undo it."""
    model = build_flat(CONFIG, 0)
    generator = torch.Generator().manual_seed(0)
    latents = 3 + 5 * torch.randn(200, CONFIG.latents, generator=generator)
    standardised = model.fit_latents(latents)
    torch.testing.assert_close(standardised.mean(0), torch.zeros(CONFIG.latents), atol=1e-5, rtol=0)
    assert float(standardised.square().mean()) == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(standardised * model.latent_scale + model.latent_mean, latents)


def test_the_seed_decides_the_initial_weights():
    """The same seed the same bits, another seed others."""
    one, same, other = (build_flat(CONFIG, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["denoiser.inwards.weight"], other["denoiser.inwards.weight"])


def test_impossible_sizes_are_refused():
    """A ValueError shows the sizes."""
    with pytest.raises(ValueError, match="must be within 1 to"):
        FlatConfig(6, 3, 24, 2, latents=0, width=24, depth=2)
