"""Observation and success of tasks with a peg or a tool.

Each function binds the objects of one built scene and returns ``observe``; see ``direct_tasks``.
"""

from typing import Any

import numpy as np

from nnit.tasks.direct_robot import Observe, Robot
from nnit.tasks.poses import F32, Pose, compose, invert, norm, third_euler_angle
from nnit.tasks.task import Observed


def observe_lift_peg_upright(environment: Any) -> Observe:  # noqa: ANN401 - mani_skill is not typed
    """LiftPegUpright: the peg stands on the table, on either end."""
    robot, peg = Robot(environment), environment.peg._objs[0]
    half_length = F32(environment.peg_half_length)

    def observe() -> Observed:
        pose = peg.pose
        position, quaternion = pose.p, pose.q
        success = abs(position[2] - half_length) < F32(0.005) and is_upright(quaternion)
        parts = (*robot.joints(), *robot.tcp(), position, quaternion)
        return Observed(np.concatenate(parts), bool(success))

    return observe


def is_upright(quaternion: np.ndarray) -> bool:
    """Return whether a peg that lies along x when unturned is within 0.08 rad of upright.

    ManiSkill's peg begins turned by 90 degrees about x, so that its pitch is the angle about z.
    """
    angle = abs(third_euler_angle(quaternion))
    return bool(abs(angle - F32(np.pi / 2)) < F32(0.08))


def observe_poke_cube(environment: Any) -> Observe:  # noqa: ANN401
    """PokeCube: the cube's centre lies in the goal's circle and the arm stands still.

    What ManiSkill calls the goal's position in the observation is the peg's.
    """
    robot, cube, peg, goal = (
        Robot(environment),
        environment.cube._objs[0],
        environment.peg._objs[0],
        environment.goal_region._objs[0],
    )
    radius = F32(environment.goal_radius)
    to_head = environment.peg_head_offsets.p[0].numpy()

    def observe() -> Observed:
        cube_pose, peg_pose, goal_position = cube.pose, peg.pose, goal.pose.p
        at_cube, at_peg = cube_pose.p, peg_pose.p
        positions, velocities = robot.joints()
        tcp_position, tcp_quaternion = robot.tcp()
        success = norm(at_cube[:2] - goal_position[:2]) < radius and robot.is_static(velocities)
        parts = (
            *(positions, velocities, tcp_position, tcp_quaternion),
            *(at_cube, cube_pose.q, at_peg, peg_pose.q, at_peg),
            *(at_peg - tcp_position, at_cube - at_peg, goal_position - at_cube),
            at_peg + to_head - at_cube,
        )
        return Observed(np.concatenate(parts), bool(success))

    return observe


def observe_pull_cube_tool(environment: Any) -> Observe:  # noqa: ANN401
    """PullCubeTool: the cube is within 0.6 m of the robot's base."""
    robot, cube, tool = (
        Robot(environment),
        environment.cube._objs[0],
        environment.l_shape_tool._objs[0],
    )
    base = environment.agent.robot.get_links()[0]._objs[0]

    def observe() -> Observed:
        cube_pose, tool_pose = cube.pose, tool.pose
        position = cube_pose.p
        success = norm(position[:2] - base.entity_pose.p[:2]) < F32(0.6)
        parts = (
            *(*robot.joints(), *robot.tcp()),
            *(position, cube_pose.q, tool_pose.p, tool_pose.q),
        )
        return Observed(np.concatenate(parts), bool(success))

    return observe


def observe_peg_insertion_side(environment: Any) -> Observe:  # noqa: ANN401
    """PegInsertionSide: the peg's head is in the hole, at most 15 mm before the box's middle."""
    robot, peg, box = (
        Robot(environment),
        environment.peg._objs[0],
        environment.box._objs[0],
    )
    half_size = environment.peg_half_sizes[0].numpy()
    radius = environment.box_hole_radii.numpy()
    in_box, in_peg = (
        Pose(*np.split(offset.raw_pose[0].numpy(), [3]))
        for offset in (environment.box_hole_offsets, environment.peg_head_offsets)
    )

    def observe() -> Observed:
        peg_pose, box_pose = peg.pose, box.pose
        position, quaternion = peg_pose.p, peg_pose.q
        head = compose(Pose(position, quaternion), in_peg)
        hole = compose(Pose(box_pose.p, box_pose.q), in_box)
        depth, right, up = compose(invert(hole), head).position
        success = depth >= F32(-0.015) and max(abs(right), abs(up)) <= radius[0]
        parts = (
            *(*robot.joints(), *robot.tcp(), position, quaternion, half_size),
            *(np.array([*hole.position, *hole.quaternion], F32), radius),
        )
        return Observed(np.concatenate(parts), bool(success))

    return observe
