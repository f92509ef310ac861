"""What the observers of tasks share: the robot, and whether an object lies still."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nnit.tasks.poses import F32, norm
from nnit.tasks.task import Observed

Observe = Callable[[], Observed]

GRASP_MIN_FORCE = F32(0.5)  # N
GRASP_MAX_ANGLE = F32(85.0)  # degrees
ROBOT_STATIC_SPEED = F32(0.2)  # rad/s


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


def is_at_rest(body: Any) -> bool:  # noqa: ANN401
    """Return whether an object hardly moves (0.01 m/s) and hardly turns (0.5 rad/s)."""
    slow = norm(body.linear_velocity) <= F32(1e-2)
    return bool(slow and norm(body.angular_velocity) <= F32(0.5))
