"""Training of the graph hypernetwork."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from learning_examples import INTERFACE, RANGE, make_demos

from nnit.architectures import sample_architecture
from nnit.cloning import cloning_data, evaluate_loss
from nnit.ghn.model import GhnConfig, build_ghn
from nnit.ghn.training import GhnTrainingSettings, build_ghn_optimizer, train_ghn
from nnit.muon import MuonAdamW
from nnit.training import load_training_arrays, training_arrays

SETTINGS = GhnTrainingSettings(
    steps=8, architectures_per_step=2, batch_size=32, learning_rate=3e-3, seed=5
)


@pytest.fixture(scope="module")
def data():
    """Transitions of two dozen episodes."""
    return cloning_data(make_demos())


def fresh(seed=0, decoder="carrier"):
    """Return a small hypernetwork and its optimiser."""
    config = GhnConfig(decoder, node_dim=16, channels=16, rounds=2)
    ghn = build_ghn(config, INTERFACE.obs_dim, INTERFACE.act_dim, seed)
    return ghn, build_ghn_optimizer(ghn, 0.01)


def training(ghn, optimizer, data, settings=SETTINGS, start=0):
    """Return the generator of steps."""
    sampler = partial(sample_architecture, training=RANGE)
    return train_ghn(ghn, optimizer, data, INTERFACE, sampler, settings, start=start)


@pytest.mark.parametrize(("decoder", "hidden"), [("carrier", 0.0), ("cnn", 0.5)])
def test_resumed_training_equals_the_uninterrupted_one(decoder, hidden, data):
    """Stopped after three of eight steps and loaded into fresh objects: the same bits at the end.

    Losses too, and a step is counted from 1.
    """
    data = replace(data, input_dropout=hidden)
    straight, optimizer = fresh(decoder=decoder)
    expected_steps = list(training(straight, optimizer, data))

    stopped, first = fresh(decoder=decoder)
    steps = training(stopped, first, data)
    begun = [next(steps) for _ in range(3)]
    saved = training_arrays(stopped, first)
    resumed, second = fresh(9, decoder)
    load_training_arrays(resumed, second, saved)
    finished = list(training(resumed, second, data, start=3))

    assert begun + finished == expected_steps
    assert [step.step for step in expected_steps] == list(range(1, 9))
    ours, expected = training_arrays(resumed, second), training_arrays(straight, optimizer)
    assert all(np.array_equal(ours[name], expected[name]) for name in expected)


def test_every_parameter_is_trained_by_one_optimiser():
    """Muon's matrices and AdamW's parameters are all there are; convolutions are AdamW's alone."""
    for decoder, kind in (("carrier", MuonAdamW), ("cnn", torch.optim.AdamW)):
        ghn, optimizer = fresh(decoder=decoder)
        assert type(optimizer) is kind
        trained = [id(p) for group in optimizer.param_groups for p in group["params"]]
        assert sorted(trained) == sorted(map(id, ghn.parameters()))


def test_another_seed_trains_another_network(data):
    """The seed decides architectures and transitions."""
    losses = []
    for seed in (5, 6):
        ghn, optimizer = fresh()
        settings = GhnTrainingSettings(4, 2, 32, 3e-3, seed)
        losses.append([step.loss for step in training(ghn, optimizer, data, settings)])
    assert losses[0] != losses[1]


def test_what_is_hidden_in_batches_decides_the_loss(data):
    """With nearly everything hidden, other losses of the same architectures and transitions."""
    losses = []
    for found in (data, replace(data, input_dropout=0.99)):
        ghn, optimizer = fresh()
        losses.append(next(training(ghn, optimizer, found)).loss)
    assert losses[0] != losses[1]


def test_training_lowers_the_loss_of_architectures_that_it_never_saw(data):
    """A held-out shape, an unseen width and a deeper one fall to less than a third."""
    ghn, optimizer = fresh()
    specs = [INTERFACE.spec(dims) for dims in ((16, 8), (12, 12), (16, 16, 16))]
    before = [evaluate_loss(layers, data) for layers in ghn(specs)]
    settings = GhnTrainingSettings(150, 2, 64, 5e-3, seed=0)
    for _ in training(ghn, optimizer, data, settings):
        pass
    after = [evaluate_loss(layers, data) for layers in ghn(specs)]
    assert all(now < then / 3 for now, then in zip(after, before, strict=True)), (before, after)


def test_bfloat16_follows_float32(data):
    """The first losses agree within bfloat16's precision, and the weights stay float32."""
    losses = []
    for autocast in (False, True):
        ghn, optimizer = fresh()
        settings = GhnTrainingSettings(3, 2, 32, 1e-4, seed=5, autocast=autocast)
        losses.append([step.loss for step in training(ghn, optimizer, data, settings)])
        assert {array.dtype.name for array in training_arrays(ghn, optimizer).values()} == {
            "float32"
        }
    assert losses[0] != losses[1]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.05)
