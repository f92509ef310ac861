"""Scripted experts that take hold of a peg or a hooked tool and do something with it."""

import math

import numpy as np

from nnit.tasks.expert_control import (
    BASE_X,
    GAIN,
    OPEN,
    REACH,
    SQUEEZE,
    Vector,
    between,
    blend,
    clip,
    come_down,
    difference,
    displace,
    either,
    finger_width,
    forward_axis,
    gate,
    keep_within_reach,
    mix,
    near,
    point,
)

PEG_HALF_LENGTH, PEG_HALF_WIDTH = 0.12, 0.025  # m, in LiftPegUpright and PokeCube
PEG_GRIP = 0.085  # m from the peg's middle
UPRIGHT = math.pi / 2
TURNING_REACH = 0.775  # m from the robot's axis, for a gripper that turns while it moves


def along(start: Vector, axis: Vector, distance: float) -> list[float]:
    """Return the point that lies so far (m) from ``start`` along an axis."""
    return [part + distance * direction for part, direction in zip(start, axis, strict=True)]


def lift_peg_upright(observation: np.ndarray) -> np.ndarray:
    """Grip the peg lightly near its head and lead that on an arc about the peg's foot.

    The gripper does not turn, so the peg has to turn between its fingers: a firm grip does not let
    it, and a looser one loses it.
    """
    tcp, peg = point(observation, 18), point(observation, 25)
    axis = forward_axis(observation[28:32].tolist())
    tilt = math.atan2(axis[2], math.hypot(axis[0], axis[1]))  # rad; 0 lying on the table
    to_grip = difference(along(peg, axis, PEG_GRIP), tcp)

    close = either(near(to_grip, 0.02, 0.02), gate(tilt - 0.1, 0.02))
    held = gate(0.0275 - finger_width(observation), 0.0005) * close
    upright = gate(tilt - 1.47, 0.015)

    raise_ = difference(_on_the_arc(peg, axis, tilt), tcp)
    moving = mix(held, come_down(to_grip, 0.01), raise_)
    light_grip = blend(close, OPEN, 0.22)
    action = displace(mix(upright, moving, (0.0, 0.0, 0.0)), blend(upright, light_grip, OPEN))
    return keep_within_reach(action, tcp[0], tcp[1])


def _on_the_arc(peg: Vector, axis: Vector, tilt: float) -> Vector:
    """Return where the grip shall be next, 0.35 rad ahead on the arc about the peg's foot."""
    foot = along(peg, axis, -PEG_HALF_LENGTH)
    ahead = min(tilt + 0.35, UPRIGHT + 0.05)
    length = PEG_HALF_LENGTH + PEG_GRIP
    height = PEG_HALF_WIDTH * math.cos(tilt) + length * math.sin(ahead)
    return foot[0] + length * math.cos(ahead), peg[1], height


def poke_cube(observation: np.ndarray) -> np.ndarray:
    """Grasp the peg near its tail, bring it in line with the cube, and push that to the goal."""
    tcp, cube, peg = (point(observation, start) for start in (18, 25, 32))
    goal_x = cube[0] + observation[48].item()
    axis = forward_axis(observation[35:39].tolist())
    to_grasp = difference(along(peg, axis, -PEG_GRIP), tcp)
    around, held = _grasp_of_handle(observation, to_grasp)

    head_x = peg[0] + PEG_HALF_LENGTH
    to_line = cube[1] - peg[1]
    in_line = gate(0.012 - abs(to_line), 0.002)
    stand_off = min(0.0, cube[0] - 0.05 - head_x)
    forward = blend(in_line, stand_off, goal_x - 0.038 - head_x)
    poke = (clip(forward, 0.05), to_line, 0.027 - tcp[2])

    displacement = mix(held, come_down(to_grasp, 0.01), poke)
    action = displace(displacement, blend(max(around, held), OPEN, SQUEEZE))
    return keep_within_reach(action, tcp[0], tcp[1])


def _grasp_of_handle(observation: np.ndarray, to_grasp: Vector) -> tuple[float, float]:
    """Return gates for "the fingers are around the handle" and "they hold it"."""
    around = near(to_grasp, 0.02, 0.02)
    return around, gate(0.0275 - finger_width(observation), 0.0005) * near(to_grasp, 0.03, 0.025)


def pull_cube_with_tool(observation: np.ndarray) -> np.ndarray:
    """Grasp the tool's handle, lay its hook behind the cube, and draw both to the robot.

    The nearer to its hook the handle is grasped, the less the tool droops out of the grip. The
    arm cannot reach the farthest cubes then: for these it is grasped nearer to its other end.
    """
    tcp, cube, tool = (point(observation, start) for start in (18, 25, 32))
    axis = forward_axis(observation[35:39].tolist())
    far = _is_far(cube)
    to_grasp = difference(along(tool, axis, blend(far, 0.035, 0.025)), tcp)
    around, held = _grasp_of_handle(observation, to_grasp)

    hook_z = tool[2] + 0.19 * axis[2]  # the hook droops while the tool is lifted
    in_tool = difference(cube, tool)
    hooked = _is_hooked(in_tool[0], in_tool[1]) * gate(0.045 - hook_z, 0.003)
    reach_over = _reach_over(in_tool, blend(far, 0.07, 0.062), hook_z, hooked)
    draw = (clip(-0.08 - cube[0], 0.05), 0.0, 0.026 - tcp[2])

    displacement = mix(held, come_down(to_grasp, 0.01), mix(hooked, reach_over, draw))
    action = displace(displacement, blend(max(around, held), OPEN, SQUEEZE))
    return keep_within_reach(action, tcp[0], tcp[1])


def _is_far(cube: Vector) -> float:
    """Return a smooth "the arm would be stretched out" with the tool's hook behind the cube."""
    return gate(math.hypot(cube[0] - 0.087 - BASE_X, cube[1] - 0.07) - REACH, 0.002)


def _is_hooked(x: float, y: float) -> float:
    """Return a smooth "the cube lies in the tool's hook", seen from the tool's origin (m).

    The hook's inner face is at x = 0.15 and spans y from the handle's side, 0.025, to 0.10.
    """
    along_handle = gate(0.138 - x, 0.002) * gate(x - 0.04, 0.005)
    return along_handle * between(0.028, y, 0.11, 0.003)


def _reach_over(cube: Vector, beside: float, hook_z: float, hooked: float) -> Vector:
    """Carry the tool over the cube, high above the table, and lower it where the hook fits.

    The cube, as seen from the tool, is to be so far ``beside`` the handle's middle (m). Hook and
    handle just clear it then, even turned by 30 degrees.
    """
    x, y = cube[0] - 0.122, cube[1] - beside
    clear = gate(hook_z - 0.072, 0.003)
    fits = gate(0.012 - abs(x), 0.002) * gate(0.014 - abs(y), 0.002)
    height = blend(max(hooked, fits), 0.085, 0.025)
    return x * clear, y * clear, clip(height - hook_z, 0.05)


def insert_peg(observation: np.ndarray) -> np.ndarray:
    """Grasp the peg behind its middle, align it before the hole, and push it in.

    The action is one of ``pd_ee_delta_pose``, ``(7,)``.
    """
    tcp, peg = (np.array(point(observation, start)) for start in (18, 25))
    gripper, peg_frame = (rotation_matrix(observation[start : start + 4]) for start in (21, 28))
    half_length, half_width = observation[32:34].tolist()
    axis = peg_frame[:, 0]
    to_grasp = (peg - max(0.05, half_length / 2 + 0.01) * axis - tcp).tolist()

    turn = _turn_to(gripper, axis)
    turned = gate(0.12 - abs(turn[2]), 0.02)
    around = near(to_grasp, 0.015, 0.015) * turned
    gripped = gate(half_width + 0.0025 - finger_width(observation), 0.0004)
    held = gripped * near(to_grasp, 0.04, 0.025)  # also where the peg slipped a little

    approach = come_down(to_grasp, 0.01, hover=0.06 * (1.0 - turned))
    insert, align = _towards_hole(observation, peg + half_length * axis, peg_frame, half_length)
    displacement = mix(held, approach, insert)
    action = displace(displacement, blend(max(around, held), OPEN, SQUEEZE))
    moved = keep_within_reach(action, tcp[0].item(), tcp[1].item(), TURNING_REACH)
    return np.array([*moved[:3], *rotate(mix(held, turn, align)), moved[3]], np.float32)


def _turn_to(gripper: np.ndarray, axis: np.ndarray) -> list[float]:
    """Return the rotation (vector, rad) to a vertical gripper with its x axis along the peg."""
    x, z = gripper[:, 0], gripper[:, 2]
    yaw = math.atan2(x[0] * axis[1] - x[1] * axis[0], x[0] * axis[0] + x[1] * axis[1])
    return [-z[1].item(), z[0].item(), yaw]  # z is to point down: the cross product with (0, 0, -1)


def _towards_hole(
    observation: np.ndarray, head: np.ndarray, peg_frame: np.ndarray, half_length: float
) -> tuple[list[float], list[float]]:
    """Return displacement (m) and rotation (vector, rad) of a held peg.

    Its head waits 30 mm before the hole until it is within 4 mm and 0.04 rad of the hole's axis.
    """
    hole, frame = np.array(point(observation, 35)), rotation_matrix(observation[38:42])
    depth, right, up = (frame.T @ (head - hole)).tolist()  # depth 0: the middle of the box
    align = rotation_vector(frame @ peg_frame.T)
    off_axis, angle = math.hypot(right, up), math.hypot(*align)

    aligned = gate(0.004 - off_axis, 0.0006) * gate(0.04 - angle, 0.004)
    inside = gate(depth + half_length + 0.002, 0.002)
    advance = blend(max(aligned, inside), -half_length - 0.03 - depth, min(0.04, -depth))
    # 2.5 mm upwards make up for how much the arm sags under the peg
    return (frame @ [advance, -1.5 * right, -1.5 * up + 0.0025]).tolist(), align


def rotate(rotation: Vector) -> list[float]:
    """Return the numbers of an action that rotate by a vector (rad, in the world's axes).

    ManiSkill scales them by its lower bound, -0.1 rad, so that their sign is turned round.
    """
    longest = max(1.0, GAIN * math.hypot(*rotation))
    return [-GAIN * part / longest for part in rotation]


def rotation_matrix(quaternion: np.ndarray) -> np.ndarray:
    """Return the matrix ``(3, 3)`` of a unit quaternion, scalar first."""
    w, x, y, z = quaternion.tolist()
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def rotation_vector(matrix: np.ndarray) -> list[float]:
    """Return the rotation of a matrix ``(3, 3)`` as its axis times its angle (rad)."""
    axis = [
        0.5 * (matrix[2, 1] - matrix[1, 2]).item(),
        0.5 * (matrix[0, 2] - matrix[2, 0]).item(),
        0.5 * (matrix[1, 0] - matrix[0, 1]).item(),
    ]
    sine, cosine = math.hypot(*axis), 0.5 * (np.trace(matrix).item() - 1)
    scale = math.atan2(sine, cosine) / sine if sine > 1e-9 else 1.0
    return [scale * part for part in axis]
