"""What every task must do, whatever it is made of (docs/tasks.md, rules)."""

import dataclasses

import numpy as np
import pytest

from nnit.mlp import CLASS
from nnit.rollout.episodes import run_trajectory
from nnit.tasks.collect import DemoRequest, collect_demos
from nnit.tasks.registry import episode_seeds, get_task
from nnit.tasks.task import TaskRef

TASKS = ["PushCube-v1", "digits", "gym:CartPole-v1", "gym:Pendulum-v1", "gym:Acrobot-v1"]
SEEDS = (0, 3, 11)


@pytest.fixture(params=TASKS)
def ref(request) -> TaskRef:
    """One task after the other."""
    return TaskRef(request.param)


def random_policy(task, seed):
    """Return outputs that have nothing to do with what is observed."""
    rng = np.random.default_rng(seed)
    if task.output == CLASS:
        return lambda _: np.eye(task.act_dim, dtype=np.float32)[rng.integers(task.act_dim)]
    return lambda _: rng.uniform(-1, 1, task.act_dim).astype(np.float32)


@pytest.mark.sim
def test_an_episode_follows_from_its_seed_and_outputs(ref):
    """Whatever ran before, and in which order: the same to the bit."""
    task = get_task(ref)
    simulation = task.simulate(task)

    def run(seed):
        return run_trajectory(simulation, random_policy(task, seed), seed, task.horizon)

    forward, backward = [run(s) for s in SEEDS], [run(s) for s in reversed(SEEDS)]
    for one, other in zip(forward, reversed(backward), strict=True):
        for name in ("observations", "actions", "success"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name


@pytest.mark.sim
def test_observations_are_flat_finite_numbers(ref):
    """Of the size that the task says, float32, and seeds differ."""
    task = get_task(ref)
    simulation = task.simulate(task)
    first = [simulation.reset(seed).copy() for seed in SEEDS]
    assert all(o.shape == (task.obs_dim,) and o.dtype == np.float32 for o in first)
    assert np.isfinite(first).all()
    assert not np.array_equal(first[0], first[1])


@pytest.mark.sim
def test_demonstrations_have_labels_of_the_task(ref):
    """One row for each step; the expert, or the labels, succeed mostly; seeds are not evaluated."""
    task = get_task(ref)
    demos = collect_demos(ref, DemoRequest(6, noise=0.0))
    assert demos.observations.shape[1:] == (task.obs_dim,)
    assert demos.actions.shape[1:] == (task.act_dim,)
    assert (np.diff(demos.episode_ends, prepend=0) <= task.horizon).all()
    assert demos.success_once.mean() >= 0.6
    assert demos.interface.output == task.output
    assert demos.seeds.min() >= task.evaluation_episodes
    if task.output == CLASS:
        assert (demos.actions.sum(axis=1) == 1).all()
        assert set(np.unique(demos.actions)) <= {0.0, 1.0}


def test_default_seeds_do_not_overlap(ref):
    """What is collected and what is evaluated, where nobody says which."""
    task = get_task(ref)
    demos = episode_seeds(ref, task.demo_first_seed, task.demo_episodes)
    assert demos.start >= task.evaluation_episodes
    assert demos.stop - 1 <= task.max_seed


def test_a_task_is_plain_data(ref):
    """Two of them are equal if their fields are; nothing can be changed."""
    task = get_task(ref)
    assert dataclasses.replace(task) == task
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.horizon = 1
