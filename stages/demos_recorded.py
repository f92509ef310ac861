"""Stage ``demos --recording``: demonstrations that were recorded on a robot.

Reads:   recording   a ``.npz``, or the folder of a LeRobot dataset
Writes:  demos       kind "demos", schema 1
"""

import hashlib
import re
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from nnit.artifacts.demos import write_demos
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.demos import Demos
from nnit.errors import UsageError
from nnit.progress import Progress, silent
from nnit.tasks.collect import input_dropout_of
from nnit.tasks.lerobot import read_lerobot
from nnit.tasks.recordings import (
    Recording,
    demos_of_recording,
    read_npz_recording,
    task_of_recording,
)
from stages.demos import Outputs, Summary, summarise
from stages.params import Params, RunOptions
from stages.task_source import typed_ref

EXTRA = "pip install 'nnit[lerobot]'"
_RANGE = re.compile(r"(\d{0,9}):(\d{0,9})", re.ASCII)


@dataclass(frozen=True)
class Inputs:
    """What was recorded, and which episodes of it."""

    recording: Path
    task: str | None = None  # what the user calls it, or the file that defines it
    take: str = ":"  # START:END, as Python's slices
    control_freq: int | None = None  # Hz, of a file that does not say it


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Write episodes of the recording as demonstrations.

    Raises:
        UsageError: a name that the task can't have, no such episode, or a package that is missing.
        NnitError: a missing, damaged or unfit file, or an output that can't be written.
    """
    check_output_free(outputs.demos, force=options.force, kind="demos")
    demos, recording, episodes = read(params, inputs)
    task_id = demos.interface.task
    progress.note(
        f"demos: {len(episodes)} of {len(recording.episode_ends)} episodes of {task_id}, each "
        "counted as a success"
    )
    decides = {"task": task_id, "take": f"{episodes.start}:{episodes.stop}"}
    parents = {"recording": digest_of(recording)}
    provenance = Provenance("demos", decides, 0, parents)
    write_demos(outputs.demos, demos, provenance, force=options.force)
    return summarise(demos)


def check_task(params: Params, inputs: Inputs) -> None:
    """Make sure of the recording and its task; errors are those of ``run``."""
    read(params, inputs)


def read(params: Params, inputs: Inputs) -> tuple[Demos, Recording, range]:
    """Return the demonstrations, all that was recorded, and which episodes they are.

    Raises:
        UsageError: as ``run``.
        NnitError: a missing, damaged or unfit file.
    """
    recording = read_recording(inputs)
    task = task_of_recording(typed_ref(inputs.task or params.task), recording)
    episodes = taken(inputs.take, len(recording.episode_ends))
    dropout = input_dropout_of(task, params.demos.input_dropout)
    demos = replace(demos_of_recording(recording, task, episodes), input_dropout=dropout)
    return demos, recording, episodes


def read_recording(inputs: Inputs) -> Recording:
    """Read a file or a folder.

    Raises:
        UsageError: a package is missing, or another frequency than the dataset says.
        NnitError: missing, damaged or unfit.
    """
    path, freq = inputs.recording, inputs.control_freq
    if not path.is_dir():
        return read_npz_recording(path)._replace(control_freq=freq)
    if find_spec("pyarrow") is None:
        raise UsageError(f"--recording {path}: the package pyarrow is not installed; {EXTRA}")
    found = read_lerobot(path)
    if freq is not None and freq != found.control_freq:
        raise UsageError(f"--control-freq {freq}: {path} says {found.control_freq}")
    return found


def taken(text: str, total: int) -> range:
    """Return the episodes START to END - 1 that ``START:END`` names.

    Raises:
        UsageError: it names none.
    """
    match = _RANGE.fullmatch(text)
    start, end = (int(match[1] or 0), int(match[2] or total)) if match else (0, 0)
    if not start < end <= total:
        first = max(total - 1, 1)  # all but the last, or the one that there is
        raise UsageError(
            f"--take {text}: expected START:END within the {total} episodes, as in :{first} "
            f"or {total - 1}:"
        )
    return range(start, end)


def digest_of(recording: Recording) -> str:
    """Return the SHA-256 of what was recorded, whatever format it came in."""
    digest = hashlib.sha256(repr([recording.control_freq, recording.actions.shape]).encode())
    for array in (recording.observations, recording.actions, recording.episode_ends):
        digest.update(array.tobytes())
    return digest.hexdigest()
