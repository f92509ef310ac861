"""Scripted experts that push, pull, pick up, stack and place cubes, and a sphere."""

import math

import numpy as np

from nnit.tasks.expert_control import (
    GAIN,
    OPEN,
    SQUEEZE,
    Vector,
    blend,
    clip,
    come_down,
    difference,
    displace,
    either,
    finger_width,
    gate,
    keep_within_reach,
    mix,
    near,
    outward_speed_limit,
    point,
)


def push_cube(observation: np.ndarray) -> np.ndarray:
    """Come down behind the cube with closed fingers and push it along x into the goal."""
    x, y = observation[18:20].tolist()
    return _slide_cube(observation, -1.0, 0.65, outward_speed_limit(x, y))


def pull_cube(observation: np.ndarray) -> np.ndarray:
    """Come down on the far side of the cube and draw it along x into the goal."""
    return _slide_cube(observation, 1.0, 0.35, 1.0)


def _slide_cube(
    observation: np.ndarray, side: float, sliding_speed: float, speed_limit: float
) -> np.ndarray:
    """Slide the cube from its side of lower (-1) or higher (+1) x; speeds are actions."""
    x, y, z = point(observation, 18)
    goal_x = observation[25].item()
    cube_x, cube_y = observation[28:30].tolist()
    gap = side * (x - cube_x)

    lowered = gate(0.055 - z, 0.006)
    behind = gate(gap - 0.05, 0.006) * gate(0.03 - abs(y - cube_y), 0.005)
    down = either(behind, lowered * gate(gap - 0.015, 0.004))

    target_x = blend(lowered, cube_x + side * 0.075, goal_x + side * 0.05)
    target_z = blend(down, 0.10, 0.02)
    speed = min(blend(lowered, 1.0, sliding_speed), speed_limit)
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


def place_sphere(observation: np.ndarray) -> np.ndarray:
    """Grasp the sphere, lift it over the bin, set it down, let go and rise."""
    tcp, bin_, sphere = (point(observation, start) for start in (19, 26, 29))
    width = finger_width(observation)
    to_grasp, to_bin = difference(sphere, tcp), difference(bin_, sphere)
    to_grasp[2] += 0.004  # above the sphere's middle the fingers stay clear of the bin's edge
    distance = math.hypot(to_bin[0], to_bin[1])
    level = sphere[2] - bin_[2]  # 0.0225 in the bin

    placed = gate(0.009 - distance, 0.001) * gate(0.034 - level, 0.0015)
    close = near(to_grasp, 0.016, 0.016) * (1.0 - placed)
    held = gate(0.026 - width, 0.001) * near(to_grasp, 0.02, 0.022)

    approach = come_down(to_grasp, 0.01)
    carry = _carry_into(to_bin, distance, level)
    rise = (0.0, 0.0, (0.15 - tcp[2]) * gate(width - 0.026, 0.001))
    displacement = mix(placed, mix(held, approach, carry), rise)
    action = displace(displacement, blend(close, OPEN, SQUEEZE))
    return keep_within_reach(action, tcp[0], tcp[1])


def _carry_into(to_bin: Vector, distance: float, level: float) -> Vector:
    """Climb first, go sideways above the bin's edge, and come down into it inside a cone."""
    height = 0.031 + min(0.045, 2.0 * max(0.0, distance - 0.004))
    far, inside = gate(distance - 0.09, 0.01), gate(0.02 - distance, 0.003)
    clear = gate(level - 0.045 + 0.035 * far + 0.03 * inside, 0.003)
    return to_bin[0] * clear, to_bin[1] * clear, height - level
