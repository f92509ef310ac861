"""What is said of ManiSkill's tasks without a simulator is what its environments are."""

import pytest

from nnit.fit import layout_of
from nnit.tasks.maniskill_tasks import MANISKILL_TASKS
from nnit.tasks.simulation import import_simulator, quiet_simulator


@pytest.mark.sim
@pytest.mark.parametrize("task", MANISKILL_TASKS, ids=lambda task: task.task_id)
def test_setting_is_that_of_the_real_environment(task):
    """Control frequency, and name, place and length of each part of the flat state."""
    import_simulator()
    import gymnasium
    from mani_skill.utils.common import flatten_state_dict

    with quiet_simulator():
        environment = gymnasium.make(
            task.task_id,
            obs_mode="state_dict",
            control_mode=task.control_mode,
            render_backend="none",
            sim_backend="physx_cpu",
        ).unwrapped
        observation, _ = environment.reset(seed=0)
    assert [part._asdict() for part in task.setting.layout] == layout_of(observation)
    assert task.setting.control_freq == environment.control_freq
    flat = flatten_state_dict(observation, use_torch=True)[0]
    assert len(flat) == task.obs_dim
    for name, start, length in task.setting.layout:
        room, _, part = name.partition("/")
        assert flat[start : start + length].tolist() == observation[room][part].flatten().tolist()
