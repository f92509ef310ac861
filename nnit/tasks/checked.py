"""What a task hands over is looked at where it comes in: its author is told, not a later reader."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from nnit.errors import NnitError, UsageError
from nnit.task_ids import FILE_SUFFIX
from nnit.tasks.task import Examples, Expert, Observed, Simulation, Task


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
            UsageError: an observation of another size, or with a number that is not finite; or the
                file of the user's that has the task failed.
        """
        with told(self._name, "reset"):
            observation = self._inner.reset(seed)
        return self._checked(observation)

    def step(self, action: np.ndarray) -> Observed:
        """Go on by one step; raises as ``reset``."""
        with told(self._name, "step"):
            seen = self._inner.step(action)
        if not isinstance(seen, Observed):
            found = type(seen).__name__
            raise UsageError(
                f"--task {self._name}: step: found {found}, expected a nnit.tasks.task.Observed"
            )
        return seen._replace(observation=self._checked(seen.observation))

    def _checked(self, observation: np.ndarray) -> np.ndarray:
        return checked_numbers(self._name, "observation", observation, self._task.obs_dim)


@contextmanager
def told(name: str, where: str) -> Iterator[None]:
    """Tell the author of a task which line of the file failed, and how; others' errors pass.

    Args:
        name: The task as the user named it; of a file the path.
        where: What was asked of it.

    Raises:
        UsageError: it is a file, and something other than nnit failed.
    """
    try:
        yield
    except NnitError:
        raise
    except Exception as error:
        if not name.endswith(FILE_SUFFIX):
            raise
        raise UsageError(f"--task {name}: {where}: {fault_in(Path(name), error)}") from error


def fault_in(path: Path, error: BaseException) -> str:
    """Return what failed, with the line of a file that it came from, if it did."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [one.lineno for one in frames if Path(one.filename).resolve() == path.resolve()]
    first_line = str(error).partition("\n")[0]
    place = f"line {lines[-1]}: " if lines else ""
    return f"{place}{type(error).__name__}: {first_line}"


def told_expert(name: str, expert: Expert) -> Expert:
    """Return the expert of a task, whose author is told where it fails."""

    def answer(observation: np.ndarray) -> np.ndarray:
        with told(name, "expert"):
            return expert(observation)

    return answer


def checked_numbers(name: str, what: str, found: np.ndarray, expected: int) -> np.ndarray:
    """Return numbers as float32 ``(expected,)``: a copy, for a task may go on with its array.

    Raises:
        UsageError: another shape, or a number that is not finite.
    """
    try:
        numbers = np.array(found, np.float32)
    except (TypeError, ValueError):
        raise UsageError(
            f"--task {name}: {what}: found {found!r:.40}, expected {expected} numbers"
        ) from None
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
