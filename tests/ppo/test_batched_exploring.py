"""Exploring in ManiSkill's own environment, as far as a CPU allows: one environment."""

import numpy as np
import pytest
import torch

from nnit.errors import UsageError
from nnit.ppo.batched import BatchedExplorer
from nnit.ppo.collect import FragmentUnit, explore
from nnit.tasks.registry import get_task
from nnit.tasks.task import TaskRef
from stages.ghn_ppo import plain_interface

REF = TaskRef("PushCube-v1")
TASK = get_task(REF)
INTERFACE = plain_interface(TASK)


def unit(num_steps=50, path=(0, 0)):
    """A policy of random weights that hardly explores."""
    spec = INTERFACE.spec((16,))
    weights = np.random.default_rng(0).normal(0, 0.1, spec.num_parameters).astype(np.float32)
    log_std = np.full(4, -20, np.float32)
    return FragmentUnit(REF, INTERFACE, (16,), weights, log_std, num_steps, 0, path)


@pytest.mark.sim
def test_one_environment_gives_whole_episodes():
    """Rows follow each other, the last is cut and not ended, and the return is their sum."""
    (found,) = BatchedExplorer(REF, 1, "physx_cpu").explore([unit()])
    assert np.array_equal(found.next_observations[:-1], found.observations[1:])
    assert found.cut.tolist() == [False] * 49 + [True]
    assert not found.ended.any()
    assert found.returns[0] == pytest.approx(found.rewards.sum(), rel=1e-5)
    assert 0 <= found.rewards.min() <= found.rewards.max() <= 1


@pytest.mark.sim
def test_it_acts_as_the_policy_does_elsewhere():
    """Without exploration, the actions for the same observations are those of the other path."""
    (batched,) = BatchedExplorer(REF, 1, "physx_cpu").explore([unit()])
    single = explore(unit())
    assert batched.actions.shape == single.actions.shape
    from nnit.mlp import forward, split_layers

    layers = split_layers(INTERFACE.spec((16,)), unit().weights)
    for found in (batched, single):
        expected = forward(layers, INTERFACE.standardise(found.observations))
        np.testing.assert_allclose(found.actions, expected, atol=1e-4)


class Adding:
    """Environments whose observations begin with their seed and add up what was done."""

    device = torch.device("cpu")

    def reset(self, seed):
        """Begin."""
        self.state = torch.zeros(len(seed), TASK.obs_dim)
        self.state[:, 0] = torch.tensor(seed) / 2**31
        return self.state.clone(), {}

    def step(self, actions):
        """Go on."""
        self.state[:, 1:5] += actions
        return self.state.clone(), self.state[:, 1], None, None, {}


def explored_beside(*units, num_envs):
    """Explore in made-up environments; returns the fragment of each unit."""
    explorer = object.__new__(BatchedExplorer)
    explorer._task, explorer._num_envs, explorer._environment = TASK, num_envs, Adding()
    return explorer.explore(units)


def test_what_a_policy_explores_does_not_depend_on_those_beside_it():
    """Seeds, noise and so all else, whatever rank has which units."""
    one, other = (unit(100, (0, k))._replace(log_std=np.zeros(4, np.float32)) for k in range(2))
    together = explored_beside(one, other, num_envs=4)
    alone = [explored_beside(each, num_envs=2)[0] for each in (one, other)]
    assert not np.array_equal(together[0].actions, together[1].actions)
    for found, expected in zip(together, alone, strict=True):
        assert np.array_equal(found.observations, expected.observations)
        np.testing.assert_array_equal(found.actions, expected.actions)


def test_episodes_must_fill_the_environments():
    """The line says how many steps fit."""
    explorer = object.__new__(BatchedExplorer)
    explorer._task, explorer._num_envs = TASK, 8
    with pytest.raises(UsageError, match="need 200 steps of each"):
        explorer.explore([unit(50, (0, 0)), unit(50, (0, 1))])


def test_only_tasks_of_maniskill_run_there():
    """One line."""
    with pytest.raises(UsageError, match="no simulation there"):
        BatchedExplorer(TaskRef("gym:Pendulum-v1"), 4)
