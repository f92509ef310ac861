"""Environments of Gymnasium as tasks."""

import sys

import gymnasium
import numpy as np
import pytest

from nnit.errors import NnitError, UsageError
from nnit.rollout.episodes import run_trajectory
from nnit.tasks.registry import find_task, get_task
from nnit.tasks.task import TaskRef

BOX = gymnasium.spaces.Box(-1, 1, (3,))


def test_an_episode_is_gymnasiums_own():
    """Observations, return and end of a random episode, beside the environment itself."""
    task = get_task("gym:Pendulum-v1")
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (task.horizon, 1)).astype(np.float32)
    plan = iter(actions)
    found = run_trajectory(task.simulate(task), lambda _: next(plan), 5, task.horizon)
    environment = gymnasium.make("Pendulum-v1")
    observation, _ = environment.reset(seed=5)
    observations, rewards = [observation], []
    for action in actions:
        observation, reward, *_ = environment.step(2 * action)
        observations.append(observation)
        rewards.append(reward)
    np.testing.assert_array_equal(found.observations, np.stack(observations))
    np.testing.assert_array_equal(found.rewards, rewards)
    assert found.episode(0).episode_return == pytest.approx(sum(rewards))


def test_an_episode_ends_where_the_environment_ends_it():
    """A cart that is always pushed to one side loses its pole; that is no success."""
    task = get_task("gym:CartPole-v1")
    push = np.array([0, 1], np.float32)
    found = run_trajectory(task.simulate(task), lambda _: push, 0, task.horizon)
    assert len(found.actions) < 15
    assert found.episode(0).episode_return == len(found.actions)
    assert not found.success.any()


@pytest.mark.parametrize(
    ("name", "least"), [("CartPole-v1", 475), ("Pendulum-v1", -250), ("Acrobot-v1", -110)]
)
def test_experts_are_good(name, least):
    """Their mean return over ten episodes."""
    task = get_task(f"gym:{name}")
    simulation = task.simulate(task)
    returns = [
        run_trajectory(simulation, task.expert, seed, task.horizon).rewards.sum()
        for seed in range(10)
    ]
    assert np.mean(returns) >= least


class Odd(gymnasium.Env):
    """An environment of given spaces."""

    def __init__(self, observation_space, action_space) -> None:
        self.observation_space, self.action_space = observation_space, action_space


@pytest.mark.parametrize(
    ("spaces", "steps", "said"),
    [
        ((gymnasium.spaces.Box(0, 255, (8, 8, 3), np.uint8), BOX), 9, "images"),
        ((gymnasium.spaces.Dict({"a": BOX}), BOX), 9, "Dict"),
        ((BOX, gymnasium.spaces.MultiDiscrete([2, 2])), 9, "actions"),
        ((BOX, gymnasium.spaces.Box(-np.inf, np.inf, (2,))), 9, "bounded"),
        ((BOX, gymnasium.spaces.Discrete(2, start=1)), 9, "from 0 on"),
        ((BOX, BOX), None, "max_episode_steps"),
    ],
)
def test_what_an_mlp_has_no_use_for_is_one_line(spaces, steps, said):
    """The line says what was found and what is expected."""
    name = f"Odd{abs(hash(str(spaces) + str(steps)))}-v0"
    gymnasium.register(name, lambda: Odd(*spaces), max_episode_steps=steps)
    with pytest.raises(UsageError, match=said) as caught:
        get_task(f"gym:{name}")
    assert "\n" not in str(caught.value)


class Cut(Odd):
    """Counts steps in one array, and is over of itself where it was told to be."""

    def __init__(self, at) -> None:
        super().__init__(gymnasium.spaces.Box(-np.inf, np.inf, (1,)), BOX)
        self.at, self.state = at, np.zeros(1, np.float32)

    def reset(self, *, seed=None, options=None):
        """Begin."""
        self.state[:] = 0
        return self.state, {}

    def step(self, action):
        """Go on."""
        self.state += 1
        return self.state, 1.0, False, self.state[0] >= self.at, {}


@pytest.mark.parametrize("at", [3, 5, 6])
def test_an_episode_ends_where_the_environment_truncates_it(at):
    """Before the horizon it is done; at the horizon it goes on, but for nobody to see."""
    name = f"Cut{at}-v0"
    gymnasium.register(name, lambda: Cut(at), max_episode_steps=5, disable_env_checker=True)
    task = get_task(f"gym:{name}")
    found = run_trajectory(task.simulate(task), lambda _: np.zeros(3), 0, 5)
    assert found.observations[:, 0].tolist() == list(range(min(at, 5) + 1))
    simulation = task.simulate(task)
    simulation.reset(0)
    done = [simulation.step(np.zeros(3)).done for _ in range(min(at, 5))]
    assert done == [False] * (len(done) - 1) + [at < 5]


class Unseen(Odd):
    """An environment that cannot be drawn."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012 - Gymnasium's

    def __init__(self, render_mode=None) -> None:
        super().__init__(BOX, BOX)
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        """Begin."""
        return np.zeros(3, np.float32), {}

    def render(self):
        """Draw nothing."""


@pytest.mark.filterwarnings("ignore:.*should return a numpy array:UserWarning")
@pytest.mark.parametrize("creator", [Unseen, lambda: Odd(BOX, BOX)])
def test_an_environment_without_pictures_is_one_line(creator):
    """It runs, and says so only where a film is asked for."""
    name = f"Unseen{id(creator)}-v0"
    gymnasium.register(name, creator, max_episode_steps=9)
    task = get_task(f"gym:{name}")
    with pytest.raises(UsageError, match=rf"--video: gym:{name} draws no pictures"):
        task.filmed(task)


def test_an_unknown_environment_is_one_line():
    """Gymnasium's own words."""
    with pytest.raises(UsageError, match="NoSuch") as caught:
        get_task("gym:NoSuch-v0")
    assert "\n" not in str(caught.value)


def test_a_module_that_the_user_typed_registers_its_environment(tmp_path, monkeypatch):
    """Artifacts hold the environment's id, under which its episodes run in the same process."""
    (tmp_path / "own_environments.py").write_text(
        "import gymnasium\n"
        "from gymnasium.envs.classic_control import PendulumEnv\n"
        "gymnasium.register('own/Swing-v3', PendulumEnv, max_episode_steps=7)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(NnitError):
        get_task("gym:own_environments:own/Swing-v3")
    assert "own_environments" not in sys.modules
    ref = TaskRef("gym:own_environments:own/Swing-v3", typed=True)
    task = get_task(ref)
    assert (task.task_id, task.horizon) == ("gym:own/Swing-v3", 7)
    assert task.simulate(task).reset(0).shape == (3,)
    assert find_task(task.task_id, ref) == ref


def test_an_environment_without_a_version_has_the_latest():
    """What artifacts hold names it."""
    assert get_task(TaskRef("gym:CartPole", typed=True)).task_id == "gym:CartPole-v1"
    with pytest.raises(NnitError):
        get_task("gym:CartPole")
