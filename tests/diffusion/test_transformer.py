"""The diffusion transformer."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from learning_examples import stirred

from nnit.diffusion.batch import collate
from nnit.diffusion.transformer import (
    MASKED,
    TransformerConfig,
    attend,
    build_transformer,
    places_of_tasks,
    time_features,
)
from nnit.tokens.sequence import Modality

CONFIG = TransformerConfig(4, (1, 2), (8,), width=32, depth=2, heads=2)


def predict(model, networks, t_arch=1.0, t_weight=0.5):
    """Predict the content of networks, all at one time."""
    batch = collate(networks)
    ones = torch.ones(len(networks))
    with torch.no_grad():
        return model(batch, t_arch * ones, t_weight * ones)


def test_first_prediction_is_zero(networks):
    """adaLN-Zero: whatever the input, before training."""
    assert not predict(build_transformer(CONFIG, 0), networks).any()


def test_first_blocks_are_the_identity(networks):
    """Before training every block returns its input."""
    model = build_transformer(CONFIG, 0)
    batch = collate(networks[:2])
    x = torch.randn(*batch.content.shape[:2], CONFIG.width)
    bias = torch.zeros(2, 1, 1, x.shape[1])
    for block in model.blocks:
        assert torch.equal(block(x, torch.randn(2, CONFIG.width), bias), x)


def test_prediction_does_not_depend_on_the_batch(lively, networks):
    """Alone, padded beside a longer network, or among all: the same prediction."""
    short, long = 0, 4
    alone = predict(lively, [networks[short]])[0]
    among = predict(lively, networks)
    length = networks[short].layout.num_tokens
    assert among.shape[1] > len(alone)
    assert alone[:length].abs().max() > 0.1
    torch.testing.assert_close(among[short, :length], alone[:length], atol=1e-5, rtol=1e-4)
    beside = predict(lively, [networks[long], networks[short]])[0]
    torch.testing.assert_close(among[long, : len(beside)], beside, atol=1e-5, rtol=1e-4)


def test_padding_is_not_read(lively, networks):
    """Garbage in padded tokens does not reach the real ones."""
    batch = collate([networks[0], networks[4]])
    garbage = torch.where(batch.real[..., None], batch.content, torch.tensor(50.0))
    ones = torch.ones(2)
    clean = lively(batch, ones, 0.5 * ones)
    dirty = lively(batch._replace(content=garbage), ones, 0.5 * ones)
    torch.testing.assert_close(dirty[batch.real], clean[batch.real], atol=1e-5, rtol=1e-4)
    assert (dirty - clean).abs().max() > 0.1


def test_order_of_tokens_does_not_matter(lively, networks):
    """Features alone say where a patch lies: permuted tokens give the permuted prediction."""
    batch = collate([networks[1]])
    order = torch.randperm(batch.real.shape[1], generator=torch.Generator().manual_seed(0))
    by_token = {name: getattr(batch, name)[:, order] for name in batch._fields[:6]}
    permuted = batch._replace(**by_token)
    one = torch.ones(1)
    torch.testing.assert_close(
        lively(permuted, one, 0.3 * one), lively(batch, one, 0.3 * one)[:, order], atol=1e-5, rtol=0
    )


def test_architecture_tokens_reach_the_weights(lively, networks):
    """A change of an architecture token alone changes the prediction of the patches."""
    layout, content = networks[1]
    features = layout.features.clone()
    features[1, features[1] != 0] += 0.5
    changed = [networks[1]._replace(layout=layout._replace(features=features))]
    patches = layout.modality != Modality.ARCH
    before, after = predict(lively, [networks[1]])[0], predict(lively, changed)[0]
    difference = (after - before)[: len(content)][patches]
    assert difference.abs().max() > 1e-3


@pytest.mark.parametrize("times", [{"t_arch": 0.0}, {"t_weight": 0.6}])
def test_both_times_reach_the_weights(lively, networks, times):
    """Time of the architecture and time of the weights each change the prediction."""
    assert (predict(lively, networks, **times) - predict(lively, networks)).abs().max() > 1e-3


def test_time_features_tell_near_times_apart_and_not_too_far():
    """A hundredth of the time is visible, and changes by less than between far times."""
    features = time_features(torch.tensor([0.5, 0.51, 0.9]))
    near = (features[1] - features[0]).norm()
    assert 0.1 < near < (features[2] - features[0]).norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_is_that_of_torch(dtype):
    """Equal to ``scaled_dot_product_attention`` with a padding mask, within the precision."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 3, 10, 8, generator=generator).to(dtype)
    real = torch.arange(10) < torch.tensor([[10], [6]])
    bias = torch.where(real, 0.0, MASKED)[:, None, None, :]
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=real[:, None, None, :])
    tolerance = 1e-5 if dtype is torch.float32 else 0.03
    ours = attend(q, k, v, bias)
    assert ours.dtype == dtype
    torch.testing.assert_close(ours, expected, atol=tolerance, rtol=tolerance)


def test_gradient_reaches_every_parameter(lively, networks):
    """Once the zeros are gone nothing of the transformer is dead."""
    model = build_transformer(lively.config, 0)
    model.load_state_dict(lively.state_dict())
    batch = collate(networks[:3])
    times = torch.tensor([0.1, 0.5, 0.9])
    logits = model.architecture_logits(batch, times)
    (model(batch, times.flip(0), times).square().sum() + logits.square().sum()).backward()
    dead = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert dead == []


def test_building_depends_on_the_seed_and_on_nothing_else():
    """The same seed gives the same parameters, another seed others; torch's own state stays."""
    before = torch.get_rng_state()
    one, same, other = (build_transformer(CONFIG, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["content_in.weight"], other["content_in.weight"])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 30, "heads": 4}, "30 .* 4"),
        ({"width": 0}, "width=0"),
        ({"depth": 0}, "depth=0"),
        ({"heads": 0}, "heads=0"),
        ({"patch_size": 0}, "patch_size=0"),
        ({"arch_widths": ()}, "no width"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    """The message has the numbers that are wrong."""
    with pytest.raises(ValueError, match=message):
        TransformerConfig(**{"patch_size": 4, "arch_depths": (1,), "arch_widths": (8,), **fields})


def test_the_task_is_part_of_the_condition(networks):
    """Another task gives another prediction, of weights and of architectures."""
    model = stirred(build_transformer(replace(CONFIG, num_tasks=2), 0))
    one, other = collate(networks, tasks=[0] * len(networks)), collate(networks, tasks=[1] * 8)
    t = torch.full((len(networks),), 0.5)
    for predict in (lambda batch: model(batch, t, t), lambda b: model.architecture_logits(b, t)):
        assert not torch.allclose(predict(one)[one.real], predict(other)[one.real], atol=1e-3)


def test_without_tasks_nothing_tells_them_apart(networks):
    """No parameter, no field of the configuration, no difference."""
    model = stirred(build_transformer(CONFIG, 0))
    assert not any("task" in name for name in model.state_dict())
    assert "num_tasks" not in CONFIG.as_dict()
    assert replace(CONFIG, num_tasks=2).as_dict()["num_tasks"] == 2
    t = torch.full((len(networks),), 0.5)
    one, other = collate(networks), collate(networks, tasks=[3] * len(networks))
    assert torch.equal(model(one, t, t), model(other, t, t))


def test_no_two_tasks_share_a_branch():
    """By hand: three, none and two branches."""
    assert places_of_tasks([3, 0, 2]) == [(0, range(3)), (1, range(3, 3)), (2, range(3, 5))]
