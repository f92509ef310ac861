"""The networks that the transformer predicts, held to demonstrations."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from learning_examples import DEPTHS, DIMS, WIDTHS, make_demos

from nnit.cloning import (
    CloningData,
    cloning_data,
    draw_transitions,
    evaluate_loss,
    flat_from_layers,
)
from nnit.diffusion.batch import BatchRules, collate
from nnit.diffusion.ema import Ema
from nnit.diffusion.predicted import (
    PredictedCloning,
    predicted_losses,
    predicted_networks,
    raw_content,
    relative_loss,
    stacked_losses,
)
from nnit.diffusion.step import DiffusionTrainingSettings
from nnit.diffusion.training import train_diffusion
from nnit.diffusion.transformer import TransformerConfig, build_transformer
from nnit.seeding import torch_generator
from nnit.tokens.tokenizer import untokenize
from nnit.training import build_optimizer

CONFIG = TransformerConfig(4, DEPTHS, WIDTHS, width=16, depth=1, heads=2, num_branches=2)

pytestmark = pytest.mark.seconds


@pytest.fixture(scope="module")
def specs(token_set):
    """The shapes of the networks."""
    return [token_set.spec(k) for k in range(len(token_set))]


@pytest.fixture(scope="module")
def data() -> CloningData:
    """Demonstrations of the networks' task."""
    return cloning_data(make_demos())


def joined(networks, specs, content):
    """Return the networks of a batch of content."""
    return predicted_networks(content, [network.layout for network in networks], specs)


def test_true_content_is_the_true_networks(token_set, networks, specs):
    """Of all shapes in one padded batch, with patches that are cut off at the edges."""
    found = joined(networks, specs, collate(networks).content)
    for layers, true in zip(found, untokenize(token_set), strict=True):
        np.testing.assert_allclose(flat_from_layers(layers), true.weights, rtol=1e-5, atol=1e-6)


def test_padding_and_what_lies_beyond_an_edge_do_not_matter(networks, specs):
    """Gradients reach the entries that are weights, all of them, and no others."""
    batch = collate(networks)
    content = batch.content.clone().requires_grad_()
    everything = [part for layers in joined(networks, specs, content) for part in layers]
    torch.cat([tensor.reshape(-1) for layer in everything for tensor in layer]).sum().backward()
    assert content.grad is not None
    assert torch.equal(content.grad != 0, batch.mask)


def test_losses_are_those_of_the_networks_alone(networks, specs, data):
    """With all transitions, drawn in any order, those of the naive way within its error."""
    found = joined(networks, specs, collate(networks).content)
    expected = [evaluate_loss(layers, data) for layers in found]
    of_each = [data] * len(found)
    drawn = draw_transitions(of_each, 200_000, torch_generator(0, "transitions"))
    losses = predicted_losses(found, of_each, drawn)
    np.testing.assert_allclose(losses, expected, rtol=0.02)


def losses_of(found, of_each):
    """Return the losses of networks on 64 transitions of each one's demonstrations."""
    return predicted_losses(found, of_each, draw_transitions(of_each, 64, torch_generator(0, "t")))


def test_networks_stacked_are_those_networks(networks, specs, data):
    """Of all depths and widths: the losses of the way one by one, and their gradients."""
    batch, layouts = collate(networks), [network.layout for network in networks]
    drawn = draw_transitions([data] * len(specs), 64, torch_generator(0, "t"))
    gradients = []
    for stacked in (False, True):
        content = batch.content.clone().requires_grad_()
        if stacked:
            raw = raw_content(content, layouts)
            losses = stacked_losses(raw, batch, specs, data, drawn)
        else:
            found = predicted_networks(content, layouts, specs)
            losses = expected = predicted_losses(found, [data] * len(specs), drawn)
        (losses * torch.arange(1, 1 + len(losses))).sum().backward()
        gradients.append(content.grad)
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-5)


def test_every_network_is_held_to_its_own_task(networks, specs, data):
    """Other labels for one network change its loss and no other's."""
    found = joined(networks, specs, collate(networks).content)
    other = CloningData(data.observations, -data.actions)
    of_one = [other if k == 2 else data for k in range(len(found))]
    one, two = losses_of(found, [data] * len(found)), losses_of(found, of_one)
    assert (one != two).tolist() == [k == 2 for k in range(len(found))]


def test_predicted_networks_learn_with_inputs_hidden(networks, specs, data):
    """The transitions of the first are the same, and what it sees of them is not."""
    found = joined(networks, specs, collate(networks).content)
    hidden = [replace(data, input_dropout=0.5)] * len(found)
    assert losses_of(found, [data] * len(found))[0] != losses_of(found, hidden)[0]


def test_gradient_is_relative_above_the_own_loss_and_fades_below():
    """Closed form: one over the loss and the training network's own, over the number of both."""
    losses = torch.tensor([0.5, 2.0, 8.0, 0.0], requires_grad=True)
    own = torch.tensor([1e-3, 2.0, 1e-3, 4.0])
    relative_loss(losses, own).backward()
    expected = 1 / (torch.tensor([0.501, 4.0, 8.001, 4.0]) * 4)
    np.testing.assert_allclose(losses.grad, expected, rtol=1e-5)
    assert relative_loss(torch.zeros(2), torch.zeros(2)) == 0


def cloning_losses(networks, specs, data, share, tasks=None, steps=20):
    """Train briefly; return the model and the cloning loss of each step, if there is one."""
    model = build_transformer(CONFIG, 0)
    of_each = tuple(None if task else data for task in tasks or [0] * len(specs))
    cloning = share and PredictedCloning(
        of_each, tuple(specs), torch.full((len(specs),), 0.01), share, 128
    )
    steps = train_diffusion(
        model,
        Ema(model, 0.9),
        build_optimizer(model, 0.0),
        networks,
        DIMS,
        [k % 2 for k in range(len(DIMS))],
        DiffusionTrainingSettings(steps, BatchRules(400), 5e-3, seed=0, autocast=False),
        tasks=tasks,
        cloning=cloning or None,
    )
    return model, [step.cloning_loss for step in steps]


def test_training_makes_predicted_networks_clone(networks, specs, data):
    """The zoo's random networks clone nothing: with a share what is predicted does better."""
    _, found = cloning_losses(networks, specs, data, share=1.0, steps=150)
    _, weak = cloning_losses(networks, specs, data, share=1e-9, steps=150)
    assert np.mean(found[-20:]) < 0.5 * np.mean(weak[-20:])


def test_a_share_of_nothing_is_the_training_without(networks, specs, data):
    """Demonstrations draw from the generator of a step last, so that nothing else changes."""
    with_, found = cloning_losses(networks, specs, data, share=1e-12)
    without, none = cloning_losses(networks, specs, data, share=0)
    assert set(none) == {None}
    assert None not in found
    for ours, theirs in zip(with_.parameters(), without.parameters(), strict=True):
        np.testing.assert_allclose(ours.detach(), theirs.detach(), atol=1e-4)


def test_a_task_without_demonstrations_has_no_cloning_loss(networks, specs, data):
    """Its networks are trained on all the same, with others in a batch or alone."""
    tasks = [k % 2 for k in range(len(networks))]
    _, mixed = cloning_losses(networks, specs, data, 1.0, tasks)
    assert None in mixed
    assert any(loss is not None for loss in mixed)
    _, none = cloning_losses(networks, specs, data, 1.0, [1] * len(networks))
    assert set(none) == {None}
