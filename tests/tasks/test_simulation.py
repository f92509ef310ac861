"""The direct path is the official environment, only faster."""

import sys

import numpy as np
import pytest

from nnit.errors import UsageError
from nnit.tasks import vulkan
from nnit.tasks.maniskill_tasks import MANISKILL_TASKS
from nnit.tasks.registry import get_task, process_simulation
from nnit.tasks.simulation import make_environment, quiet_simulator

pytestmark = pytest.mark.sim


def expert_actions(task, rng):
    """Actions of the expert, disturbed."""
    noise = rng.normal(scale=0.1, size=(task.horizon, task.act_dim))
    return lambda step, observation: (task.expert(observation) + noise[step]).astype(np.float32)


def random_actions(task, rng):
    """Actions anywhere, also outside the bounds."""
    actions = rng.uniform(-1.3, 1.3, size=(task.horizon, task.act_dim)).astype(np.float32)
    return lambda step, observation: actions[step]


def _official_episode(environment, act, seed, horizon):
    observation, _ = environment.reset(seed=seed, options={"reconfigure": True})
    observations, successes = [observation[0].numpy().copy()], []
    for step in range(horizon):
        observation, _, _, _, info = environment.step(act(step, observations[-1]))
        observations.append(observation[0].numpy().copy())
        successes.append(bool(info["success"][0]))
    return np.stack(observations), successes


def _direct_episode(simulation, act, seed, horizon):
    observations, successes = [simulation.reset(seed)], []
    for step in range(horizon):
        observation, success, *_ = simulation.step(act(step, observations[-1]))
        observations.append(observation)
        successes.append(success)
    return np.stack(observations), successes


@pytest.mark.parametrize(
    ("policy", "seeds"),
    [(expert_actions, (0, 7, 2**31 - 1)), (random_actions, (0, 5000))],
    ids=["expert", "random"],
)
@pytest.mark.parametrize("task", MANISKILL_TASKS, ids=lambda task: task.task_id)
def test_direct_path_equals_the_official_environment(task, policy, seeds):
    """Every observation of whole episodes is equal to the bit, and so is success."""
    environment, simulation = make_environment(task), process_simulation(task.task_id)
    succeeded = False
    with quiet_simulator():
        for seed in seeds:
            act = policy(task, np.random.default_rng(seed))
            expected, expected_success = _official_episode(environment, act, seed, task.horizon)
            observations, successes = _direct_episode(simulation, act, seed, task.horizon)
            assert observations.dtype == np.float32
            assert np.array_equal(observations, expected)
            assert successes == expected_success
            succeeded |= any(successes)
    assert succeeded or policy is random_actions


@pytest.mark.parametrize("task", MANISKILL_TASKS, ids=lambda task: task.task_id)
def test_an_episode_does_not_depend_on_earlier_ones(task):
    """Seed a after b equals seed a before b, to the bit."""
    simulation = process_simulation(task.task_id)

    def run(seed):
        act = expert_actions(task, np.random.default_rng(seed))
        return _direct_episode(simulation, act, seed, task.horizon)[0]

    forward = [run(seed) for seed in (11, 12)]
    backward = [run(seed) for seed in (12, 11)]
    for first, second in zip(forward, reversed(backward), strict=True):
        assert np.array_equal(first, second)


def test_push_cube_expert_succeeds():
    """The expert that policies learn from solves the task from 25 initial states."""
    task = get_task("PushCube-v1")
    simulation = process_simulation(task.task_id)
    for seed in range(25):
        _, successes = _direct_episode(
            simulation, lambda _, observation: task.expert(observation), seed, task.horizon
        )
        assert successes[-1], f"seed {seed}"


def test_a_failed_inverse_kinematics_holds_the_arm():
    """Beyond its reach the arm stands still, in both paths alike."""
    task = get_task("PushCube-v1")
    outward = np.array([1, 0, 0, -1], np.float32)
    with quiet_simulator():
        expected, _ = _official_episode(make_environment(task), lambda *_: outward, 3, 40)
    observations, _ = _direct_episode(process_simulation(task.task_id), lambda *_: outward, 3, 40)
    assert np.array_equal(observations, expected)
    assert np.abs(observations[-1, 18:21] - observations[-5, 18:21]).max() < 1e-3


def test_building_a_scene_is_silent(capfd):
    """What ManiSkill logs of its own tasks is of no use to the user, at every reset even less."""
    process_simulation("PullCube-v1").reset(0)
    assert capfd.readouterr().err == ""


def test_many_environments_need_a_gpu():
    """The CPU backend simulates one environment."""
    with pytest.raises(UsageError, match="one environment"):
        make_environment(get_task("PushCube-v1"), num_envs=2)


def test_null_material_takes_any_setter_and_nothing_else():
    """The stand-in accepts what ManiSkill does to a material; a misspelt reader still fails."""
    material = vulkan.NullMaterial(base_color=[1, 1, 1, 1])
    assert material.set_roughness(0.5) is None
    with pytest.raises(AttributeError):
        _ = material.base_color


def test_only_what_is_drawn_is_built_with_sapiens_own_materials():
    """They take much of an episode's time where there is a Vulkan device."""
    process_simulation("PushCube-v1")
    render = sys.modules["sapien.render"]
    assert render.RenderMaterial is vulkan.NullMaterial
    with vulkan.genuine_materials():
        assert render.RenderMaterial.__module__ == "sapien.pysapien.render"
    assert render.RenderMaterial is vulkan.NullMaterial
