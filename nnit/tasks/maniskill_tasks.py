"""The tasks of ManiSkill3 that nnit has an expert for."""

from nnit.tasks import experts
from nnit.tasks.task import Expert, Simulation, Task


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
    obs_dim: int,
    act_dim: int,
    horizon: int,
    demo_noise: float,
    expert: Expert,
) -> Task:
    """Return a task with state observations; its horizon is ManiSkill's own."""
    return Task(
        task_id,
        obs_dim,
        act_dim,
        horizon,
        simulate,
        expert,
        control_mode=control_mode,
        demo_noise=demo_noise,
        shaped=shaped,
        on_gpu=True,
    )


MANISKILL_TASKS = (
    maniskill_task("PushCube-v1", "pd_ee_delta_pos", 35, 4, 50, 0.1, experts.push_cube),
    maniskill_task("PickCube-v1", "pd_ee_delta_pos", 42, 4, 50, 0.3, experts.pick_cube),
    maniskill_task("StackCube-v1", "pd_ee_delta_pos", 48, 4, 50, 0.02, experts.stack_cube),
)
