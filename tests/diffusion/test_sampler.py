"""Generating networks."""

from itertools import permutations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from learning_examples import INTERFACE, random_flat

from nnit.diffusion.batch import UNKNOWN_BRANCH, BatchRules, collate
from nnit.diffusion.ema import Ema
from nnit.diffusion.sampler import (
    OTHER_SHARE,
    SampleRequest,
    choose_branch,
    choose_manner,
    draw_noise,
    integrate,
    sample_networks,
    split_by_length,
)
from nnit.diffusion.step import DiffusionTrainingSettings
from nnit.diffusion.training import network_tokens, train_diffusion
from nnit.diffusion.transformer import TransformerConfig, build_transformer
from nnit.seeding import torch_generator
from nnit.tokens.tokenizer import tokenize_zoo, untokenize
from nnit.training import build_optimizer
from nnit.zoo.members import ZooMember, build_zoo

SPEC = INTERFACE.spec((16, 8))

pytestmark = pytest.mark.seconds


def request(seed=0, spec=SPEC, branch=UNKNOWN_BRANCH):
    """Ask for one network."""
    return SampleRequest(spec, branch, torch_generator(seed, "sample"))


def sample(predict, token_set, seed=0, spec=SPEC, num_steps=4):
    """Generate one network."""
    return sample_all(predict, token_set, [request(seed, spec)], num_steps)[0]


def sample_all(predict, token_set, requests, num_steps=4, **more):
    """Generate several networks, in the order of the requests."""
    found = dict(
        sample_networks(
            predict,
            requests,
            token_set.patch_size,
            token_set.standardizers[0],
            num_steps=num_steps,
            **more,
        )
    )
    return [found[k] for k in range(len(requests))]


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
    noise = draw_noise(SPEC, 4, token_set.standardizers[0], torch_generator(0, "sample"))
    length = noise.layout.num_tokens
    alone = integrate(lively, collate([noise]), 4).content[0, :length]
    beside = integrate(lively, collate([networks[4], noise]), 4).content[1, :length]
    torch.testing.assert_close(beside, alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("tokens_per_batch", [1, 200, 10_000])
def test_samples_do_not_depend_on_how_they_are_batched(lively, token_set, tokens_per_batch):
    """One by one, a few at a time or all at once: the same networks up to rounding."""
    specs = [INTERFACE.spec(dims) for dims in ((16, 8), (24, 24), (8,), (16, 8), (24,))]

    def asked():
        return [request(seed, spec) for seed, spec in enumerate(specs)]

    together = sample_all(lively, token_set, asked(), tokens_per_batch=tokens_per_batch)
    for seed, (spec, network) in enumerate(zip(specs, together, strict=True)):
        alone = sample(lively, token_set, seed, spec)
        assert network.hidden_dims == spec.hidden_dims
        np.testing.assert_allclose(network.weights, alone.weights, atol=1e-4, rtol=1e-4)


def test_items_of_one_length_share_batches():
    """By hand: 30 tokens hold three items of 10 and one of 20 or more."""
    assert split_by_length([10, 20, 10, 10, 40, 10], 30) == [[0, 2, 3], [5], [1], [4]]


def test_samples_of_a_shape_go_through_all_branches():
    """Each branch once before any comes again, sample k whatever the number of samples."""
    chosen = [choose_branch(range(3, 7), torch_generator(0, "branch"), k) for k in range(8)]
    assert sorted(chosen[:4]) == [3, 4, 5, 6]
    assert chosen[:4] == chosen[4:]
    assert choose_branch(range(0), torch_generator(0), 3) == UNKNOWN_BRANCH


def test_every_branch_is_equally_likely_for_the_first_sample():
    """Over many shapes, within four standard deviations."""
    first = [choose_branch(range(4), torch_generator(seed, "branch"), 0) for seed in range(2000)]
    counts = np.bincount(first, minlength=4)
    assert np.abs(counts - 500).max() < 4 * np.sqrt(2000 * 0.25 * 0.75)


def manner_of(k, branches=range(3, 7), seed=0):
    """Return what a sample shall be like."""
    return choose_manner(branches, torch_generator(seed, "branch"), k)


def test_samples_of_a_shape_are_between_every_two_branches_of_their_task():
    """Nearest to those of ``choose_branch``; every two both ways before any again."""
    manners = [manner_of(k) for k in range(24)]
    for k, manner in enumerate(manners):
        assert max(manner, key=lambda row: manner[row]) == choose_branch(
            range(3, 7), torch_generator(0, "branch"), k
        )
        assert sum(manner.values()) == pytest.approx(1)
    pairs = [tuple(manner) for manner in manners]
    assert set(pairs[:12]) == set(permutations(range(3, 7), 2))
    assert pairs[:12] == pairs[12:]
    assert [manner_of(5, range(rows)) for rows in (0, 1)] == [UNKNOWN_BRANCH, 0]


def test_shares_are_uniform_over_shapes():
    """Of the second branch of sample 5: mean and variance within four standard deviations."""
    shares = np.array([min(manner_of(5, seed=seed).values()) for seed in range(2000)])
    low, high = OTHER_SHARE
    assert low <= shares.min() < shares.max() <= high
    places = (shares - low) / (high - low)
    assert abs(places.mean() - 1 / 2) < 4 * np.sqrt(1 / 12 / 2000)
    assert abs(places.var() - 1 / 12) < 4 * np.sqrt(1 / 180 / 2000)


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
    layout, content = draw_noise(SPEC, 4, token_set.standardizers[0], torch_generator(0))
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
        asked.append((set(t_arch.tolist()), set(t_weight.tolist())))
        return torch.zeros_like(batch.content)

    sample(predict, token_set)
    assert asked == [({1.0}, {0.0}), ({1.0}, {0.25}), ({1.0}, {0.5}), ({1.0}, {0.75})]


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
    settings = DiffusionTrainingSettings(200, BatchRules(256), 5e-3, seed=0, autocast=False)
    tokens = [network_tokens(token_set, k) for k in range(8)]
    for _ in train_diffusion(model, ema, optimizer, tokens, shapes, [0] * 8, settings):
        pass
    model.load_state_dict(ema.parameters)

    def unchanged(batch, _t_arch, _t_weight):
        return batch.content

    for dims, centre in zip(shapes, centres, strict=True):
        spec = INTERFACE.spec(dims)
        near = sample(model, token_set, spec=spec).weights - centre
        noise = sample(unchanged, token_set, spec=spec).weights - centre
        assert np.linalg.norm(near) < 0.4 * np.linalg.norm(noise)


def test_branches_are_told_apart():
    """Two branches with opposite networks of one shape: asked for each, it gives each."""
    spec = INTERFACE.spec((8,))
    centre = random_flat(spec, seed=20)
    members = [ZooMember((8,), branch, 0, 0.0, 0.0) for branch in (0, 1)]
    token_set = tokenize_zoo(build_zoo(members, [centre, -centre], INTERFACE), 4)

    config = TransformerConfig(
        4, width=32, depth=1, heads=2, arch_depths=(1,), arch_widths=(8,), num_branches=2
    )
    model = build_transformer(config, 0)
    ema, optimizer = Ema(model, 0.9), build_optimizer(model, 0.0)
    settings = DiffusionTrainingSettings(200, BatchRules(256), 5e-3, seed=0, autocast=False)
    tokens = [network_tokens(token_set, k) for k in range(2)]
    for _ in train_diffusion(model, ema, optimizer, tokens, [(8,)], [0, 1], settings):
        pass
    model.load_state_dict(ema.parameters)
    asked = [request(seed, spec, branch) for branch in (0, 1) for seed in (0, 1, 2)]
    for one, network in zip(asked, sample_all(model, token_set, asked), strict=True):
        sign = 1 if one.manner == 0 else -1
        error = np.linalg.norm(network.weights - sign * centre)
        assert error < 0.3 * np.linalg.norm(centre)
