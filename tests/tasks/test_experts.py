"""What the scripted experts are made of."""

import numpy as np
import pytest

from nnit.tasks.expert_control import come_down, forward_axis, keep_within_reach
from nnit.tasks.tool_experts import rotate, rotation_matrix, rotation_vector


def test_rotation_vectors_undo_rotation_matrices():
    """The vector of a quaternion's matrix is the quaternion's axis times its angle."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        vector = rng.normal(size=3)
        angle = np.linalg.norm(vector)
        quaternion = np.array([np.cos(angle / 2), *(np.sin(angle / 2) * vector / angle)])
        if angle < np.pi:
            assert np.allclose(rotation_vector(rotation_matrix(quaternion)), vector)
        assert np.allclose(rotation_matrix(quaternion)[:, 0], forward_axis(quaternion.tolist()))


def test_no_rotation_is_no_action():
    """Nor is it a division by zero."""
    assert rotation_vector(np.eye(3)) == [0, 0, 0]
    assert np.abs(rotate([0.0, 0.0, 0.0])).max() == 0


@pytest.mark.parametrize("angle", [0.05, 0.1, 2.0])
def test_a_rotation_asks_for_at_most_a_tenth_of_a_radian(angle):
    """ManiSkill scales by -0.1 rad; what is more would be cut off anyway."""
    assert rotate([0.0, angle, 0.0]) == pytest.approx([0, -min(1.0, angle / 0.1), 0])


def test_coming_down_stays_above_until_it_is_near():
    """Far away the height is 80 mm, over the point 0 or what it is to hover at."""
    assert come_down((0.2, 0.0, 0.0), tip=0.01) == [0.2, 0.0, 0.08]
    assert come_down((0.005, 0.0, -0.01), tip=0.01) == [0.005, 0.0, -0.01]
    assert come_down((0.0, 0.0, 0.0), tip=0.01, hover=0.06)[2] == 0.06


def test_near_its_limit_an_arm_may_go_sideways_and_back_but_hardly_out():
    """The part of an action that points away from the robot's axis is shortened."""
    out = keep_within_reach(np.array([1.0, 0.5, 0.0, 1.0], np.float32), 0.179, 0.0)
    assert out == pytest.approx([0.03, 0.5, 0.0, 1.0])
    back = np.array([-1.0, 0.5, 0.0, 1.0], np.float32)
    assert keep_within_reach(back.copy(), 0.179, 0.0) == pytest.approx(back)


def test_a_gripper_that_turns_is_held_back_earlier():
    """The limit of reach is the caller's to say."""
    out = keep_within_reach(np.array([1.0, 0.0, 0.0], np.float32), 0.159, 0.0, reach=0.775)
    assert out == pytest.approx([0.03, 0.0, 0.0])
