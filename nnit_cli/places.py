"""Where outputs go by default: beside what they are made from, else into ``artifacts``."""

import os
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from nnit.errors import OutputExistsError

if TYPE_CHECKING:
    from nnit.generators.names import Model

HOME = Path("artifacts")


def beside(path: Path, name: str) -> Path:
    """Return the default output: a folder of this name beside the input ``path``."""
    return Path(path, "..").resolve() / name if path.name in {"", ".."} else path.parent / name


def beside_model(model: "Model", name: str) -> Path:
    """Return the default output of what is made from a generator: beside it where it is a folder.

    What is installed stays as it is.
    """
    return beside(model.path, name) if model.origin == "folder" else HOME / name


def beside_of(path: Path, name: str, usual: str) -> Path:
    """Return the default output where inputs beside each other have one each: NAME, NAME-INPUT.

    Args:
        path: The input.
        name: Of the output.
        usual: How an input is called whose name is left out.
    """
    source = path.resolve().name if path.name in {"", ".."} else path.name
    return beside(path, name if source == usual else f"{name}-{source}")


def newer_sibling(default: Path) -> Path | None:
    """Return the newest of an input and its numbered siblings, where that is a sibling."""
    from nnit.artifacts.manifest import MANIFEST_NAME

    siblings = default.parent.glob(f"{default.name}-*/{MANIFEST_NAME}")
    numbered = (one for one in siblings if one.parent.name[len(default.name) + 1 :].isdecimal())
    manifests = [default / MANIFEST_NAME, *numbered]
    newest = max(manifests, key=lambda one: one.stat().st_mtime_ns).parent
    return None if newest == default else newest


def free_output(default: Path) -> Path:
    """Return the first free one of a default output and its siblings, ``samples-2`` and so on."""
    siblings = (default.with_name(f"{default.name}-{number}") for number in count(2))
    return next(path for path in chain([default], siblings) if not os.path.lexists(path))


def resumed_output(default: Path) -> Path:
    """Return the sibling that an interrupted run was to write, or the default where none is there.

    Raises:
        OutputExistsError: all are finished.
    """
    from nnit.artifacts.state import state_folder

    free = free_output(default)
    if free == default or state_folder(free).exists():
        return free
    raise OutputExistsError(
        f"{default}: is finished, nothing is left to resume; leave --resume out for another, "
        f"{free}, or replace it with --force"
    )
