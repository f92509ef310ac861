"""Reinforcement learning of the hypernetwork."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from nnit.cloning import flat_from_layers, run_mlp
from nnit.ghn.model import GhnConfig, build_ghn
from nnit.ppo.advantages import Fragment
from nnit.ppo.collect import FragmentUnit, explore
from nnit.ppo.distributions import log_probability
from nnit.ppo.training import (
    PpoSettings,
    build_learner,
    build_ppo_optimizer,
    mean_of_policies,
    minibatches,
    no_scaling,
    ppo_loss,
    prepare,
    train_ppo,
    with_scaling,
)
from nnit.tasks.registry import get_task
from nnit.tasks.task import TaskRef
from nnit.training import optimise, prepare_torch
from stages.ghn_ppo import plain_interface

CART_POLE = TaskRef("gym:CartPole-v1")
TASK = get_task(CART_POLE)
INTERFACE = plain_interface(TASK)
SHAPES = [(16,), (24, 16), (16, 20, 16)]
SETTINGS = PpoSettings(
    iterations=3,
    architectures=3,
    steps=60,
    epochs=2,
    minibatches=2,
    learning_rate=1e-3,
    critic_learning_rate=1e-3,
    discount=0.99,
    decay=0.95,
    clip=0.2,
    entropy_share=0.0,
    seed=0,
)


def learner():
    """A small hypernetwork with its critic."""
    prepare_torch()
    ghn = build_ghn(GhnConfig(node_dim=16, channels=8), TASK.obs_dim, TASK.act_dim, 1)
    return build_learner(ghn, TASK.obs_dim, TASK.act_dim, 2)


def flat_of(layers):
    """Return the weights of a network as one vector."""
    return flat_from_layers(layers).detach().numpy()


def explored(some, count=60):
    """What one policy of each shape does."""
    specs = [INTERFACE.spec(shape) for shape in SHAPES]
    with torch.no_grad():
        networks = some.ghn(specs)
    log_std = some.log_std.detach().numpy()
    units = [
        FragmentUnit(
            CART_POLE,
            INTERFACE,
            s.hidden_dims,
            flat_from_layers(n).numpy(),
            log_std,
            count,
            0,
            (k,),
        )
        for k, (s, n) in enumerate(zip(specs, networks, strict=True))
    ]
    return specs, networks, [explore(unit) for unit in units]


def train(start=None):
    """Train, from a kept state where there is one; returns the last step, learner and state."""
    some = learner()
    optimizer, scaling, first, kept = build_ppo_optimizer(some), no_scaling(TASK.obs_dim), 0, None
    if start is not None:
        state, optimizer_state, scaling, first = start
        some.load_state_dict(state)
        optimizer.load_state_dict(optimizer_state)
    for step in train_ppo(
        some,
        optimizer,
        CART_POLE,
        INTERFACE,
        scaling,
        lambda generator: SHAPES[generator.integers(len(SHAPES))],
        lambda units: [explore(unit) for unit in units],
        SETTINGS,
        start=first,
    ):
        if step.step == 2:
            kept = deepcopy((some.state_dict(), optimizer.state_dict(), step.scaling, 2))
        last = step
    return last, some, kept


def test_before_an_update_every_ratio_is_one():
    """In every minibatch: transitions are looked at with the policy that made them."""
    some = learner()
    specs, networks, fragments = explored(some)
    batches = [
        prepare(some, fragment, layers, INTERFACE, 1.0, SETTINGS)
        for fragment, layers in zip(fragments, networks, strict=True)
    ]
    for rows in minibatches(np.random.default_rng(0), batches, 2):
        for layers, batch, chosen in zip(some.ghn(specs), batches, rows, strict=True):
            outputs = run_mlp(layers, batch.observations[chosen])
            now = log_probability(outputs, batch.actions[chosen], some.log_std, "class")
            torch.testing.assert_close(now, batch.log_probs[chosen], rtol=1e-4, atol=1e-5)


def test_under_another_architecture_the_ratios_are_not_one():
    """What shuffling transitions across architectures would use instead."""
    some = learner()
    _, networks, fragments = explored(some)
    batch = prepare(some, fragments[0], networks[0], INTERFACE, 1.0, SETTINGS)
    outputs = run_mlp(networks[1], batch.observations)
    wrong = log_probability(outputs, batch.actions, some.log_std, "class")
    assert (wrong - batch.log_probs).abs().max() > 0.05


def test_a_minibatch_has_rows_of_every_architecture_and_all_come_once():
    """Each architecture's own rows, split anew."""
    some = learner()
    _, networks, fragments = explored(some)
    batches = [
        prepare(some, fragment, layers, INTERFACE, 1.0, SETTINGS)
        for fragment, layers in zip(fragments, networks, strict=True)
    ]
    seen = [[] for _ in batches]
    for rows in minibatches(np.random.default_rng(0), batches, 4):
        assert all(len(chosen) == 15 for chosen in rows)
        for k, chosen in enumerate(rows):
            seen[k] += chosen.tolist()
    assert all(sorted(found) == list(range(60)) for found in seen)


def test_the_first_gradient_is_that_of_the_policy_gradient():
    """With ratios of one the clipped objective has the gradient of A log pi."""
    some = learner()
    specs, networks, fragments = explored(some)
    batches = [
        prepare(some, fragment, layers, INTERFACE, 1.0, SETTINGS)
        for fragment, layers in zip(fragments, networks, strict=True)
    ]
    rows = [torch.arange(60)] * len(batches)
    parameters = list(some.ghn.parameters())
    loss = ppo_loss(some, specs, batches, rows, INTERFACE, SETTINGS)
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    plain = torch.stack(
        [
            -(
                batch.advantages
                * log_probability(
                    run_mlp(layers, batch.observations), batch.actions, some.log_std, "class"
                )
            ).mean()
            for layers, batch in zip(some.ghn(specs), batches, strict=True)
        ]
    ).mean()
    expected = torch.autograd.grad(plain, parameters, allow_unused=True)
    for one, other in zip(found, expected, strict=True):
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_exploring_follows_from_the_unit():
    """The same unit twice; another path, another course."""
    some = learner()
    spec = INTERFACE.spec(SHAPES[0])
    with torch.no_grad():
        flat = flat_from_layers(some.ghn([spec])[0]).numpy()
    unit = FragmentUnit(
        CART_POLE, INTERFACE, SHAPES[0], flat, np.zeros(2, np.float32), 50, 7, (0, 0)
    )
    one, same, other = explore(unit), explore(unit), explore(unit._replace(path=(0, 1)))
    assert np.array_equal(one.observations, same.observations)
    assert not np.array_equal(one.observations, other.observations)
    assert len(one.rewards) == 50
    assert one.cut[-1]
    assert np.array_equal(
        one.next_observations[:-1][~one.cut[:-1]], one.observations[1:][~one.cut[:-1]]
    )
    assert sum(one.returns) == one.rewards[: int(np.flatnonzero(one.ended)[-1]) + 1].sum()


def test_a_policy_that_ends_many_episodes_counts_no_more_than_another():
    """The mean is over policies; one that finished no episode is left out."""
    empty = np.zeros((0, 1))
    falls, stands, goes_on = (
        Fragment(*[empty] * 6, returns=returns) for returns in ((1.0,) * 90, (90.0,), ())
    )
    assert mean_of_policies([falls, stands, goes_on]) == (1 + 90) / 2
    assert np.isnan(mean_of_policies([goes_on]))


def test_training_reports_the_mean_over_policies():
    """A fall at once, thirty times over, and a whole episode of thirty steps."""
    some = learner()

    def explore_all(units):
        found = [explore(unit) for unit in units]
        returns = [(1.0,) * 30, *[(30.0,)] * (len(found) - 1)]
        return [f._replace(returns=r) for f, r in zip(found, returns, strict=True)]

    step = next(
        train_ppo(
            some,
            build_ppo_optimizer(some),
            CART_POLE,
            INTERFACE,
            no_scaling(TASK.obs_dim),
            lambda _: SHAPES[0],
            explore_all,
            SETTINGS,
        )
    )
    assert step.mean_return == pytest.approx((1 + 30 + 30) / 3)


def test_resumed_equals_uninterrupted():
    """Weights, critic and scaling after three iterations, stopped after two or not."""
    whole, one, kept = train()
    rest, other, _ = train(kept)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name
    assert whole.acting == rest.acting
    assert whole.mean_return == rest.mean_return


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_policies_act_in_the_scaling_that_is_saved(scale):
    """What an interface says is what the policy saw: mean and deviation of observations."""
    known = no_scaling(2).observations._replace(mean=np.array([1.0, scale]), variance=np.ones(2))
    interface = with_scaling(INTERFACE._replace(obs_dim=2), known)
    np.testing.assert_allclose(interface.standardise(np.array([1.0, scale])), 0)


def test_the_critic_has_a_rate_of_its_own():
    """At a rate of 0 the hypernetwork stays while the critic learns, and the other way round."""
    some = learner()
    optimizer = build_ppo_optimizer(some)
    inputs = torch.ones(4, TASK.obs_dim)

    def step(rates):
        before = deepcopy(some.state_dict())
        layers = some.ghn([INTERFACE.spec((16,))])[0]
        optimise(optimizer, run_mlp(layers, inputs).sum() + some.value(inputs).sum(), *rates)
        after = some.state_dict()
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        return {name.partition(".")[0] for name in changed}

    assert step((0.0, 1e-3)) == {"critic"}
    assert step((1e-3, 0.0)) == {"ghn"}


def test_a_large_error_of_the_critic_takes_nothing_from_the_policies():
    """Each gradient is clipped alone."""
    stepped = []
    for error in (1.0, 1e6):
        some = learner()
        layers = some.ghn([INTERFACE.spec((16,))])[0]
        inputs = torch.ones(4, TASK.obs_dim)
        loss = run_mlp(layers, inputs).sum() + error * some.value(inputs).sum()
        optimise(build_ppo_optimizer(some), loss, 1e-3, 1e-3)
        stepped.append(flat_of(some.ghn([INTERFACE.spec((16,))])[0]))
    np.testing.assert_array_equal(*stepped)
