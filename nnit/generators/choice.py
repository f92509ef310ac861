"""Which task of a generator is meant."""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from nnit.artifacts.interface import stored_interfaces
from nnit.errors import NnitError, UsageError
from nnit.generators.names import comes_with_nnit, find_models, near_hint
from nnit.generators.near import generators_near
from nnit.mlp import PolicyInterface


def choose_interface(path: Path, task: str | None) -> PolicyInterface:
    """Return the interface of a generator for one of its tasks, without reading its networks.

    Raises:
        UsageError: as ``choose_task``.
        NnitError: missing, of another kind, damaged.
    """
    interfaces = stored_interfaces(path, "generator")
    return interfaces[choose_task(path, [one.task for one in interfaces], task)]


def choose_task(path: Path, known: Sequence[str], wanted: str | None) -> int:
    """Return the index of the task that a generator is asked for.

    Args:
        path: The generator, for messages.
        known: The tasks that it was trained on.
        wanted: A task's id; None is enough where there is one.

    Raises:
        UsageError: another task, or none where there are several; the line holds all of them.
    """
    if wanted in known:
        return known.index(wanted)
    if wanted is not None:
        nearest = difflib.get_close_matches(wanted, known, n=1)
        hint = f", did you mean {nearest[0]}?" if nearest else ";"
        other = next((f"; --model {name} knows it" for name in models_of(wanted)), "")
        raise UsageError(
            f"--task {wanted}: {path} was not trained on it{hint} it knows "
            f"{', '.join(known)}{other}"
        )
    if len(known) > 1:
        near = near_hint() if comes_with_nnit(path) else ""
        raise UsageError(f"{path}: knows {', '.join(known)}; choose one with --task{near}")
    return 0


def models_of(task: str) -> Iterator[str]:
    """Name the generators that were trained on a task: those with names, and those near.

    What can't be read isn't named.
    """
    return (name for name, tasks in _tasks_of_models() if task in tasks)


def known_tasks() -> list[str]:
    """Return the tasks that the generators which can be found were trained on."""
    return [task for _, tasks in _tasks_of_models() for task in tasks]


def _tasks_of_models() -> Iterator[tuple[str, list[str]]]:
    named = {model.name: model.path for model in find_models()}
    for name, path in {**named, **{str(path): path for path in generators_near()}}.items():
        with suppress(NnitError):
            yield name, [one.task for one in stored_interfaces(path, "generator")]
