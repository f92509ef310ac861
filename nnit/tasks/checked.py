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
    """Return numbers as float32 ``(expected,)``: a copy, for a task may go on with its array.

    Raises:
        UsageError: another shape, or a number that is not finite.
    """
    numbers = np.array(found, np.float32)
    if numbers.shape != (expected,):
        raise UsageError(f"--task {name}: {what}: found shape {numbers.shape}, expected {expected}")
    if not np.isfinite(numbers).all():
        place = int(np.isfinite(numbers).argmin())
        raise UsageError(f"--task {name}: {what}: found {numbers[place]} at {place}")
    return numbers


def checked_examples(task: Task, examples: Examples) -> Examples:
    """Return labelled examples whose inputs and labels are what their task says.

    Raises:
        UsageError: inputs of another size or with a number that is not finite, a label that is no
            class, or more or fewer of them than the task has reset seeds.
    """
    name = f"--task {task.task_id}"
    inputs, labels = np.asarray(examples.inputs, np.float32), whole_labels(name, examples.labels)
    total = task.max_seed + 1
    if len(labels) != total:
        raise UsageError(f"{name}: labels: found {len(labels)}, expected {total}: max_seed + 1")
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


def whole_labels(name: str, found: np.ndarray) -> np.ndarray:
    """Return labels as int64 ``(N,)``; floats that are whole numbers are taken as such.

    Raises:
        UsageError: another shape, or other than whole numbers.
    """
    labels = np.asarray(found)
    is_whole = np.issubdtype(labels.dtype, np.integer)
    if np.issubdtype(labels.dtype, np.floating):
        is_whole = bool((np.isfinite(labels) & (labels == np.trunc(labels))).all())
    if labels.ndim != 1 or not is_whole:
        raise UsageError(
            f"{name}: labels: found {labels.dtype} of shape {labels.shape}, expected a row of "
            "whole numbers"
        )
    with np.errstate(invalid="ignore"):  # beyond int64 none is a class
        return labels.astype(np.int64)
