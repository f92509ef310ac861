"""Networks that are cloned together: each is what it would be alone."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from learning_examples import INTERFACE, make_demos, random_flat, worker_settings

from nnit.cloning import (
    cloning_data,
    evaluate_loss,
    initialise_flat,
    layers_from_flat,
    run_mlp,
)
from nnit.groups import stack, training
from nnit.groups.stack import build_stacks, padded
from nnit.groups.training import CloningSettings, Pupil, train_groups
from nnit.seeding import torch_generator

SETTINGS = CloningSettings(steps=70, batch_size=32, learning_rate=5e-3)
DIMS = ((8, 7), (16, 5), (3, 12))

pytestmark = pytest.mark.seconds


@pytest.fixture(autouse=True)
def _as_in_a_worker():
    """One thread, and nothing of ``prepare_torch`` is left behind."""
    with worker_settings():
        yield


@pytest.fixture(scope="module", params=["action", "class", "hidden"])
def data(request):
    """Transitions of two dozen episodes, with actions as labels or classes, or half hidden."""
    found = cloning_data(make_demos())
    if request.param == "class":
        classes = torch.eye(INTERFACE.act_dim)[found.actions.argmax(dim=1)]
        return replace(found, actions=classes, output="class")
    return replace(found, input_dropout=0.5) if request.param == "hidden" else found


def naive(pupil, data, settings=SETTINGS):
    """Train one network with autograd, a batch at a time: what a group has to equal."""
    spec = INTERFACE.spec(pupil.hidden_dims)
    generator = torch.Generator().manual_seed(pupil.seed)
    hider = torch_generator(pupil.seed, "hidden")
    flat = (
        initialise_flat(spec, generator) if pupil.weights is None else torch.tensor(pupil.weights)
    )
    flat = flat.requires_grad_()
    optimizer = torch.optim.Adam([flat], eps=settings.epsilon)
    for step in range(settings.steps):
        share = 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        optimizer.param_groups[0]["lr"] = settings.learning_rate * share
        chosen = torch.randint(len(data), (settings.batch_size,), generator=generator)
        predicted = run_mlp(layers_from_flat(spec, flat), data.draw(chosen, hider))
        optimizer.zero_grad()
        data.loss(predicted, chosen).backward()
        optimizer.step()
    return flat.detach()


def train(pupils, data, settings=SETTINGS):
    """Train networks as a group."""
    return train_groups([pupils], data, INTERFACE, settings)


def loss_of(pupil, flat, data):
    """Return the cloning loss of a network."""
    return evaluate_loss(layers_from_flat(INTERFACE.spec(pupil.hidden_dims), flat), data)


@pytest.mark.parametrize("large_product", [0, stack.LARGE_PRODUCT])
def test_each_of_a_group_is_what_a_plain_loop_makes_of_it_alone(data, large_product, monkeypatch):
    """Random or given weights, padded or not, by either product."""
    monkeypatch.setattr(stack, "LARGE_PRODUCT", large_product)
    given = random_flat(INTERFACE.spec(DIMS[1]), seed=5) / 4
    pupils = [
        Pupil(DIMS[0], 1),
        Pupil(DIMS[1], 2, given),
        Pupil(DIMS[2], 3),
    ]
    for pupil, flat in zip(pupils, train(pupils, data), strict=True):
        torch.testing.assert_close(flat, naive(pupil, data), rtol=0, atol=1e-5)


def test_the_result_does_not_depend_on_neighbours_and_padding(data):
    """Alone, or beside one with many more units: the same but for rounding."""
    pupil = Pupil(DIMS[0], 1)
    (alone,) = train([pupil], data)
    _, beside = train([Pupil((40, 30), 9), pupil], data)
    torch.testing.assert_close(beside, alone, rtol=0, atol=1e-5)


def test_the_same_call_gives_the_same_bytes(data):
    """Twice; and other seeds draw other batches."""
    pupils = [Pupil(dims, seed) for seed, dims in enumerate(DIMS)]
    one, same = train(pupils, data), train(pupils, data)
    assert all(torch.equal(*pair) for pair in zip(one, same, strict=True))
    given = [Pupil(DIMS[0], seed, one[0].numpy()) for seed in (0, 1)]
    first, second = train(given, data)
    assert not torch.equal(first, second)


def test_training_lowers_the_loss_and_leaves_given_weights_alone(data):
    """150 steps from random weights halve the loss at least."""
    start = initialise_flat(INTERFACE.spec(DIMS[0]), torch_generator(1)).numpy()
    kept, pupil = start.copy(), Pupil(DIMS[0], 0, start)
    (trained,) = train([pupil], data, replace(SETTINGS, steps=150))
    np.testing.assert_array_equal(start, kept)
    assert loss_of(pupil, trained, data) < loss_of(pupil, torch.from_numpy(start), data) / 2


def test_no_steps_give_back_the_weights(data):
    """Fine-tuning for no steps changes nothing."""
    start = random_flat(INTERFACE.spec(DIMS[0]), seed=1)
    pupils = [Pupil(DIMS[0], 0, start), Pupil(DIMS[1], 0)]
    found, _ = train(pupils, data, replace(SETTINGS, steps=0))
    np.testing.assert_array_equal(found.numpy(), start)


def test_a_network_that_diverges_does_not_touch_its_neighbour(data):
    """Weights that are no numbers stay in their own place."""
    broken = np.full(INTERFACE.spec(DIMS[1]).num_parameters, np.inf, np.float32)
    pupil = Pupil(DIMS[0], 1)
    found, nan = train([pupil, Pupil(DIMS[1], 2, broken)], data)
    torch.testing.assert_close(found, naive(pupil, data), rtol=0, atol=1e-5)
    assert not torch.isfinite(nan).all()


@pytest.mark.parametrize(("epsilon", "least", "most"), [(1e-8, 0.5, 2.0), (1e-2, 0.0, 0.1)])
def test_epsilon_decides_whether_weights_move_that_the_loss_hardly_feels(epsilon, least, most):
    """Those of an observation that is a thousand times smaller move as far as others, or stay."""
    data = cloning_data(make_demos())
    faint = data.observations.clone()
    faint[:, 0] *= 1e-3
    start = initialise_flat(INTERFACE.spec(DIMS[0]), torch_generator(0, "initial"))
    settings = replace(SETTINGS, steps=150, epsilon=epsilon)
    pupil = Pupil(DIMS[0], 0, start.numpy())
    (trained,) = train([pupil], replace(data, observations=faint), settings)
    moved = layers_from_flat(INTERFACE.spec(DIMS[0]), trained - start)[0].weight
    sizes = moved.square().mean(dim=0).sqrt()
    assert least <= float(sizes[0] / sizes[1:].mean()) <= most


@pytest.mark.parametrize("together", [1, 10**6])
def test_groups_that_share_a_step_are_what_each_is_by_itself(data, together, monkeypatch):
    """Of another depth, before and behind; whether the cache has room for one or for all."""
    monkeypatch.setattr(training, "CACHED_WEIGHTS", together)
    one, two = [Pupil(DIMS[0], 1), Pupil(DIMS[2], 2)], [Pupil((9,), 3)]
    ours = train_groups([two, one, two], data, INTERFACE, SETTINGS)
    expected = [*train(two, data), *train(one, data), *train(two, data)]
    for shared, alone in zip(ours, expected, strict=True):
        torch.testing.assert_close(shared, alone, rtol=0, atol=1e-5)


@pytest.fixture
def stacked():
    """Three shapes with their weights, and a stack of them."""
    specs = [INTERFACE.spec(dims) for dims in DIMS]
    flats = [torch.from_numpy(random_flat(spec, seed=k)) for k, spec in enumerate(specs)]
    (ours,), parameters, gradients = build_stacks([specs], torch.device("cpu"))
    ours.write(flats)
    return ours, flats, parameters, gradients


def test_gradients_in_closed_form_are_those_of_autograd(stacked):
    """Of any gradient by the outputs; that of padding is zero."""
    ours, flats, parameters, gradients = stacked
    x, error = torch.randn(3, 10, INTERFACE.obs_dim), torch.randn(3, 10, INTERFACE.act_dim)
    outputs = torch.empty_like(error)
    ours.forward(F.pad(x, (0, padded(INTERFACE.obs_dim) - INTERFACE.obs_dim)), outputs)
    ours.backward(error)
    parameters.copy_(gradients)  # to be read network by network
    slopes = ours.read()
    for k, (spec, flat) in enumerate(zip(ours.specs, flats, strict=True)):
        expected = run_mlp(layers_from_flat(spec, flat.requires_grad_()), x[k])
        torch.testing.assert_close(outputs[k], expected)
        expected.backward(error[k])
        torch.testing.assert_close(slopes[k], flat.grad)
    assert gradients.count_nonzero() == sum(slope.count_nonzero() for slope in slopes)


def test_a_stack_gives_back_what_was_written(stacked):
    """Every weight comes back to its place, and what is read is a copy."""
    ours, flats, parameters, _ = stacked
    found = ours.read()
    parameters.zero_()
    assert all(torch.equal(*pair) for pair in zip(found, flats, strict=True))
