"""Behaviour cloning: data, losses, and networks as tensors."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from learning_examples import INTERFACE, make_demos, random_flat

from nnit.cloning import (
    WORST_LOSS,
    CloningData,
    action_importance,
    cloning_data,
    cloning_loss,
    flat_from_layers,
    initialise_flat,
    layers_from_flat,
    loss_gradient,
    loss_targets,
    network_loss,
    run_mlp,
)
from nnit.mlp import MlpSpec, Network, forward, split_layers
from nnit.seeding import torch_generator

SPEC = INTERFACE.spec((8, 7))


@pytest.fixture(scope="module")
def data():
    """Transitions of two dozen episodes."""
    return cloning_data(make_demos())


@pytest.mark.parametrize(
    ("label", "predicted", "expected"),
    [
        (0.5, 0.2, 0.09),
        (0.5, 1.5, 1.0),
        (1.0, 1.7, 0.0),
        (1.0, 0.4, 0.36),
        (-1.0, -3.0, 0.0),
        (-1.0, 0.0, 1.0),
        (-1.0, 1.0, 4.0),
        (1.0, 1.0, 0.0),
    ],
)
def test_loss_by_hand(label, predicted, expected):
    """Squared error, but beyond a label at the bound of the action nothing is wrong."""
    loss = cloning_loss(torch.tensor([[predicted]]), torch.tensor([[label]]))
    assert float(loss) == pytest.approx(expected, abs=1e-6)


def test_loss_averages_over_all_entries():
    """Errors 0.2, 0 (overshoot), 1 and 0.4 give the mean of their squares."""
    actions = torch.tensor([[0.0, 1.0], [-1.0, 0.5]])
    predicted = torch.tensor([[0.2, 1.5], [0.0, 0.1]])
    assert float(cloning_loss(predicted, actions)) == pytest.approx((0.04 + 0 + 1 + 0.16) / 4)


def test_loss_of_classes_is_the_cross_entropy():
    """Equal outputs of four classes: log 4; torch's own for others; none if sure."""
    labels = torch.eye(4)[[2, 0, 3]]
    assert float(cloning_loss(torch.zeros(3, 4), labels, "class")) == pytest.approx(np.log(4))
    outputs = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.cross_entropy(outputs, torch.tensor([2, 0, 3]))
    torch.testing.assert_close(cloning_loss(outputs, labels, "class"), expected)
    assert float(cloning_loss(100 * labels, labels, "class")) == pytest.approx(0, abs=1e-6)


def test_overshoot_has_no_gradient_and_undershoot_has():
    """The weights are not pulled back towards a label at the bound."""
    predicted = torch.tensor([1.5, 0.5], requires_grad=True)
    cloning_loss(predicted, torch.ones(2)).backward()
    assert predicted.grad is not None
    torch.testing.assert_close(predicted.grad, torch.tensor([0.0, -0.5]))


def test_importance_of_an_actions_numbers_by_hand():
    """Inverse to the spread; a number that hardly moves counts as if it did a little."""
    actions = torch.tensor([[1.0, 0.5, 0.3], [-1.0, -0.5, 0.3]])  # spreads 1, 0.5 and 0, as 0.1
    scale = (1 + 0.25 + 0.01) / (1 + 0.5 + 0.1)
    importance = action_importance(actions)
    torch.testing.assert_close(importance, scale / torch.tensor([1.0, 0.5, 0.1]))
    assert action_importance(torch.full((4, 2), 0.7)).tolist() == [1, 1]


def test_errors_weigh_by_the_demonstrations_spreads(data):
    """The best constant action has its mean squared error, as if all numbers weighed alike."""
    best = data.actions.mean(dim=0).expand_as(data.actions)
    alike = replace(data, importance=None)
    assert float(data.loss(best)) == pytest.approx(float(alike.loss(best)), rel=0.05)
    torch.testing.assert_close(data.errors(best), alike.errors(best) * data.importance)


@pytest.mark.parametrize("output", ["action", "class"])
def test_the_gradient_in_closed_form_is_that_of_the_loss(output):
    """Network by network, each of its own mean; labels at the bounds, on both sides of them."""
    generator = torch.Generator().manual_seed(0)
    predicted = (1.5 * torch.randn(2, 50, 4, generator=generator)).requires_grad_()
    labels = (2 * torch.randn(100, 4, generator=generator)).clamp(-1, 1)
    if output == "class":
        labels = torch.eye(4)[torch.randint(4, (100,), generator=generator)]
    data = CloningData(torch.zeros(100, 1), labels, output)
    targets = loss_targets(data).view(2, 50, -1)
    importance = torch.tensor([0.5, 2, 1, 3]) if output == "action" else None
    for one, rows in zip(predicted, labels.view(2, 50, 4), strict=True):
        cloning_loss(one, rows, output, importance).backward()
    ours = loss_gradient(predicted.detach(), targets, output, importance)
    torch.testing.assert_close(ours, predicted.grad)


def test_cloning_data_is_standardised(data):
    """Observations are what the network sees and actions are the labels, both float32."""
    demos = make_demos()
    assert data.observations.dtype == data.actions.dtype == torch.float32
    np.testing.assert_array_equal(
        data.observations.numpy(), INTERFACE.standardise(demos.observations)
    )
    np.testing.assert_array_equal(data.actions.numpy(), demos.actions)
    assert cloning_data(replace(demos, input_dropout=0.2)).input_dropout == 0.2
    assert len(data) == demos.episode_ends[-1]


def test_a_batch_without_dropout_is_the_observations_and_draws_nothing(data):
    """The generator is where it was, so that trainings without are what they were."""
    generator, rows = torch_generator(0), torch.tensor([5, 1, 5])
    before = generator.get_state()
    assert torch.equal(data.draw(rows, generator), data.observations[rows])
    assert torch.equal(generator.get_state(), before)


def test_input_dropout_hides_a_share_and_keeps_the_mean(data):
    """With 0.5 a number is 0 or twice itself, each half the time; the observations stay."""
    kept, half = data.observations.clone(), replace(data, input_dropout=0.5)
    rows = torch.arange(len(data)).repeat(400)
    drawn = half.draw(rows, torch_generator(0)).view(400, *kept.shape)
    hidden = drawn == 0
    assert torch.equal(drawn, torch.where(hidden, 0, 2 * kept))
    assert float(hidden.float().mean()) == pytest.approx(0.5, abs=0.005)
    torch.testing.assert_close(drawn.mean(dim=0), kept, rtol=0.3, atol=1e-4)
    assert torch.equal(data.observations, kept)


def test_flat_from_layers_is_the_inverse_of_layers_from_flat():
    """Every entry comes back to its place, and the layers are those of ``split_layers``."""
    flat = random_flat(SPEC, seed=1)
    layers = layers_from_flat(SPEC, torch.from_numpy(flat))
    np.testing.assert_array_equal(flat_from_layers(layers).numpy(), flat)
    for ours, expected in zip(layers, split_layers(SPEC, flat), strict=True):
        np.testing.assert_array_equal(ours.weight.numpy(), expected.weight)
        np.testing.assert_array_equal(ours.bias.numpy(), expected.bias)


def test_torch_and_numpy_run_the_same_network(data):
    """``run_mlp`` learns what ``forward`` acts with."""
    flat = random_flat(SPEC, seed=2)
    ours = run_mlp(layers_from_flat(SPEC, torch.from_numpy(flat)), data.observations)
    expected = forward(split_layers(SPEC, flat), data.observations.numpy())
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_initial_weights_are_those_of_torch():
    """Uniform within ``1 / sqrt(fan_in)``, whose deviation is that over ``sqrt(3)``."""
    spec = MlpSpec(50, 40, (80,))
    layers = layers_from_flat(spec, initialise_flat(spec, torch_generator(0)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fresh = [torch.nn.Linear(fan_in, fan_out) for fan_out, fan_in in spec.layers]
    for layer, linear in zip(layers, fresh, strict=True):
        bound = layer.weight.shape[1] ** -0.5
        for weight, bias in ((layer.weight, layer.bias), (linear.weight, linear.bias)):
            assert float(weight.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.05)
            for part in (weight, bias):
                assert 0.9 * bound < float(part.detach().abs().max()) <= bound


def test_a_loss_beyond_numbers_is_the_worst_one(data):
    """A network whose outputs overflow has a loss that can be written down."""
    weights = np.full(SPEC.num_parameters, 1e30, np.float32)
    assert network_loss(Network(SPEC.hidden_dims, weights), INTERFACE, data) == WORST_LOSS
