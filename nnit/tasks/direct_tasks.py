"""Observation and success of each task, read straight from the physics engine.

Each function binds the objects of one built scene and returns ``observe``, which gives the same
float32 observation and the same success flag as ManiSkill's ``get_obs`` and ``evaluate``, without
their batches of one. Arithmetic follows ManiSkill's operation for operation: thresholds are
compared in float32 and norms accumulate as torch's do.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nnit.tasks.task import Observed, Task

F32 = np.float32
GRASP_MIN_FORCE = F32(0.5)  # N
GRASP_MAX_ANGLE = F32(85.0)  # degrees
ROBOT_STATIC_SPEED = F32(0.2)  # rad/s


Observe = Callable[[], Observed]


def norm(vector: np.ndarray) -> np.float32:
    """Return the Euclidean norm as torch computes it: float32, fused multiply-add in order.

    The product of two float32 is exact in Python's double precision, so that one rounding per
    element is left, as in a fused multiply-add.
    """
    total = 0.0
    for element in vector.tolist():
        total = F32(element * element + total).item()
    return np.sqrt(F32(total))


class Robot:
    """The Panda of one scene: joints, tool centre point and grasp."""

    def __init__(self, environment: Any) -> None:  # noqa: ANN401 - mani_skill is not typed
        agent = environment.agent
        self._articulation = agent.robot._objs[0]
        self._tcp = agent.tcp._objs[0]
        self._physics = environment.scene.px
        self._timestep = F32(self._physics.timestep)
        fingers = (agent.finger1_link, agent.finger2_link)
        self._finger_links = [finger._objs[0] for finger in fingers]
        self._finger_entities = [finger._bodies[0].entity for finger in fingers]

    def joints(self) -> tuple[np.ndarray, np.ndarray]:
        """Return joint positions ``(9,)`` and velocities ``(9,)``, the fingers last."""
        return self._articulation.qpos, self._articulation.qvel

    def tcp(self) -> tuple[np.ndarray, np.ndarray]:
        """Return position ``(3,)`` and quaternion ``(4,)``, scalar first, of the tcp."""
        pose = self._tcp.entity_pose
        return pose.p, pose.q

    def is_static(self, velocities: np.ndarray) -> bool:
        """Return whether the arm (the joints without the fingers) stands still."""
        return bool(np.abs(velocities[:-2]).max() <= ROBOT_STATIC_SPEED)

    def is_grasping(self, entity: Any) -> bool:  # noqa: ANN401
        """Return whether both fingers press on an object, roughly along their closing axis."""
        impulses = self._finger_impulses(entity)
        if impulses is None:
            return False
        for impulse, link, sign in zip(impulses, self._finger_links, (1, -1), strict=True):
            force = impulse.astype(F32) / self._timestep
            strength = norm(force)
            if strength < GRASP_MIN_FORCE:
                return False
            axis = sign * closing_axis(link.entity_pose.q)
            cosine = np.clip(axis @ (force * (1 / strength)), F32(-1), F32(1))
            if np.rad2deg(np.arccos(cosine)) > GRASP_MAX_ANGLE:
                return False
        return True

    def _finger_impulses(self, entity: Any) -> list[np.ndarray] | None:  # noqa: ANN401
        """Sum each finger's contact impulses on ``entity``; None unless both touch it."""
        totals: list[np.ndarray | None] = [None, None]
        for contact in self._physics.get_contacts():
            first, second = (body.entity for body in contact.bodies)
            if second == entity:
                finger, sign = first, 1
            elif first == entity:
                finger, sign = second, -1
            else:
                continue
            if finger not in self._finger_entities:
                continue
            side = self._finger_entities.index(finger)
            impulse = sign * np.sum([point.impulse for point in contact.points], axis=0)
            total = totals[side]
            totals[side] = np.zeros(3) + impulse if total is None else total + impulse
        left, right = totals
        return None if left is None or right is None else [left, right]


def closing_axis(quaternion: np.ndarray) -> np.ndarray:
    """Return the y axis ``(3,)`` of a frame given by a quaternion, scalar first."""
    r, i, j, k = quaternion
    scale = F32(2) / (quaternion * quaternion).sum()
    return np.array(
        [scale * (i * j - k * r), F32(1) - scale * (i * i + k * k), scale * (j * k + i * r)], F32
    )


def observe_push_cube(environment: Any) -> Observe:  # noqa: ANN401
    """PushCube: the cube's centre lies in the goal's circle and on the table."""
    robot, cube, goal = (
        Robot(environment),
        environment.obj._objs[0],
        environment.goal_region._objs[0],
    )
    radius, height = F32(environment.goal_radius), F32(environment.cube_half_size + 5e-3)

    def observe() -> Observed:
        cube_pose, goal_position = cube.pose, goal.pose.p
        position = cube_pose.p
        success = norm(position[:2] - goal_position[:2]) < radius and position[2] < height
        parts = (*robot.joints(), *robot.tcp(), goal_position, position, cube_pose.q)
        return Observed(np.concatenate(parts), bool(success))

    return observe


def observe_pick_cube(environment: Any) -> Observe:  # noqa: ANN401
    """PickCube: the cube is at the goal and the arm stands still."""
    robot, cube, goal = (
        Robot(environment),
        environment.cube._objs[0],
        environment.goal_site._objs[0],
    )
    threshold = F32(environment.goal_thresh)

    def observe() -> Observed:
        cube_pose, goal_position = cube.pose, goal.pose.p
        position = cube_pose.p
        positions, velocities = robot.joints()
        tcp_position, tcp_quaternion = robot.tcp()
        to_goal = goal_position - position
        grasped = np.array([robot.is_grasping(cube)], F32)
        success = norm(to_goal) <= threshold and robot.is_static(velocities)
        parts = (
            *(positions, velocities, grasped, tcp_position, tcp_quaternion, goal_position),
            *(position, cube_pose.q, position - tcp_position, to_goal),
        )
        return Observed(np.concatenate(parts), bool(success))

    return observe


def observe_stack_cube(environment: Any) -> Observe:  # noqa: ANN401
    """StackCube: cube A lies still on cube B and is not held."""
    robot = Robot(environment)
    cube_a, cube_b = environment.cubeA._objs[0], environment.cubeB._objs[0]
    body_a = environment.cubeA._bodies[0]
    half_size = environment.cube_half_size.numpy()
    max_offset, level = norm(half_size[:2]) + F32(0.005), half_size[2] * F32(2)

    def observe() -> Observed:
        pose_a, pose_b = cube_a.pose, cube_b.pose
        a, b = pose_a.p, pose_b.p
        tcp_position, tcp_quaternion = robot.tcp()
        offset = a - b
        success = (
            norm(offset[:2]) <= max_offset
            and abs(offset[2] - level) <= F32(0.005)
            and norm(body_a.linear_velocity) <= F32(1e-2)
            and norm(body_a.angular_velocity) <= F32(0.5)
            and not robot.is_grasping(cube_a)
        )
        parts = (
            *(*robot.joints(), tcp_position, tcp_quaternion, a, pose_a.q, b, pose_b.q),
            *(a - tcp_position, b - tcp_position, b - a),
        )
        return Observed(np.concatenate(parts), bool(success))

    return observe


_OBSERVERS: dict[str, Callable[[Any], Observe]] = {
    "PushCube-v1": observe_push_cube,
    "PickCube-v1": observe_pick_cube,
    "StackCube-v1": observe_stack_cube,
}


def bind_observer(task: Task, environment: Any) -> Observe:  # noqa: ANN401
    """Return ``observe`` for the scene that is now built in an unwrapped environment."""
    return _OBSERVERS[task.task_id](environment)
