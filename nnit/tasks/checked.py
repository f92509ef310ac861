"""What a task hands over is looked at where it comes in: its author is told, not a later reader."""

import numpy as np

from nnit.errors import UsageError
from nnit.tasks.task import Examples, Observed, Simulation, Task


class CheckedSimulation:
    """A simulation whose observations are what its task says: float32, finite, ``obs_dim`` numbers.

    Args:
        name: The task as the user named it.
        task: What it says of itself.
        inner: Its simulation.
    """

    def __init__(self, name: str, task: Task, inner: Simulation) -> None:
        self._name, self._task, self._inner = name, task, inner

    def reset(self, seed: int) -> np.ndarray:
        """Begin an episode.

        Raises:
            UsageError: an observation of another size, or with a number that is not finite.
        """
        return self._checked(self._inner.reset(seed))

    def step(self, action: np.ndarray) -> Observed:
        """Go on by one step; raises as ``reset``."""
        seen = self._inner.step(action)
        return seen._replace(observation=self._checked(seen.observation))

    def _checked(self, observation: np.ndarray) -> np.ndarray:
        return checked_numbers(self._name, "observation", observation, self._task.obs_dim)


def checked_numbers(name: str, what: str, found: np.ndarray, expected: int) -> np.ndarray:
    """Return numbers as float32 ``(expected,)``.

    Raises:
        UsageError: another shape, or a number that is not finite.
    """
    numbers = np.asarray(found, np.float32)
    if numbers.shape != (expected,):
        raise UsageError(f"--task {name}: {what}: found shape {numbers.shape}, expected {expected}")
    if not np.isfinite(numbers).all():
        place = int(np.isfinite(numbers).argmin())
        raise UsageError(f"--task {name}: {what}: found {numbers[place]} at {place}")
    return numbers


def checked_examples(task: Task, examples: Examples) -> Examples:
    """Return labelled examples whose inputs and labels are what their task says.

    Raises:
        UsageError: inputs of another size or with a number that is not finite, or a label that is
            no class.
    """
    name = f"--task {task.task_id}"
    inputs, labels = np.asarray(examples.inputs, np.float32), np.asarray(examples.labels)
    if inputs.shape != (len(labels), task.obs_dim):
        wanted = (len(labels), task.obs_dim)
        raise UsageError(f"{name}: inputs: found shape {inputs.shape}, expected {wanted}")
    finite = np.isfinite(inputs).all(axis=1)
    if not finite.all():
        raise UsageError(f"{name}: input {int(finite.argmin())}: a number is not finite")
    known = (labels >= 0) & (labels < task.act_dim)
    if not known.all():
        k = int(known.argmin())
        last = task.act_dim - 1
        raise UsageError(f"{name}: label {k}: found {labels[k]}, expected 0 to {last}")
    return Examples(inputs, labels)
