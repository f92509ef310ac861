"""Scripted experts: the demonstrators that policies are cloned from.

An expert is a memoryless, deterministic function of one raw observation ``(obs_dim,)`` that
returns an action ``(4,)`` float32 in [-1, 1] for ``pd_ee_delta_pos``: the first three numbers
displace the gripper's centre point (tcp) along the world's axes, 1 meaning 0.1 m, and the last
opens (+1) or squeezes (-1) the fingers. Phases of a movement blend into each other through
logistic gates instead of switching, because a smooth function is easier to clone.

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


def either(first: float, second: float) -> float:
    """Return the smooth "or" of two gates."""
    return 1.0 - (1.0 - first) * (1.0 - second)


def blend(share: float, without: float, with_: float) -> float:
    """Go from ``without`` (share 0) to ``with_`` (share 1)."""
    return (1.0 - share) * without + share * with_


def clip(value: float, limit: float = 1.0) -> float:
    """Limit ``value`` to within plus or minus ``limit``."""
    return max(-limit, min(limit, value))


def outward_speed_limit(x: float, y: float) -> float:
    """Return the largest action that may point away from the robot's axis at ``(x, y)``."""
    return max(0.03, 9.5 * (REACH - math.hypot(x - BASE_X, y)))


def displace(displacement: Vector, finger_opening: float) -> np.ndarray:
    """Return the action that moves by ``displacement`` (m), shortened to fit its direction."""
    longest = max(1.0, GAIN * max(map(abs, displacement)))
    return np.array([GAIN * part / longest for part in displacement] + [finger_opening], np.float32)


def keep_within_reach(action: np.ndarray, x: float, y: float) -> np.ndarray:
    """Shorten the part of an action that points away from the robot's axis near its limit."""
    radius = math.hypot(x - BASE_X, y)
    direction = ((x - BASE_X) / radius, y / radius)
    outward = float(action[0]) * direction[0] + float(action[1]) * direction[1]
    excess = max(0.0, outward - outward_speed_limit(x, y))
    action[0] -= excess * direction[0]
    action[1] -= excess * direction[1]
    return action.clip(-1.0, 1.0)


def push_cube(observation: np.ndarray) -> np.ndarray:
    """Come down behind the cube with closed fingers and push it along x into the goal."""
    x, y, z = observation[18:21].tolist()
    goal_x = observation[25].item()
    cube_x, cube_y = observation[28:30].tolist()
    gap = cube_x - x

    lowered = gate(0.055 - z, 0.006)
    behind = gate(gap - 0.05, 0.006) * gate(0.03 - abs(y - cube_y), 0.005)
    down = either(behind, lowered * gate(gap - 0.015, 0.004))

    target_x = blend(lowered, cube_x - 0.075, goal_x - 0.05)
    target_z = blend(down, 0.10, 0.02)
    speed = min(blend(lowered, 1.0, 0.65), outward_speed_limit(x, y))
    return np.array(
        [
            clip(GAIN * (target_x - x), speed),
            clip(GAIN * (cube_y - y)),
            clip(GAIN * (target_z - z)),
            SQUEEZE,
        ],
        np.float32,
    )


def pick_cube(observation: np.ndarray) -> np.ndarray:
    """Come down on the cube inside a cone, squeeze, and carry it to the goal."""
    grasped = observation[18].item()
    tcp, goal, cube = (observation[start : start + 3].tolist() for start in (19, 26, 29))
    to_cube = [cube[axis] - tcp[axis] for axis in range(3)]
    to_goal = [goal[axis] - cube[axis] for axis in range(3)]

    distance = math.hypot(to_cube[0], to_cube[1])
    around = gate(0.018 - distance, 0.002) * gate(0.018 - abs(to_cube[2]), 0.002)
    height = min(0.08, 3.0 * max(0.0, distance - 0.012))
    approach = (to_cube[0], to_cube[1], to_cube[2] + height)
    displacement = [blend(grasped, approach[axis], to_goal[axis]) for axis in range(3)]
    return displace(displacement, blend(around, OPEN, SQUEEZE))


def stack_cube(observation: np.ndarray) -> np.ndarray:
    """Grasp cube A, lift it over cube B, set it down, let go and rise."""
    tcp, cube_a, cube_b = (observation[start : start + 3].tolist() for start in (18, 25, 32))
    finger_width = 0.5 * (observation[7].item() + observation[8].item())
    to_a = [cube_a[axis] - tcp[axis] for axis in range(3)]
    a_to_b = [cube_b[axis] - cube_a[axis] for axis in range(3)]
    distance, distance_b = math.hypot(to_a[0], to_a[1]), math.hypot(a_to_b[0], a_to_b[1])
    level = cube_a[2] - cube_b[2]  # 0 side by side on the table, 0.04 stacked

    stacked = (
        gate(0.018 - distance_b, 0.0015) * gate(0.0465 - level, 0.0006) * gate(level - 0.03, 0.002)
    )
    around = gate(0.018 - distance, 0.002) * gate(0.018 - abs(to_a[2]), 0.002)
    close = around * (1.0 - stacked)
    held = (
        gate(0.0335 - finger_width, 0.001)
        * gate(0.022 - distance, 0.002)
        * gate(0.022 - abs(to_a[2]), 0.002)
    )

    approach = _approach_beside(to_a, a_to_b, level)
    carry = _carry_over(a_to_b, distance_b, level)
    rise = (0.0, 0.0, (0.12 - (tcp[2] - cube_b[2])) * gate(finger_width - 0.034, 0.001))
    displacement = [
        blend(stacked, blend(held, approach[axis], carry[axis]), rise[axis]) for axis in range(3)
    ]
    action = displace(displacement, blend(close, OPEN, SQUEEZE))
    return keep_within_reach(action, tcp[0], tcp[1])


def _approach_beside(to_a: Vector, a_to_b: Vector, level: float) -> Vector:
    """Descend on cube A, up to 11 mm off centre where a finger would land on cube B.

    The fingers open along x, so only a near neighbour along x is in their way.
    """
    neighbour = (
        gate(0.085 - abs(a_to_b[0]), 0.004)
        * gate(0.05 - abs(a_to_b[1]), 0.004)
        * gate(0.03 - abs(level), 0.003)
    )
    x = to_a[0] - math.copysign(0.011, a_to_b[0]) * neighbour
    height = min(0.08, 3.0 * max(0.0, math.hypot(x, to_a[1]) - 0.01))
    return x, to_a[1], to_a[2] + height


def _carry_over(a_to_b: Vector, distance_b: float, level: float) -> Vector:
    """Climb first, go sideways once above cube B, and come down on it inside a cone."""
    height = 0.040 + min(0.04, 2.0 * max(0.0, distance_b - 0.006))
    far = gate(distance_b - 0.09, 0.01)
    clear = gate(level - 0.045 + 0.03 * far, 0.003)
    return a_to_b[0] * clear, a_to_b[1] * clear, height - level
