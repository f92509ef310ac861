"""Exploring in ManiSkill's own environment, as far as a CPU allows: one environment."""

import numpy as np
import pytest

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
