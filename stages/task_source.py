"""Where a task comes from: its name, a file of the user's that defines it, a file of examples."""

import hashlib
from pathlib import Path

from nnit.errors import MissingArtifactError, UsageError
from nnit.mlp import PolicyInterface
from nnit.progress import Progress
from nnit.tasks.classification import download_mnist
from nnit.tasks.registry import FILE_SUFFIX, MNIST, find_task, get_task
from nnit.tasks.task import Task, TaskRef
from stages.params import Params


def task_ref(params: Params) -> TaskRef:
    """Return how the task that the parameters name is found.

    Raises:
        UsageError: an unknown task.
        MissingArtifactError: a file that is not there.
    """
    ref = TaskRef(params.task, params.data)
    get_task(ref)
    return ref


def task_of(interface: PolicyInterface, params: Params) -> TaskRef:
    """Return how the task of an artifact is found: by its id, or as the parameters say.

    Raises:
        UsageError: neither knows it.
        MissingArtifactError: a file that is not there.
    """
    return find_task(interface.task, TaskRef(params.task, params.data))


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


def task_id(name: str) -> str:
    """Return the id of a task that is named by its id, whoever knows it, or by its file.

    Raises:
        UsageError: a file without a task.
        MissingArtifactError: a file that is not there.
    """
    return get_task(name).task_id if name.endswith(FILE_SUFFIX) else name


def source_digests(ref: TaskRef) -> dict[str, str]:
    """Return the SHA-256 of the files that a task is made from, by name; mostly there are none.

    Raises:
        MissingArtifactError: a file that is not there.
    """
    files = {"task file": ref.name if ref.name.endswith(FILE_SUFFIX) else None, "data": ref.data}
    return {name: _digest(Path(path)) for name, path in files.items() if path is not None}


def rollout_episodes(params: Params, task: Task) -> int:
    """Return the episodes of each network of a rollout, where nobody says how many the task's."""
    wanted = params.rollout.episodes
    return task.evaluation_episodes if wanted is None else wanted


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of the files of a folder."""
    if not path.exists():
        raise MissingArtifactError(f"{path}: no such file")
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    parts = [f"{file.name} {_digest(file)}" for file in sorted(path.iterdir()) if file.is_file()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
