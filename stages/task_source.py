"""Where a task comes from: its name, a file of the user's that defines it, a file of examples."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from nnit.errors import MissingArtifactError, UsageError, WrongKindError
from nnit.mlp import ACTION, PolicyInterface
from nnit.opening import open_regular
from nnit.progress import Progress
from nnit.task_ids import FILE_SUFFIX
from nnit.tasks.classification import download_mnist
from nnit.tasks.registry import (
    MNIST,
    TASKS,
    check_name,
    find_task,
    get_task,
    is_code,
    is_known,
    task_id_of,
)
from nnit.tasks.task import Task, TaskRef
from stages.params import Params

MAKE_AGAIN = "make it again with this nnit, or run it with the one that made it"
OF_THE_TASK = ("obs_dim", "act_dim", "output", "control_mode", "horizon")


class Listed(NamedTuple):
    """A task that is built in."""

    name: str
    obs_dim: int
    act_dim: int  # numbers of an action, or classes
    classes: bool
    steps: int  # most of an episode
    demonstrations: str  # where they come from, in a word


def listed_tasks() -> list[Listed]:
    """Return the tasks that are known by name, in their order."""
    return [
        Listed(
            task.task_id,
            task.obs_dim,
            task.act_dim,
            task.output != ACTION,
            task.horizon,
            "scripted expert" if task.expert else "examples",
        )
        for task in TASKS.values()
    ]


def task_ref(params: Params) -> TaskRef:
    """Return how the task that the parameters name is found.

    Raises:
        UsageError: an unknown task.
        MissingArtifactError: a file that is not there.
    """
    ref = typed_ref(params.task, params.data)
    get_task(ref)
    return ref


def task_of(
    path: Path, interface: PolicyInterface, params: Params, named: str | None = None
) -> TaskRef:
    """Return how the task of an artifact is found: by its id, or as the user says.

    Args:
        path: The artifact.
        interface: Its interface.
        params: May name a file that defines the task, whose artifact or not.
        named: What ``--task`` says; has to be the task of the artifact.

    Raises:
        UsageError: nobody knows it, or it was recorded on a robot and no file simulates it.
        WrongKindError: another task is named, or the interface is not that of the task.
        MissingArtifactError: a file that is not there.
    """
    if interface.recorded is not None and not is_code(named or params.task):
        raise UsageError(
            f"{path}: {interface.task} was recorded on a robot, and has no simulator; measure "
            "networks on held-out episodes with `nnit action-error`, or name a file that "
            "simulates it, as in --task ./my_task.py"
        )
    if named is not None:
        require_named(path, interface, named)
    found = find_task(interface.task, typed_ref(named or params.task, params.data))
    require_task(path, interface, get_task(found))
    return found


def named_id(named: str | None) -> str | None:
    """Return the id of the task that ``--task`` names, which may be a file.

    Raises:
        UsageError: a file without a task.
        MissingArtifactError: a file that is not there.
    """
    return None if named is None else task_id_of(typed_ref(named))


def typed_ref(name: str, data: str | None = None) -> TaskRef:
    """Return a task that the user typed, on the command line or in the parameter file.

    The one place that says so: a name out of an artifact never comes here.
    """
    return TaskRef(name, data, typed=True)


def require_named(path: Path, interface: PolicyInterface, named: str) -> None:
    """Make sure that a task that is named is the one of an artifact.

    Raises:
        UsageError: an unknown task.
        WrongKindError: another one; the line has both.
    """
    found = named_id(named)
    if found == interface.task:
        return
    check_name(typed_ref(named))
    other = "" if found == named else f", not of {found}"
    raise WrongKindError(f"--task {named}: {path} is of {interface.task}{other}")


def require_task(path: Path, interface: PolicyInterface, task: Task) -> None:
    """Refuse an artifact of another task, or one that says else of its task than the task does.

    Raises:
        WrongKindError: the line names the artifact, its task, and the flag where an id tells the
            task; which file defines a task is for the user alone to know.
    """
    if interface.task != task.task_id:
        by_id = is_known(interface.task)
        way = (
            f"with --task {interface.task}" if by_id else "with the file of your own behind --task"
        )
        raise WrongKindError(
            f"{path}: found task {interface.task}, expected {task.task_id}; say which task it is "
            f"{way}"
        )
    for name in OF_THE_TASK:
        found, expected = getattr(interface, name), getattr(task, name)
        if found != expected:
            raise WrongKindError(
                f"{path}: is not of {task.task_id} as it is here: found {name} {found}, expected "
                f"{expected}; {MAKE_AGAIN}"
            )


def fetch_examples(params: Params, progress: Progress) -> None:
    """Download the examples of a task into the file that ``data`` names, if it is not there.

    Raises:
        UsageError: a task without a download, or no file named.
        MissingArtifactError: the download failed.
    """
    if params.task != MNIST or params.data is None:
        raise UsageError("--download: fetches MNIST alone; give --task mnist --data FILE.npz")
    path = Path(params.data)
    if path.exists():
        return
    progress.note(f"demos: downloading MNIST from OpenML into {path}")
    try:
        download_mnist(path)
    except OSError as error:
        raise MissingArtifactError(f"--data {path}: the download failed: {error}") from None


def source_digests(ref: TaskRef) -> dict[str, str]:
    """Return the SHA-256 of the files that a task is made from, by name; mostly there are none.

    Raises:
        MissingArtifactError: a file that is not there.
    """
    task_file = ref.name if ref.typed and ref.name.endswith(FILE_SUFFIX) else None
    files = {"task file": task_file, "data": ref.data}
    return {name: source_digest(Path(path)) for name, path in files.items() if path is not None}


def rollout_episodes(params: Params, task: Task) -> int:
    """Return the episodes of each network of a rollout, where nobody says how many the task's."""
    wanted = params.rollout.episodes
    return task.evaluation_episodes if wanted is None else wanted


def source_digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of the files of a folder.

    Raises:
        MissingArtifactError: nothing is there.
        DamagedArtifactError: it can't be read.
    """
    if not path.is_dir():
        with open_regular(path) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    files = [file for file in sorted(path.iterdir()) if file.is_file()]
    parts = [f"{file.name} {source_digest(file)}" for file in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
