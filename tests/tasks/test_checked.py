"""What a user's task hands over wrongly is one line that names the task and what was found."""

from dataclasses import replace

import numpy as np
import pytest

from nnit.errors import UsageError
from nnit.seeding import numpy_generator
from nnit.tasks.checked import CheckedSimulation, checked_examples
from nnit.tasks.collect import collect_episode
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
    task = replace(TASK, output="class")
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


def test_a_name_that_no_artifact_can_have(tmp_path):
    """It is refused before any episode."""
    path = tmp_path / "spaced.py"
    path.write_text(
        "from nnit.tasks.task import Task\n"
        "TASK = Task('my task', obs_dim=1, act_dim=1, horizon=1, simulate=lambda task: None)\n"
    )
    with pytest.raises(UsageError, match="task_id: found 'my task'"):
        get_task(TaskRef(str(path), typed=True))
