"""ManiSkill's ``pd_ee_delta_pos`` and ``pd_ee_delta_pose`` for one robot, in numpy float32."""

from typing import Any

import numpy as np

from nnit.tasks.poses import F32, euler_quaternion, multiply, norm, standard
from nnit.tasks.task import Task

MAX_IK_ITERATIONS = 100  # as ManiSkill's


class DisplacementController:
    """Turns actions ``(4,)`` into joint targets as ManiSkill's controllers do, bit for bit.

    The arm's target is the present pose of the gripper, displaced in the frame of the robot's
    base; joint targets come from the same inverse kinematics (Pinocchio). Where that finds no
    solution the arm is told to hold its present joints.

    The robot's base must stand unrotated in the world. Of ManiSkill's pose algebra that leaves
    products with the real part of the base's quaternion, which is 1 only up to rounding, and
    may change when the engine normalises it on the first step.

    Raises:
        RuntimeError: the environment is not built as this controller assumes.
    """

    def __init__(self, environment: Any) -> None:  # noqa: ANN401 - mani_skill is not typed
        import sapien

        self._pose: Any = sapien.Pose  # whose stubs ask for numpy shapes that numpy does not know
        agent = environment.agent
        self._articulation = agent.robot._objs[0]
        arm, gripper = (agent.controller.controllers[part] for part in ("arm", "gripper"))
        _check_assumptions(arm, gripper)
        self._arm_middle, self._arm_half = (bound[:3] for bound in _scale(arm))
        self._finger_middle, self._finger_half = _scale(gripper)
        self._root_link = arm.root_link._objs[0]
        self._end_link = arm.ee_link._objs[0]
        self._arm_joints = [joint._objs[0] for joint in arm.joints]
        self._finger_joints = [joint._objs[0] for joint in gripper.joints]
        self._arm_indices = arm.active_joint_indices.numpy().astype(int)
        self._bind_kinematics(arm.kinematics)

    def _bind_kinematics(self, kinematics: Any) -> None:  # noqa: ANN401
        self._solve = kinematics.pmodel.compute_inverse_kinematics
        self._end_index = kinematics.end_link_idx
        self._solved_joints = kinematics.qmask.numpy()
        self._model_indices = kinematics.pmodel_active_joint_indices.numpy().astype(int)
        self._target_indices = kinematics.pmodel_controlled_joint_indices.numpy().astype(int)

    def apply(self, action: np.ndarray) -> None:
        """Set the drive targets of all joints for an action ``(act_dim,)`` float32."""
        clipped = np.minimum(np.maximum(action, F32(-1)), F32(1))
        displacement = self._arm_middle + self._arm_half * clipped[:3]
        position, quaternion = self._present_pose()
        self._drive_arm(displacement + position, self._turned(action, quaternion))
        opening = self._finger_middle + self._finger_half * clipped[-1:]
        for joint in self._finger_joints:
            joint.drive_target = opening

    def _present_pose(self) -> tuple[np.ndarray, np.ndarray]:
        root, present = self._root_link.entity_pose, self._end_link.entity_pose
        unit = root.q[0]
        quaternion = unit * present.q
        return (
            -root.p * unit * unit + present.p * unit * unit,
            -quaternion if quaternion[0] < 0 else quaternion,
        )

    def _turned(self, action: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
        del action  # only displaces
        return quaternion

    def _drive_arm(self, position: np.ndarray, quaternion: np.ndarray) -> None:
        target = self._pose(position, quaternion)
        joints = self._articulation.qpos
        solution, found, _ = self._solve(
            self._end_index,
            target,
            initial_qpos=joints[self._model_indices],
            active_qmask=self._solved_joints,
            max_iterations=MAX_IK_ITERATIONS,
        )
        targets = solution[self._target_indices].astype(F32) if found else joints[self._arm_indices]
        for index, joint in enumerate(self._arm_joints):
            joint.drive_target = targets[index : index + 1]


class PoseController(DisplacementController):
    """The same for actions ``(7,)`` that turn the gripper too, about the axes of the base.

    Numbers 3 to 5 are a rotation whose length is limited to 1. ManiSkill scales it by its lower
    bound, -0.1 rad, which turns its sign round.
    """

    def __init__(self, environment: Any) -> None:  # noqa: ANN401
        super().__init__(environment)
        arm = environment.agent.controller.controllers["arm"]
        if arm.config.frame != "root_translation:root_aligned_body_rotation":
            raise RuntimeError(f"direct simulation: unsupported frame {arm.config.frame}")
        self._rotation_scale = F32(arm.config.rot_lower)

    def _turned(self, action: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
        rotation = action[3:6]
        length = norm(rotation)
        if length > 1:
            rotation = rotation * (1 / length)
        delta = euler_quaternion(rotation * self._rotation_scale)
        return np.array(standard(multiply(delta, quaternion)), F32)


_CONTROLLERS = {"pd_ee_delta_pos": DisplacementController, "pd_ee_delta_pose": PoseController}


def bind_controller(task: Task, environment: Any) -> DisplacementController:  # noqa: ANN401
    """Return the controller for the scene that is now built in an unwrapped environment."""
    return _CONTROLLERS[task.control_mode](environment)


def _scale(controller: Any) -> tuple[np.ndarray, np.ndarray]:  # noqa: ANN401
    """Return middle and half of the range that actions in [-1, 1] are scaled to."""
    high, low = (
        np.asarray(bound, F32).reshape(-1)
        for bound in (controller.action_space_high, controller.action_space_low)
    )
    return F32(0.5) * (high + low), F32(0.5) * (high - low)


def _check_assumptions(arm: Any, gripper: Any) -> None:  # noqa: ANN401
    config = arm.config
    if not config.use_delta or config.use_target or config.interpolate or gripper.config.use_delta:
        raise RuntimeError(f"direct simulation: unsupported controller settings {config}")
    rotation = arm.root_link._objs[0].entity_pose.q
    if rotation[0] < 0 or rotation[1:].any():
        raise RuntimeError(f"direct simulation: the robot's base is rotated by {rotation}")
