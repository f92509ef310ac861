"""Training of the flat-vector baseline learns, and its samples are networks of the zoo's kind."""

import numpy as np
import pytest
import torch
from learning_examples import INTERFACE, make_zoo, random_flat

from nnit.diffusion.ema import Ema
from nnit.flat.model import FlatConfig, build_flat
from nnit.flat.sampler import sample_flat
from nnit.flat.training import (
    FlatTrainingSettings,
    FlatZoo,
    draw_batch,
    encode_zoo,
    reconstruction_loss,
    train_autoencoder,
    train_denoiser,
)
from nnit.seeding import torch_generator
from nnit.tokens.standardizer import fit_standardizer
from nnit.training import build_optimizer
from nnit.zoo.members import build_zoo

DIMS = [(8,), (16, 8), (8, 8), (16,)]
CONFIG = FlatConfig(
    INTERFACE.obs_dim, INTERFACE.act_dim, widest=16, deepest=2, latents=32, width=48, depth=1
)
SETTINGS = FlatTrainingSettings(120, 150, 4, 8, 4e-3, seed=0, autocast=False)


@pytest.fixture(scope="module")
def networks():
    """Twelve networks, three near each other of every shape."""
    zoo = make_zoo([dims for dims in DIMS for _ in range(3)])
    weights = []
    for k, member in enumerate(zoo.members):
        spec = INTERFACE.spec(member.hidden_dims)
        weights.append(random_flat(spec, k // 3) + 0.05 * random_flat(spec, 100 + k))
    zoo = build_zoo(list(zoo.members), weights, INTERFACE)
    return FlatZoo(zoo, tuple(range(len(zoo))), fit_standardizer(zoo), CONFIG.largest)


@pytest.fixture(scope="module")
def trained(networks):
    """A model that has learnt them."""
    model = build_flat(CONFIG, 0)
    optimizer = build_optimizer(model.autoencoder, 0.0)
    losses = [step.loss for step in train_autoencoder(model, optimizer, networks, SETTINGS)]
    latents, error = encode_zoo(model, networks, 5)
    ema, optimizer = Ema(model.denoiser, 0.98), build_optimizer(model.denoiser, 0.0)
    steps = list(
        train_denoiser(
            model, ema, optimizer, model.fit_latents(latents), networks.condition(), SETTINGS
        )
    )
    model.denoiser.load_state_dict(ema.parameters)
    return model, losses, error, steps


def test_autoencoder_learns_to_give_networks_again(trained):
    """Its loss falls by far, and without the noise on latents the error is smaller still."""
    _, losses, error, _ = trained
    assert np.mean(losses[-10:]) < 0.3 * np.mean(losses[:5])
    assert error < 0.3


def test_diffusion_goes_on_counting_and_learns(trained):
    """Steps follow those of the autoencoder; the loss falls."""
    *_, steps = trained
    assert [step.step for step in steps] == list(range(121, 271))
    assert np.mean([s.loss for s in steps[-20:]]) < 0.5 * np.mean([s.loss for s in steps[:5]])


def test_samples_are_like_the_networks_of_their_shape(trained, networks):
    """Nearer to a network of their shape than that is to a network of another seed."""
    model, *_ = trained
    zoo = networks.zoo
    for first in range(0, len(zoo), 3):
        spec = zoo.spec(first)
        sample = sample_flat(
            model, spec, networks.standardizer, torch_generator(0, first), num_steps=8
        )
        assert sample.hidden_dims == spec.hidden_dims
        near = np.corrcoef(sample.weights, zoo.network(first).weights)[0, 1]
        assert near > 0.6


def test_padding_costs_nothing(networks):
    """What the decoder writes where a network has no weight is not in the loss."""
    batch = networks.batch(np.arange(4), networks.condition())
    wrong = torch.where(batch.loss_weights > 0, batch.values, torch.tensor(1e3))
    assert float(reconstruction_loss(wrong, batch)) == 0
    assert float(reconstruction_loss(batch.values + 1, batch)) == pytest.approx(1, rel=1e-4)


def test_an_epoch_takes_every_network_once():
    """Batches of an epoch are disjoint; another epoch has another order; a step is a function."""
    batches = [draw_batch(12, 4, 0, "x", step) for step in range(6)]
    for epoch in (batches[:3], batches[3:]):
        assert sorted(np.concatenate(epoch)) == list(range(12))
    assert not np.array_equal(np.concatenate(batches[:3]), np.concatenate(batches[3:]))
    np.testing.assert_array_equal(draw_batch(12, 4, 0, "x", 4), batches[4])


def test_a_batch_is_never_larger_than_the_zoo():
    """Fewer networks than a batch holds: all of them, in an order of the step."""
    assert sorted(draw_batch(3, 8, 0, "x", 5)) == [0, 1, 2]
