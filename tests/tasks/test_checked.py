"""What a user's task hands over wrongly is one line that names the task and what was found."""

from dataclasses import replace

import numpy as np
import pytest

from nnit.errors import UsageError
from nnit.rollout.episodes import run_trajectory
from nnit.seeding import numpy_generator
from nnit.tasks.checked import CheckedSimulation, checked_examples
from nnit.tasks.classification import simulate
from nnit.tasks.collect import DemoRequest, collect_demos, collect_episode
from nnit.tasks.registry import get_task
from nnit.tasks.task import Examples, Observed, Task, TaskRef

TASK = Task("Own", obs_dim=3, act_dim=2, horizon=4, simulate=lambda _: Showing(np.zeros(3)))


class Showing:
    """Shows zeros at first, and then always the same."""

    def __init__(self, observation) -> None:
        self.observation = observation

    def reset(self, seed):
        """Begin."""
        return np.zeros(3)

    def step(self, action):
        """Go on."""
        return Observed(self.observation, success=False, reward=0.5, done=True)


def test_numbers_become_float32_and_the_rest_stays():
    """Numpy's own float64 is no mistake."""
    simulation = CheckedSimulation("./own.py", TASK, Showing(np.array([1.0, 2.0, 3.0])))
    assert simulation.reset(0).dtype == np.float32
    seen = simulation.step(np.zeros(2, np.float32))
    assert seen.observation.dtype == np.float32
    assert seen.observation.tolist() == [1, 2, 3]
    assert seen[1:] == (False, 0.5, True)


class Moving:
    """Counts the steps in one array, which it hands over each time."""

    def __init__(self) -> None:
        self.state = np.zeros(3, np.float32)

    def reset(self, seed):
        """Begin."""
        self.state[:] = 0
        return self.state

    def step(self, action):
        """Go on."""
        self.state += 1
        return Observed(self.state, success=False)


def test_a_task_that_goes_on_with_its_own_array():
    """Each row of an episode is what was seen then, of demonstrations as of rollouts."""
    simulation = CheckedSimulation("./own.py", TASK, Moving())
    rng = numpy_generator(0, "test")
    rows = collect_episode(simulation, lambda _: np.zeros(2), 0, 0.0, rng, TASK).observations
    assert rows[:, 0].tolist() == [0, 1, 2, 3]
    found = run_trajectory(simulation, lambda _: np.zeros(2), 0, TASK.horizon)
    assert found.observations[:, 0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("observation", "said"),
    [
        (np.zeros(4), r"observation: found shape \(4,\), expected 3"),
        (np.zeros((1, 3)), r"observation: found shape \(1, 3\), expected 3"),
        (np.array([0.0, np.nan, 0.0]), "observation: found nan at 1"),
        (np.array([0.0, 0.0, np.inf]), "observation: found inf at 2"),
    ],
)
def test_observations_that_are_none(observation, said):
    """Of another size, or not finite."""
    simulation = CheckedSimulation("./own.py", TASK, Showing(observation))
    simulation.reset(0)
    with pytest.raises(UsageError, match=f"^--task ./own.py: {said}$"):
        simulation.step(np.zeros(2, np.float32))


def test_actions_of_another_size():
    """An expert that answers with three numbers instead of two."""
    rng = numpy_generator(0, "test")
    with pytest.raises(UsageError, match=r"the expert's action: found shape \(3,\), expected 2"):
        collect_episode(Showing(np.zeros(3)), lambda _: np.zeros(3), 0, 0.0, rng, TASK)


def test_examples_and_labels():
    """Whole ones pass; a label that is no class, a number that is none, another size do not."""
    task = replace(TASK, output="class", max_seed=3)
    inputs, labels = np.zeros((4, 3)), np.array([0, 1, 1, 0])
    assert checked_examples(task, Examples(inputs, labels)).inputs.dtype == np.float32
    for wrong, said in ((np.array([0, 1, 2, 0]), "label 2: found 2"), (labels - 1, "label 0")):
        with pytest.raises(UsageError, match=said):
            checked_examples(task, Examples(inputs, wrong))
    holed = np.where(np.arange(12).reshape(4, 3) == 7, np.nan, inputs)
    with pytest.raises(UsageError, match="input 2: a number is not finite"):
        checked_examples(task, Examples(holed, labels))
    with pytest.raises(UsageError, match=r"expected \(4, 3\)"):
        checked_examples(task, Examples(inputs[:, :2], labels))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (
            np.array([0, 1, 0.5, 0]),
            r"labels: found float64 of shape \(4,\), expected a row",
        ),
        (np.array([0, 1, np.nan, 0]), "labels: found float64"),
        (np.array([0, 1, 1e300, 0]), "label 2: found"),
        (np.array([False, True, True, False]), "labels: found bool"),
        (np.array(["0", "1", "1", "0"]), "labels: found <U1"),
        (np.zeros((4, 1), int), r"labels: found int64 of shape \(4, 1\)"),
        (np.array(0), r"labels: found int64 of shape \(\)"),
        (np.array([0, 1, 1]), r"labels: found 3, expected 4: max_seed \+ 1"),
    ],
)
def test_labels_that_are_none(labels, said):
    """They are refused where they come in, not where one is looked up."""
    task = replace(TASK, output="class", max_seed=3)
    examples = Examples(np.zeros((labels.size, 3)), labels)
    with pytest.raises(UsageError, match=f"^--task Own: {said}") as caught:
        checked_examples(task, examples)
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match=said):  # an evaluation sees them without demonstrations
        simulate(replace(task, examples=lambda: examples))


def test_labels_may_be_floats():
    """Of whole numbers, as many files have them."""
    task = replace(TASK, output="class", max_seed=3)
    found = checked_examples(task, Examples(np.zeros((4, 3)), np.array([0.0, 1.0, 1.0, 0.0])))
    assert found.labels.dtype == np.int64
    assert found.labels.tolist() == [0, 1, 1, 0]


def test_a_name_that_no_artifact_can_have(tmp_path):
    """It is refused before any episode."""
    path = tmp_path / "spaced.py"
    path.write_text(
        "from nnit.tasks.task import Task\n"
        "TASK = Task('my task', obs_dim=1, act_dim=1, horizon=1, simulate=lambda task: None)\n"
    )
    with pytest.raises(UsageError, match="task_id: found 'my task'"):
        get_task(TaskRef(str(path), typed=True))


FILE = """import numpy as np
from nnit.tasks.task import Observed, Task

class Mine:
    def reset(self, seed):
        return np.zeros(3)
    def step(self, action):
        return Observed(np.zeros(3), success=False)

def expert(observation):
    return np.zeros(2)

TASK = Task("Own", obs_dim=3, act_dim=2, horizon=4, simulate=lambda _: Mine(), expert=expert)
"""


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("return np.zeros(2)", "return 1 / 0", "expert: line 11: ZeroDivisionError: division by"),
        (
            "return np.zeros(2)",
            "return 'left'",
            "the expert's action: found 'left', expected 2 num",
        ),
        (
            "return Observed(np.zeros(3), success=False)",
            "raise ValueError('bad')",
            "step: line 8: V",
        ),
        (
            "return Observed(np.zeros(3), success=False)",
            "return 1, 2",
            "step: found tuple, expected",
        ),
        ("(self, seed)", "(self)", "reset: TypeError: Mine.reset"),
        ("horizon=4", "horizon=0", "horizon: found 0, expected 1 or more"),
        ("import numpy as np\n", "import sys; sys.exit(3)\n", "line 1: SystemExit: 3"),
    ],
)
def test_an_author_is_told_where_the_file_fails(right, wrong, said, tmp_path):
    """The file, what was asked of it, the line, and what failed there."""
    path = tmp_path / "own.py"
    assert right in FILE
    path.write_text(FILE.replace(right, wrong))
    with pytest.raises(UsageError) as caught:
        collect_demos(TaskRef(str(path), typed=True), DemoRequest(2))
    assert said in str(caught.value)
    assert str(path) in str(caught.value) or "--task Own" in str(caught.value)


def test_a_failure_of_another_is_not_the_authors():
    """Of a built-in task it passes as it is."""

    class Failing(Showing):
        def step(self, action):
            raise OSError("no device")

    with pytest.raises(OSError, match="no device"):
        CheckedSimulation("PushCube-v1", TASK, Failing(np.zeros(3))).step(np.zeros(2))
