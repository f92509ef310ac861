"""A film shows the episode that is counted."""

import numpy as np
import pytest

from nnit.errors import ResourceError
from nnit.rollout.episodes import run_episode
from nnit.rollout.filming import film_episode
from nnit.tasks.registry import get_task
from nnit.tasks.simulation import import_simulator
from nnit.tasks.vulkan import has_render_device


def test_a_picture_of_each_moment():
    """One after the reset and one after each step, of an episode that is the same unseen."""
    task = get_task("gym:CartPole-v1")
    push = np.array([0, 1], np.float32)
    film = film_episode(task.filmed(task), lambda _: push, 4, task.horizon, episode_ix=7)
    assert film.episode == run_episode(task.simulate(task), lambda _: push, 4, task.horizon, 7)
    assert len(film.pictures) == film.episode.episode_len + 1
    assert film.fps == 50
    assert all(picture.shape == (400, 600, 3) for picture in film.pictures)
    assert all(picture.dtype == np.uint8 for picture in film.pictures)
    assert np.any(film.pictures[0] != film.pictures[-1])


def render_device() -> bool:
    """Whether this machine can draw a scene of ManiSkill."""
    import_simulator()
    return has_render_device()


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("name", ["PushCube-v1", "PickCube-v1@pd_joint_delta_pos"])
def test_a_filmed_robot_does_what_it_does_unseen(name):
    """ManiSkill's environment with pictures gives the direct path's episode."""
    if not render_device():
        pytest.skip("no Vulkan device to draw with")
    task = get_task(name)
    rng = np.random.default_rng(0)
    still = rng.uniform(-1, 1, task.act_dim).astype(np.float32)
    policy = task.expert or (lambda _: still)
    film = film_episode(task.filmed(task), policy, 3, 12)
    assert film.episode == run_episode(task.simulate(task), policy, 3, 12)
    assert len(film.pictures) == 13
    assert film.pictures[0].shape == (512, 512, 3)
    assert np.any(film.pictures[0] != film.pictures[-1])


@pytest.mark.sim
@pytest.mark.parametrize("name", ["PushCube-v1", "PickCube-v1@pd_joint_delta_pos"])
def test_without_a_device_a_line_says_what_to_install(name):
    """Simulation works without Vulkan; films do not."""
    if render_device():
        pytest.skip("there is a Vulkan device to draw with")
    task = get_task(name)
    with pytest.raises(ResourceError, match=r"no Vulkan device.*mesa-vulkan-drivers"):
        task.filmed(task)
