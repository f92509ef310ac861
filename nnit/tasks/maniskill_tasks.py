"""The tasks of ManiSkill3 that nnit has an expert for."""

from nnit.tasks import cube_experts, tool_experts
from nnit.tasks.layouts import SETTINGS, obs_dim_of
from nnit.tasks.maniskill_any import film
from nnit.tasks.task import Expert, Simulation, Task

POSITION, POSE = "pd_ee_delta_pos", "pd_ee_delta_pose"
ACT_DIMS = {POSITION: 4, POSE: 7}


def simulate(task: Task) -> Simulation:
    """Build ManiSkill's scene for a process that will run many episodes."""
    from nnit.tasks.simulation import DirectSimulation, prepare_process

    prepare_process()
    return DirectSimulation(task)


def shaped(task: Task) -> Simulation:
    """Build ManiSkill's own environment, with its dense reward."""
    from nnit.tasks.simulation import RewardedSimulation, prepare_process

    prepare_process()
    return RewardedSimulation(task)


def maniskill_task(
    task_id: str,
    control_mode: str,
    horizon: int,
    demo_noise: float,
    expert: Expert,
    demo_episodes: int = 300,
) -> Task:
    """Return a task with state observations; its horizon is ManiSkill's own."""
    return Task(
        task_id,
        obs_dim_of(SETTINGS[task_id]),
        ACT_DIMS[control_mode],
        horizon,
        simulate,
        expert,
        control_mode=control_mode,
        demo_noise=demo_noise,
        shaped=shaped,
        filmed=film,
        demo_episodes=demo_episodes,
        on_gpu=True,
        simulator="mani_skill",
        setting=SETTINGS[task_id],
    )


MANISKILL_TASKS = (
    maniskill_task("PushCube-v1", POSITION, 50, 0.1, cube_experts.push_cube),
    maniskill_task("PickCube-v1", POSITION, 50, 0.3, cube_experts.pick_cube),
    maniskill_task("StackCube-v1", POSITION, 50, 0.05, cube_experts.stack_cube, 600),
    maniskill_task("PullCube-v1", POSITION, 50, 0.1, cube_experts.pull_cube),
    maniskill_task("LiftPegUpright-v1", POSITION, 50, 0.05, tool_experts.lift_peg_upright),
    maniskill_task("PlaceSphere-v1", POSITION, 50, 0.02, cube_experts.place_sphere),
    maniskill_task("PokeCube-v1", POSITION, 50, 0.05, tool_experts.poke_cube),
    maniskill_task("PullCubeTool-v1", POSITION, 100, 0.05, tool_experts.pull_cube_with_tool),
    maniskill_task("PegInsertionSide-v1", POSE, 100, 0.1, tool_experts.insert_peg, 600),
)
