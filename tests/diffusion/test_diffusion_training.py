"""Training of the diffusion transformer."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from learning_examples import DEPTHS, DIMS, WIDTHS

from nnit.diffusion.batch import UNKNOWN_BRANCH, BatchRules, TokenBatch, collate, epoch_batches
from nnit.diffusion.ema import Ema
from nnit.diffusion.sampler import OTHER_SHARE
from nnit.diffusion.step import (
    ARCH_SHARE,
    BIAS_SHARE,
    LATE,
    OWN_SHARE,
    DiffusionTrainingSettings,
    along_path,
    between_branches,
    diffusion_loss,
    draw_mixture,
    draw_noise,
    noisy,
)
from nnit.diffusion.training import batch_order, train_diffusion
from nnit.diffusion.transformer import TransformerConfig, build_transformer
from nnit.diffusion.typical import grid_of
from nnit.mlp import join_layers
from nnit.seeding import torch_generator
from nnit.tokens.patches import unpatchify
from nnit.tokens.sequence import tokens_to_raw
from nnit.tokens.tokenizer import untokenize
from nnit.training import build_optimizer, load_training_arrays, training_arrays

CONFIG = TransformerConfig(
    patch_size=4,
    width=16,
    depth=1,
    heads=2,
    arch_depths=DEPTHS,
    arch_widths=WIDTHS,
    num_branches=2,
)
BRANCHES = [k % 2 for k in range(len(DIMS))]
SETTINGS = DiffusionTrainingSettings(
    steps=9, batches=BatchRules(200), learning_rate=3e-3, seed=5, autocast=False
)

pytestmark = pytest.mark.seconds


def hand_made() -> TokenBatch:
    """Two networks in patches of 1: entries are (weight, bias).

    The first has three weights and two biases in two layers, the second one of each in one
    layer and three tokens of padding.
    """
    weight, bias, none = (True, False), (False, True), (False, False)
    mask = torch.tensor(
        [
            [none, weight, weight, weight, bias, bias],
            [none, weight, bias, none, none, none],
        ]
    )
    return TokenBatch(
        features=torch.zeros(2, 6, 1),
        content=torch.zeros(2, 6, 2),
        mask=mask,
        layer=torch.tensor([[0, 0, 0, 1, 0, 1], [0, 0, 0, 0, 0, 0]]),
        cell=torch.zeros(2, 6, 2, dtype=torch.int64),
        real=torch.tensor([[True] * 6, [True] * 3 + [False] * 3]),
        branch=torch.tensor([[UNKNOWN_BRANCH]] * 2),
        share=torch.ones(2, 1),
        task=torch.tensor([0, 0]),
    )


def test_loss_by_hand():
    """Entries, then layers, then networks are averaged; what is masked does not count.

    First network: weights of layer 0 are off by 1 and 3 (mean square 5), that of layer 1 by 2
    (4), so 4.5; biases by 1 and 0, so 0.5. Second network: weight 2, bias 3, so 4 and 9.
    """
    predicted = torch.full((2, 6, 2), 100.0)
    clean = hand_made()
    predicted[clean.mask] = torch.tensor([1.0, 3.0, 2.0, 1.0, 0.0, 2.0, 3.0])
    loss = diffusion_loss(predicted, clean)
    assert float(loss.weights) == pytest.approx((4.5 + 4) / 2)
    assert float(loss.biases) == pytest.approx((0.5 + 9) / 2)
    first = (1 - BIAS_SHARE) * 4.5 + BIAS_SHARE * 0.5
    second = (1 - BIAS_SHARE) * 4 + BIAS_SHARE * 9
    assert float(loss.total) == pytest.approx((first + second) / 2)


def test_loss_of_a_network_does_not_depend_on_the_batch(networks):
    """The loss of a batch is the mean of the losses of its networks alone."""
    generator = torch.Generator().manual_seed(0)
    errors = [torch.randn(n.content.shape, generator=generator) for n in networks]
    alone = []
    for network, error in zip(networks, errors, strict=True):
        batch = collate([network])
        predicted = batch.content.clone()
        predicted[0, : len(error)] += error
        alone.append(diffusion_loss(predicted, batch))
    batch = collate(networks)
    predicted = batch.content + 3
    for k, error in enumerate(errors):
        predicted[k, : len(error)] = batch.content[k, : len(error)] + error
    together = diffusion_loss(predicted, batch)
    for ours, parts in zip(together, zip(*alone, strict=True), strict=True):
        assert float(ours) == pytest.approx(float(torch.stack(parts).mean()), rel=1e-5)


def test_network_tokens_hold_the_network(token_set, networks):
    """Destandardised and joined they are its weights."""
    for k, network in enumerate(untokenize(token_set)):
        spec = token_set.interface.spec(network.hidden_dims)
        layers = unpatchify(spec, *tokens_to_raw(networks[k], token_set.patch_size))
        np.testing.assert_allclose(join_layers(layers), network.weights, rtol=1e-5, atol=1e-6)


def test_noise_is_mixed_in_by_time_and_only_where_weights_are(networks):
    """At t = 1 the content stays, at t = 0 it is standard normal, and padding stays zero."""
    batch = collate(networks)
    t = torch.ones(len(networks))
    drawn = torch.randn(batch.content.shape, generator=torch_generator(0))
    assert torch.equal(noisy(batch, t, drawn).content, batch.content)
    noise = noisy(batch, 0 * t, drawn).content
    assert not noise[~batch.mask].any()
    values = noise[batch.mask]
    assert float(values.mean()) == pytest.approx(0, abs=0.1)
    assert float(values.std()) == pytest.approx(1, abs=0.1)


def test_late_on_the_path_most_networks_are_what_is_predicted_of_them(networks):
    """By hand: a hundred where a hundred is predicted, the truth, which is zero, otherwise.

    Asked is from noise, and what it is mixed with is fresh noise.
    """
    clean = collate([networks[0]._replace(content=0 * networks[0].content)] * 200)
    seen = []

    def predict(batch, t_arch, t):
        assert bool((t_arch == 1).all())
        seen.append((batch.content, t))
        return 100.0 * batch.mask

    t = torch.linspace(0, 0.99, 200)
    drawn = draw_noise(t, *clean.content.shape[1:], torch_generator(0))
    mixed = along_path(predict, clean, t, drawn).content
    ((noise, start),) = seen
    assert not start.any()
    part = mixed[:, clean.mask[0]]
    own = part.mean(1) > 20
    assert not own[t <= LATE].any()
    assert float(own[t > LATE].float().mean()) == pytest.approx(OWN_SHARE, abs=0.15)
    assert int(own.sum()) == len(noise)
    left = (part - 100 * (t * own)[:, None]) / (1 - t)[:, None]
    assert float(left.mean()) == pytest.approx(0, abs=0.05)
    assert float(left.std()) == pytest.approx(1, abs=0.05)
    assert not torch.isclose(left[own], noise[:, clean.mask[0]], atol=1e-3).all(1).any()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_networks_between_branches_keep_what_they_have_beside_them(networks, share):
    """Those of one of two tasks move to all its other branches, not too far; none of its own."""
    config = replace(
        CONFIG, num_branches=5, num_tasks=2, places=grid_of(networks)
    )  # three branches and two
    model = build_transformer(config, 0)
    tasks, branches = [0, 0, 0, 1, 1, 0, 0, 1], [0, 1, 2, 3, 4, 0, UNKNOWN_BRANCH, 3]
    model.typical.fit(networks, tasks, branches)
    clean = collate(networks, branches=branches, tasks=tasks)
    beside = (clean.content - model.typical(clean)) * clean.mask
    seen = set()
    for seed in range(30):
        chance = torch_generator(seed)
        mixture = draw_mixture(branches, tasks, [[0, 1, 2], [3, 4]], share, chance)
        moved = between_branches(model, clean, mixture)
        found = (moved.content - model.typical(moved)) * clean.mask
        torch.testing.assert_close(found, beside, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(moved.share.sum(1), torch.ones(len(networks)))
        assert moved.branch[:, 0].tolist() == branches
        for (own, other), part in zip(
            moved.branch.tolist(), moved.share[:, 1].tolist(), strict=True
        ):
            if share and own != UNKNOWN_BRANCH:
                assert OTHER_SHARE[0] <= part <= OTHER_SHARE[1]
                seen.add((own, other))
            elif not share:
                assert part == 0
    pairs = {(a, b) for own in ([0, 1, 2], [3, 4]) for a in own for b in own if a != b}
    assert seen == (pairs if share else set())
    assert torch.equal(moved.content, clean.content) == (not share)


@pytest.mark.parametrize("start", [0, 1, 3, 4, 5, 11])
def test_order_resumed_at_any_step_is_the_same_order(start):
    """Also where the step is the first, the last or in the middle of an epoch."""
    lengths, tasks = np.random.default_rng(0).integers(10, 90, size=12), np.arange(12) % 3
    expected = list(islice(batch_order(lengths, tasks, SETTINGS, 0), 15))
    epoch = len(epoch_batches(lengths, SETTINGS.batches, SETTINGS.seed, 0, tasks))
    assert epoch < 11
    resumed = list(islice(batch_order(lengths, tasks, SETTINGS, start), 15 - start))
    for ours, theirs in zip(resumed, expected[start:], strict=True):
        np.testing.assert_array_equal(ours.members, theirs.members)
        assert ours.weight == theirs.weight


def test_every_network_weighs_the_same_in_an_epoch(networks, monkeypatch):
    """Alone off by one all over, at one time, it adds as much to the epoch's losses as another."""
    monkeypatch.setattr("nnit.diffusion.step.sample_times", lambda num, _: torch.zeros(num))
    lengths = np.array([network.layout.num_tokens for network in networks])
    batches = epoch_batches(lengths, SETTINGS.batches, SETTINGS.seed, 0, np.zeros(len(networks)))
    assert len({len(batch) for batch in batches}) > 1
    settings = replace(SETTINGS, steps=len(batches), learning_rate=0.0)  # it predicts zero
    added = []
    for k in range(len(networks)):
        contents = [network.layout.mask * float(i == k) for i, network in enumerate(networks)]
        made = [n._replace(content=c) for n, c in zip(networks, contents, strict=True)]
        steps = train_diffusion(*fresh(), made, DIMS, BRANCHES, settings)
        added.append(sum(step.loss - ARCH_SHARE * step.arch_loss for step in steps))
    np.testing.assert_allclose(added, added[0], rtol=1e-4)


def fresh(seed=0):
    """Return a small transformer, its average and its optimiser."""
    model = build_transformer(CONFIG, seed)
    return model, Ema(model, 0.9), build_optimizer(model, 0.0)


def told(step):
    """Return all that a step tells."""
    return step.step, step.figures.tolist()


def all_arrays(model, ema, optimizer):
    """Return everything that the next step depends on."""
    averages = {f"ema/{name}": value.numpy().copy() for name, value in ema.parameters.items()}
    return {**training_arrays(model, optimizer), **averages}


@pytest.mark.parametrize("stop", [1, 4, 8])
def test_resumed_training_equals_the_uninterrupted_one(networks, stop):
    """Model, average, optimiser and losses are the same bits, in the middle of an epoch or not."""
    straight = fresh()
    expected_steps = list(train_diffusion(*straight, networks, DIMS, BRANCHES, SETTINGS))

    stopped = fresh()
    steps = train_diffusion(*stopped, networks, DIMS, BRANCHES, SETTINGS)
    begun = [next(steps) for _ in range(stop)]
    saved = all_arrays(*stopped)
    model, ema, optimizer = fresh(seed=9)
    load_training_arrays(model, optimizer, saved)
    for name, average in ema.parameters.items():
        average.copy_(torch.from_numpy(saved[f"ema/{name}"]))
    finished = list(
        train_diffusion(model, ema, optimizer, networks, DIMS, BRANCHES, SETTINGS, start=stop)
    )

    assert [told(step) for step in begun + finished] == [told(step) for step in expected_steps]
    ours, expected = all_arrays(model, ema, optimizer), all_arrays(*straight)
    assert ours.keys() == expected.keys()
    assert all(np.array_equal(ours[name], expected[name]) for name in expected)


def test_training_lowers_the_error_and_moves_the_average(networks):
    """The weight error of the last epochs is clearly below that of the first."""
    model, ema, optimizer = fresh()
    before = {name: value.clone() for name, value in ema.parameters.items()}
    settings = DiffusionTrainingSettings(120, BatchRules(400), 5e-3, seed=0, autocast=False)
    steps = list(train_diffusion(model, ema, optimizer, networks[:2], DIMS[:2], [0, 1], settings))
    errors = [step.weight_error for step in steps]
    assert np.mean(errors[-20:]) < 0.7 * np.mean(errors[:20])
    assert any((ema.parameters[name] != before[name]).any() for name in before)


def test_a_regression_is_never_shown_a_network(networks):
    """All that it predicts from is noise, at the beginning of the path."""
    model, ema, optimizer = fresh()
    seen = []
    model.register_forward_pre_hook(lambda _, args: seen.append(args[2]))
    settings = replace(SETTINGS, regression=True)
    list(train_diffusion(model, ema, optimizer, networks, DIMS, BRANCHES, settings))
    assert len(seen) == SETTINGS.steps
    assert not any(t.any() for t in seen)


def test_bfloat16_follows_float32(networks):
    """The first losses agree within bfloat16's precision, and the weights stay float32."""
    losses = []
    for autocast in (False, True):
        model, ema, optimizer = fresh()
        settings = DiffusionTrainingSettings(4, BatchRules(200), 1e-3, seed=5, autocast=autocast)
        steps = train_diffusion(model, ema, optimizer, networks, DIMS, BRANCHES, settings)
        losses.append([step.loss for step in steps])
        dtypes = {array.dtype.name for array in all_arrays(model, ema, optimizer).values()}
        assert dtypes == {"float32"}
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.05)
    assert losses[1] != losses[0]  # it was in use


def test_gradients_reach_everything_in_bfloat16(networks):
    """Also where predictions without gradients came before in the same step."""
    model, ema, optimizer = fresh()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    settings = DiffusionTrainingSettings(3, BatchRules(10_000), 1e-3, seed=5, autocast=True)
    for _ in train_diffusion(model, ema, optimizer, networks, DIMS, BRANCHES, settings):
        pass
    for name, value in model.named_parameters():
        assert not torch.equal(value, before[name]), name
