"""What the scripted experts share: gates, cones, distances and actions.

An expert is a memoryless, deterministic function of one raw observation ``(obs_dim,)`` that
returns an action ``(act_dim,)`` float32 in [-1, 1]. For ``pd_ee_delta_pos`` its first three
numbers displace the gripper's centre point (tcp) along the world's axes, 1 meaning 0.1 m, and the
last opens (+1) or squeezes (-1) the fingers; ``pd_ee_delta_pose`` has three numbers more, between
them, that turn the gripper. Phases of a movement blend into each other through logistic gates
instead of switching, because a smooth function is easier to clone.

Reach: the simulator solves inverse kinematics for the commanded point, and does not find a
solution beyond about 0.80 m from the robot's axis; the arm then stands still, for good. The
experts for tasks with objects that far out therefore slow down near the limit
(``outward_speed_limit``).
"""

import math
from collections.abc import Sequence

import numpy as np

Vector = Sequence[float]

BASE_X = -0.615  # m, the robot's axis; its y is 0
REACH = 0.795  # m from the axis, just inside what inverse kinematics can reach
GAIN = 10.0  # action per metre of error: the action that asks for exactly the error
OPEN, SQUEEZE = 1.0, -1.0


def gate(margin: float, softness: float) -> float:
    """Return a smooth "is positive": 0.5 at 0 and 0.73 at ``softness`` (logistic function)."""
    return 1.0 / (1.0 + math.exp(max(-40.0, min(40.0, -margin / softness))))


def between(low: float, value: float, high: float, softness: float) -> float:
    """Return a smooth "lies between"."""
    return gate(value - low, softness) * gate(high - value, softness)


def either(first: float, second: float) -> float:
    """Return the smooth "or" of two gates."""
    return 1.0 - (1.0 - first) * (1.0 - second)


def blend(share: float, without: float, with_: float) -> float:
    """Go from ``without`` (share 0) to ``with_`` (share 1)."""
    return (1.0 - share) * without + share * with_


def mix(share: float, without: Vector, with_: Vector) -> list[float]:
    """Blend two vectors, number by number."""
    return [blend(share, *pair) for pair in zip(without, with_, strict=True)]


def clip(value: float, limit: float = 1.0) -> float:
    """Limit ``value`` to within plus or minus ``limit``."""
    return max(-limit, min(limit, value))


def point(observation: np.ndarray, start: int) -> list[float]:
    """Return the position (m) that begins at a place of an observation."""
    return observation[start : start + 3].tolist()


def difference(end: Vector, start: Vector) -> list[float]:
    """Return the vector from ``start`` to ``end``."""
    return [far - near for far, near in zip(end, start, strict=True)]


def finger_width(observation: np.ndarray) -> float:
    """Return how far a finger is from the middle (m): 0.04 when open, 0 when they meet."""
    return 0.5 * (observation[7].item() + observation[8].item())


def forward_axis(quaternion: Vector) -> list[float]:
    """Return where the x axis of a body points in the world; quaternions are scalar first."""
    w, x, y, z = quaternion
    return [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + z * w), 2.0 * (x * z - y * w)]


def near(offset: Vector, sideways: float, upwards: float) -> float:
    """Return a smooth "the offset is short": at most so much sideways and up or down (m)."""
    distance = math.hypot(offset[0], offset[1])
    return gate(sideways - distance, 0.002) * gate(upwards - abs(offset[2]), 0.002)


def come_down(offset: Vector, tip: float, hover: float = 0.0) -> list[float]:
    """Return the displacement that comes down on a point inside a cone.

    Args:
        offset: From the tcp to the point (m).
        tip: How far off sideways (m) the cone still has its lowest height.
        hover: That height above the point (m).
    """
    distance = math.hypot(offset[0], offset[1])
    height = min(0.08, hover + 3.0 * max(0.0, distance - tip))
    return [offset[0], offset[1], offset[2] + height]


def outward_speed_limit(x: float, y: float, reach: float = REACH) -> float:
    """Return the largest action that may point away from the robot's axis at ``(x, y)``."""
    return max(0.03, 9.5 * (reach - math.hypot(x - BASE_X, y)))


def displace(displacement: Vector, finger_opening: float) -> np.ndarray:
    """Return the action that moves by ``displacement`` (m), shortened to fit its direction."""
    longest = max(1.0, GAIN * max(map(abs, displacement)))
    return np.array([GAIN * part / longest for part in displacement] + [finger_opening], np.float32)


def keep_within_reach(action: np.ndarray, x: float, y: float, reach: float = REACH) -> np.ndarray:
    """Shorten the part of an action that points away from the robot's axis near its limit.

    Args:
        action: Is changed.
        x: Where the tcp is (m), in the world.
        y: The same.
        reach: The limit (m). A gripper that turns while it moves reaches less far.
    """
    radius = math.hypot(x - BASE_X, y)
    direction = ((x - BASE_X) / radius, y / radius)
    outward = float(action[0]) * direction[0] + float(action[1]) * direction[1]
    excess = max(0.0, outward - outward_speed_limit(x, y, reach))
    action[0] -= excess * direction[0]
    action[1] -= excess * direction[1]
    return action.clip(-1.0, 1.0)
