"""Observation and success of each task, read straight from the physics engine.

Each observer binds the objects of one built scene and returns ``observe``, which gives the same
float32 observation and the same success flag as ManiSkill's ``get_obs`` and ``evaluate``, without
their batches of one. Arithmetic follows ManiSkill's operation for operation: thresholds are
compared in float32 and norms accumulate as torch's do.
"""

from collections.abc import Callable
from typing import Any

from nnit.tasks import direct_cubes, direct_tools
from nnit.tasks.direct_robot import Observe
from nnit.tasks.task import Task

_OBSERVERS: dict[str, Callable[[Any], Observe]] = {
    "PushCube-v1": direct_cubes.observe_push_cube,
    "PullCube-v1": direct_cubes.observe_pull_cube,
    "PickCube-v1": direct_cubes.observe_pick_cube,
    "StackCube-v1": direct_cubes.observe_stack_cube,
    "PlaceSphere-v1": direct_cubes.observe_place_sphere,
    "LiftPegUpright-v1": direct_tools.observe_lift_peg_upright,
    "PokeCube-v1": direct_tools.observe_poke_cube,
    "PullCubeTool-v1": direct_tools.observe_pull_cube_tool,
    "PegInsertionSide-v1": direct_tools.observe_peg_insertion_side,
}


def bind_observer(task: Task, environment: Any) -> Observe:  # noqa: ANN401 - mani_skill is not typed
    """Return ``observe`` for the scene that is now built in an unwrapped environment."""
    return _OBSERVERS[task.task_id](environment)
