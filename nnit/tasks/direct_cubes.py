"""Observation and success of tasks that push, pull, pick up, stack and place cubes, and a sphere.

Each function binds the objects of one built scene and returns ``observe``; see ``direct_tasks``.
"""

from typing import Any

import numpy as np

from nnit.tasks.direct_robot import Observe, Robot, is_at_rest
from nnit.tasks.poses import F32, norm
from nnit.tasks.task import Observed


def observe_push_cube(environment: Any) -> Observe:  # noqa: ANN401 - mani_skill is not typed
    """PushCube: the cube's centre lies in the goal's circle and on the table."""
    return _observe_sliding_cube(environment, F32(environment.cube_half_size + 5e-3))


def observe_pull_cube(environment: Any) -> Observe:  # noqa: ANN401
    """PullCube: the cube's centre lies in the goal's circle, at any height."""
    return _observe_sliding_cube(environment, F32(np.inf))


def _observe_sliding_cube(environment: Any, height: np.float32) -> Observe:  # noqa: ANN401
    robot, cube, goal = (
        Robot(environment),
        environment.obj._objs[0],
        environment.goal_region._objs[0],
    )
    radius = F32(environment.goal_radius)

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
            and is_at_rest(body_a)
            and not robot.is_grasping(cube_a)
        )
        parts = (
            *(*robot.joints(), tcp_position, tcp_quaternion, a, pose_a.q, b, pose_b.q),
            *(a - tcp_position, b - tcp_position, b - a),
        )
        return Observed(np.concatenate(parts), bool(success))

    return observe


def observe_place_sphere(environment: Any) -> Observe:  # noqa: ANN401
    """PlaceSphere: the sphere lies still in the middle of the bin and is not held."""
    robot, sphere, bin_ = (
        Robot(environment),
        environment.obj._objs[0],
        environment.bin._objs[0],
    )
    body = environment.obj._bodies[0]
    radius, floor = F32(environment.radius), F32(environment.block_half_size[0])

    def observe() -> Observed:
        sphere_pose, bin_position = sphere.pose, bin_.pose.p
        position = sphere_pose.p
        tcp_position, tcp_quaternion = robot.tcp()
        grasped = robot.is_grasping(sphere)
        offset = position - bin_position
        success = (
            norm(offset[:2]) <= F32(0.005)
            and abs(offset[2] - radius - floor) <= F32(0.005)
            and is_at_rest(body)
            and not grasped
        )
        parts = (
            *(*robot.joints(), np.array([grasped], F32), tcp_position, tcp_quaternion),
            *(bin_position, position, sphere_pose.q, position - tcp_position),
        )
        return Observed(np.concatenate(parts), bool(success))

    return observe
