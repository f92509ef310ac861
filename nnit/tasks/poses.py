"""Rotations and poses in numpy float32, rounded as ManiSkill's algebra on torch tensors rounds.

Quaternions are scalar first. Operations keep ManiSkill's order, so that results are equal to the
bit; they work on sequences of four or three ``np.float32``, which for single poses is faster than
on arrays.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

F32 = np.float32
Numbers = Sequence[np.float32] | np.ndarray


class Pose(NamedTuple):
    """A place in the world or in another frame."""

    position: Numbers  # (3,) m
    quaternion: Numbers  # (4,)


def norm(vector: np.ndarray) -> np.float32:
    """Return the Euclidean norm as torch computes it: float32, fused multiply-add in order.

    The product of two float32 is exact in Python's double precision, so that one rounding per
    element is left, as in a fused multiply-add.
    """
    total = 0.0
    for element in vector.tolist():
        total = F32(element * element + total).item()
    return np.sqrt(F32(total))


def multiply(first: Numbers, second: Numbers) -> Numbers:
    """Return the product of two quaternions."""
    a, b, c, d = first
    w, x, y, z = second
    return (
        a * w - b * x - c * y - d * z,
        a * x + b * w + c * z - d * y,
        a * y - b * z + c * w + d * x,
        a * z + b * y - c * x + d * w,
    )


def standard(quaternion: Numbers) -> Numbers:
    """Return the same rotation with a real part that is not negative."""
    return [-part for part in quaternion] if quaternion[0] < 0 else quaternion


def conjugate(quaternion: Numbers) -> Numbers:
    """Return the inverse rotation of a unit quaternion."""
    w, x, y, z = quaternion
    return w, -x, -y, -z


def turn(quaternion: Numbers, vector: Numbers) -> Numbers:
    """Rotate a vector ``(3,)``."""
    turned = multiply(multiply(quaternion, (F32(0), *vector)), conjugate(quaternion))
    return turned[1:]


def compose(outer: Pose, inner: Pose) -> Pose:
    """Return a pose given in the frame of another in that one's own frame."""
    turned = turn(outer.quaternion, inner.position)
    position = [start + part for start, part in zip(outer.position, turned, strict=True)]
    return Pose(position, standard(multiply(outer.quaternion, inner.quaternion)))


def invert(pose: Pose) -> Pose:
    """Return the pose that composes with this one to the identity."""
    back = conjugate(pose.quaternion)
    return Pose(turn(back, [-part for part in pose.position]), back)


def third_euler_angle(quaternion: np.ndarray) -> float:
    """Return the rotation about z (rad, a float32), the last of the angles X, Y, Z.

    torch's arc tangent is not rounded as numpy's is, and therefore asked for itself.
    """
    import torch

    r, i, j, k = quaternion
    scale = F32(2) / (quaternion * quaternion).sum()
    sine, cosine = -(scale * (i * j - k * r)), F32(1) - scale * (j * j + k * k)
    return torch.atan2(*torch.from_numpy(np.array([[sine], [cosine]], F32))).item()


def euler_quaternion(angles: np.ndarray) -> Numbers:
    """Return the quaternion of small rotations ``(3,)`` float32 (rad) about X, then Y, then Z.

    Of the four ways to read a quaternion from a rotation matrix this is the one that ManiSkill
    takes where the angle is below some 90 degrees. torch's sine, cosine and square root are not
    rounded as numpy's are, and therefore asked for themselves.
    """
    import torch

    tensor = torch.from_numpy(angles)
    (sx, sy, sz), (cx, cy, cz) = torch.sin(tensor).numpy(), torch.cos(tensor).numpy()
    m10, m11 = sx * sy * cz + cx * sz, cx * cz - sx * sy * sz
    m20, m21 = sx * sz - cx * sy * cz, cx * sy * sz + sx * cz
    four_squares = np.array([cy * cz + F32(1) + m11 + cx * cy])
    twice_real = torch.sqrt(torch.from_numpy(four_squares)).numpy()[0]
    divisor = F32(2) * twice_real
    return (
        twice_real * twice_real / divisor,
        (m21 + sx * cy) / divisor,
        (sy - m20) / divisor,
        (m10 + cy * sz) / divisor,
    )
