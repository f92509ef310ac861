"""The dynamics that alarms are tried with."""

import numpy as np
import pytest

from nnit.rollout.episodes import run_trajectory
from nnit.tasks.registry import get_task
from nnit.tasks.simulation import DirectSimulation, prepare_process
from studies.alarms import Case, Disturbed


@pytest.mark.sim
def test_changed_dynamics_change_what_happens_and_the_unchanged_do_not():
    """As trained it is the task itself, to the bit; a heavier cube and a late action are not."""
    prepare_process()
    task = get_task("StackCube-v1")
    chance = np.random.default_rng(0)
    actions = chance.uniform(-1, 1, (12, task.act_dim)).astype(np.float32)

    def observed(simulation):
        moves = iter(actions)
        return run_trajectory(simulation, lambda _: next(moves), 3, len(actions)).observations

    plain = observed(DirectSimulation(task))
    assert (observed(Disturbed(task.task_id, Case("as trained"))) == plain).all()
    late = observed(Disturbed(task.task_id, Case("delayed", delay=2)))
    assert not np.allclose(late, plain)
    heavy = Disturbed(task.task_id, Case("heavier", heavier=3.0))
    heavy.reset(3)
    usual = DirectSimulation(task)
    usual.reset(3)
    masses = [float(s._environment.cubeA.mass[0]) for s in (heavy._simulation, usual)]
    assert masses[0] == pytest.approx(3 * masses[1])
