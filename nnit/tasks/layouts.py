"""What ManiSkill's tasks expect of a policy, so that it can be told without a simulator.

A test holds it to ManiSkill's own environments.
"""

from itertools import accumulate

from nnit.mlp import PolicyInterface
from nnit.policy_record import Part, Setting

CONTROL_FREQ = 20  # Hz
ROBOT = {"agent/qpos": 9, "agent/qvel": 9}
POSE, POSITION = 7, 3  # position and quaternion, scalar first; position alone
UNKNOWN = Setting()


def _setting(**extra: int) -> Setting:
    """Return the setting of a task whose state has the robot's joints, then these parts."""
    lengths = {**ROBOT, **{f"extra/{name}": length for name, length in extra.items()}}
    starts = accumulate(lengths.values(), initial=0)
    parts = zip(lengths, starts, lengths.values(), strict=False)
    return Setting(CONTROL_FREQ, tuple(Part(*part) for part in parts))


_CUBE_AND_GOAL = _setting(tcp_pose=POSE, goal_pos=POSITION, obj_pose=POSE)

SETTINGS = {
    "PushCube-v1": _CUBE_AND_GOAL,
    "PullCube-v1": _CUBE_AND_GOAL,
    "PickCube-v1": _setting(
        is_grasped=1,
        tcp_pose=POSE,
        goal_pos=POSITION,
        obj_pose=POSE,
        tcp_to_obj_pos=POSITION,
        obj_to_goal_pos=POSITION,
    ),
    "StackCube-v1": _setting(
        tcp_pose=POSE,
        cubeA_pose=POSE,
        cubeB_pose=POSE,
        tcp_to_cubeA_pos=POSITION,
        tcp_to_cubeB_pos=POSITION,
        cubeA_to_cubeB_pos=POSITION,
    ),
    "LiftPegUpright-v1": _setting(tcp_pose=POSE, obj_pose=POSE),
    "PlaceSphere-v1": _setting(
        is_grasped=1,
        tcp_pose=POSE,
        bin_pos=POSITION,
        obj_pose=POSE,
        tcp_to_obj_pos=POSITION,
    ),
    "PokeCube-v1": _setting(
        tcp_pose=POSE,
        cube_pose=POSE,
        peg_pose=POSE,
        goal_pos=POSITION,
        tcp_to_peg_pos=POSITION,
        peg_to_cube_pos=POSITION,
        cube_to_goal_pos=POSITION,
        peghead_to_cube_pos=POSITION,
    ),
    "PullCubeTool-v1": _setting(tcp_pose=POSE, cube_pose=POSE, tool_pose=POSE),
    "PegInsertionSide-v1": _setting(
        tcp_pose=POSE,
        peg_pose=POSE,
        peg_half_size=POSITION,
        box_hole_pose=POSE,
        box_hole_radius=1,
    ),
}


def obs_dim_of(setting: Setting) -> int:
    """Return the length of the observation; 0 where its parts are not known."""
    return sum(part.length for part in setting.layout)


def setting_of(interface: PolicyInterface) -> Setting:
    """Return what is known of the task of an interface; nothing of tasks of other simulators."""
    if interface.recorded is not None:
        return Setting(interface.recorded.control_freq)
    setting = SETTINGS.get(interface.task, UNKNOWN)
    return setting if obs_dim_of(setting) == interface.obs_dim else UNKNOWN
