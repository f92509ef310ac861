"""The pose algebra rounds as ManiSkill's on torch tensors does."""

import numpy as np
import pytest

from nnit.tasks.poses import Pose, compose, euler_quaternion, invert, third_euler_angle
from nnit.tasks.simulation import prepare_process

pytestmark = pytest.mark.sim

DRAWS = 200


@pytest.fixture
def rng():
    """Random numbers; ManiSkill is imported without its warnings."""
    prepare_process()
    return np.random.default_rng(0)


def _random_pose(rng):
    quaternion = rng.normal(size=4)
    quaternion /= np.linalg.norm(quaternion)
    return rng.normal(size=3).astype(np.float32), quaternion.astype(np.float32)


def test_products_and_inverses_equal_maniskills(rng):
    """Poses compose and invert to the same bits."""
    import torch
    from mani_skill.utils.structs import Pose as Reference

    for _ in range(DRAWS):
        one, other = _random_pose(rng), _random_pose(rng)
        a, b = (Reference.create_from_pq(*map(torch.from_numpy, pose)) for pose in (one, other))
        expected = (a.inv() * b).raw_pose[0].numpy()
        found = compose(invert(Pose(*one)), Pose(*other))
        assert np.array_equal([*found.position, *found.quaternion], expected)


def test_a_pose_and_its_inverse_cancel(rng):
    """Composed they are the identity, up to rounding."""
    for _ in range(DRAWS):
        pose = Pose(*_random_pose(rng))
        product = compose(pose, invert(pose))
        assert np.allclose(product.position, 0, atol=1e-5)
        assert np.allclose(product.quaternion, (1, 0, 0, 0), atol=1e-5)


def test_euler_angles_equal_maniskills(rng):
    """Angles become quaternions, and quaternions angles, of the same bits."""
    import torch
    from mani_skill.utils.geometry import rotation_conversions as reference

    for _ in range(DRAWS):
        angles = rng.uniform(-0.1, 0.1, 3).astype(np.float32)
        matrix = reference.euler_angles_to_matrix(torch.from_numpy(angles[None]), "XYZ")
        expected = reference.matrix_to_quaternion(matrix)[0].numpy()
        assert np.array_equal(euler_quaternion(angles), expected)

        _, quaternion = _random_pose(rng)
        matrix = reference.quaternion_to_matrix(torch.from_numpy(quaternion[None]))
        expected = reference.matrix_to_euler_angles(matrix, "XYZ")[0, 2].item()
        assert third_euler_angle(quaternion) == expected
