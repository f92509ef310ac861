"""Task lookup and reset seeds, without a simulator."""

import subprocess
import sys

import numpy as np
import pytest

from nnit.errors import UsageError
from nnit.tasks.maniskill_tasks import MANISKILL_TASKS
from nnit.tasks.registry import TASKS, get_task
from nnit.tasks.seeds import check_disjoint_seeds, seed_range


def test_an_unknown_task_gets_a_suggestion():
    """A misspelt id is one line with the nearest id and all known ones."""
    with pytest.raises(UsageError, match="did you mean PushCube-v1") as caught:
        get_task("pushcub-v1")
    assert "\n" not in str(caught.value)
    assert all(task_id in str(caught.value) for task_id in TASKS)


def test_a_far_off_task_gets_no_suggestion():
    """Nothing is suggested where nothing is near."""
    with pytest.raises(UsageError) as caught:
        get_task("xyz")
    assert "did you mean" not in str(caught.value)


def test_another_task_of_maniskill_is_told_that_it_needs_a_control_mode():
    """And is not taken for a misspelt one of ours."""
    with pytest.raises(UsageError, match="as in RollBall-v1@pd_joint_delta_pos") as caught:
        get_task("RollBall-v1")
    assert "did you mean" not in str(caught.value)


def test_tasks_need_neither_torch_nor_a_simulator():
    """Looking a task up imports neither torch nor ManiSkill."""
    code = (
        "import sys; from nnit.tasks.registry import get_task; get_task('PushCube-v1');"
        "print([m for m in ('torch', 'mani_skill', 'sapien', 'gymnasium') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("task", MANISKILL_TASKS, ids=lambda task: task.task_id)
def test_an_expert_is_a_bounded_function(task):
    """Whatever the observation: the same action twice, float32, within [-1, 1]."""
    rng = np.random.default_rng(0)
    scales = np.array([0.05, 0.5, 50.0, 0.0]).repeat(50)[:, None]
    for observation in rng.normal(scale=scales, size=(200, task.obs_dim)).astype(np.float32):
        before = observation.copy()
        action = task.expert(observation)
        assert action.dtype == np.float32
        assert action.shape == (task.act_dim,)
        assert np.abs(action).max() <= 1
        assert np.array_equal(action, task.expert(observation))
        assert np.array_equal(observation, before)


def test_overlapping_seeds_are_refused():
    """Evaluation must not begin from an initial state of the demonstrations."""
    demos = seed_range(10_000, 300)
    check_disjoint_seeds(demos, seed_range(0, 10_000))
    check_disjoint_seeds(demos, seed_range(10_300, 5))
    with pytest.raises(UsageError, match="10000"):
        check_disjoint_seeds(demos, seed_range(0, 10_001))
    with pytest.raises(UsageError, match="10299"):
        check_disjoint_seeds(demos, seed_range(10_299, 1))


def test_scattered_seeds_overlap_only_where_they_are():
    """What lies between the seeds of some episodes is free."""
    check_disjoint_seeds([17, 2_000_000_000], seed_range(18, 10_000))
    with pytest.raises(UsageError, match="17 is one of the demonstrations"):
        check_disjoint_seeds([2_000_000_000, 17], seed_range(0, 18))


@pytest.mark.parametrize(("first", "count"), [(0, 0), (-1, 5), (2**31 - 1, 2)])
def test_impossible_seed_ranges_are_refused(first, count):
    """No episode, or seeds that the simulator cannot take."""
    with pytest.raises(UsageError):
        seed_range(first, count)
