"""Generating networks."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from learning_examples import INTERFACE, random_flat

from nnit.diffusion.batch import collate
from nnit.diffusion.ema import Ema
from nnit.diffusion.sampler import draw_noise, integrate, sample_network
from nnit.diffusion.training import DiffusionTrainingSettings, network_tokens, train_diffusion
from nnit.diffusion.transformer import TransformerConfig, build_transformer
from nnit.seeding import torch_generator
from nnit.tokens.tokenizer import tokenize_zoo, untokenize
from nnit.training import build_optimizer
from nnit.zoo.members import ZooMember, build_zoo

SPEC = INTERFACE.spec((16, 8))


def sample(predict, token_set, seed=0, spec=SPEC, num_steps=4):
    """Generate one network."""
    return sample_network(
        predict,
        spec,
        token_set.patch_size,
        token_set.standardizer,
        torch_generator(seed, "sample"),
        num_steps=num_steps,
    )


def test_a_sample_depends_on_its_generator_alone(lively, token_set):
    """Not on torch's own state nor on what was sampled before; another seed is another network."""
    first = sample(lively, token_set)
    torch.manual_seed(123)
    sample(lively, token_set, seed=5, spec=INTERFACE.spec((24, 24)))
    again, other = sample(lively, token_set), sample(lively, token_set, seed=1)
    np.testing.assert_array_equal(first.weights, again.weights)
    assert (first.weights != other.weights).mean() > 0.99


def test_a_sample_is_the_same_beside_others(lively, token_set, networks):
    """Integrated in a batch with longer networks it comes out the same."""
    noise = draw_noise(SPEC, 4, token_set.standardizer, torch_generator(0, "sample"))
    length = noise.layout.num_tokens
    alone = integrate(lively, collate([noise]), 4).content[0, :length]
    beside = integrate(lively, collate([networks[4], noise]), 4).content[1, :length]
    torch.testing.assert_close(beside, alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("hidden_dims", [(1,), (300,), (7,) * 6])
def test_any_architecture_can_be_sampled(lively, token_set, hidden_dims):
    """Narrower, wider and deeper than any training network: right shape, finite."""
    spec = INTERFACE.spec(hidden_dims)
    network = sample(lively, token_set, spec=spec, num_steps=2)
    assert network.hidden_dims == hidden_dims
    assert network.weights.shape == (spec.num_parameters,)
    assert network.weights.dtype == np.float32
    assert np.isfinite(network.weights).all()


def test_noise_is_standard_normal_where_weights_are(token_set):
    """And zero elsewhere."""
    layout, content = draw_noise(SPEC, 4, token_set.standardizer, torch_generator(0))
    values = content[layout.mask]
    assert float(values.mean()) == pytest.approx(0, abs=0.15)
    assert float(values.std()) == pytest.approx(1, abs=0.1)
    assert not content[~layout.mask].any()


@pytest.mark.parametrize("num_steps", [1, 10])
def test_a_perfect_predictor_gives_the_network_back(token_set, networks, num_steps):
    """Through the flow and the standardiser, in one step or in ten."""
    for k, expected in enumerate(untokenize(token_set)):
        truth = networks[k].content

        def oracle(batch, _t_arch, _t_weight, truth=truth):
            return F.pad(truth, (0, 0, 0, batch.content.shape[1] - len(truth)))[None]

        spec = INTERFACE.spec(expected.hidden_dims)
        network = sample(oracle, token_set, spec=spec, num_steps=num_steps)
        np.testing.assert_allclose(network.weights, expected.weights, rtol=1e-4, atol=1e-5)


def test_predictor_is_asked_at_the_times_of_the_grid(token_set):
    """Four steps ask at 0, 1/4, 1/2 and 3/4, with the architecture given all along."""
    asked = []

    def predict(batch, t_arch, t_weight):
        asked.append((float(t_arch), float(t_weight)))
        return torch.zeros_like(batch.content)

    sample(predict, token_set)
    assert asked == [(1.0, 0.0), (1.0, 0.25), (1.0, 0.5), (1.0, 0.75)]


def test_trained_on_a_tiny_zoo_samples_come_close_to_it():
    """Eight networks around one per shape: samples are nearer to their mean than noise is by far.

    From the averaged weights, as in use.
    """
    shapes = [(8,), (8, 8)]
    centres = [random_flat(INTERFACE.spec(dims), seed=20) for dims in shapes]
    members, weights = [], []
    for k in range(8):
        dims, centre = shapes[k % 2], centres[k % 2]
        members.append(ZooMember(dims, 0, 0, 0.0, 0.0))
        weights.append(centre + 0.1 * random_flat(INTERFACE.spec(dims), seed=k))
    token_set = tokenize_zoo(build_zoo(members, weights, INTERFACE), 4)

    config = TransformerConfig(4, width=32, depth=2, heads=2, arch_depths=(1, 2), arch_widths=(8,))
    model = build_transformer(config, 0)
    ema, optimizer = Ema(model, 0.9), build_optimizer(model, 0.0)
    settings = DiffusionTrainingSettings(200, 256, 5e-3, seed=0, autocast=False)
    tokens = [network_tokens(token_set, k) for k in range(8)]
    for _ in train_diffusion(model, ema, optimizer, tokens, shapes, settings):
        pass
    model.load_state_dict(ema.parameters)

    def unchanged(batch, _t_arch, _t_weight):
        return batch.content

    for dims, centre in zip(shapes, centres, strict=True):
        spec = INTERFACE.spec(dims)
        near = sample(model, token_set, spec=spec).weights - centre
        noise = sample(unchanged, token_set, spec=spec).weights - centre
        assert np.linalg.norm(near) < 0.4 * np.linalg.norm(noise)
