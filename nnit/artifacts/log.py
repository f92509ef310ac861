"""The log of a training: a line of JSON for each step, beside the artifact that comes of it.

It is no part of the artifact, whose bytes follow from its inputs alone: there are times in it.
"""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nnit.artifacts.canonical import parse_json
from nnit.artifacts.durable import disk_errors, remains_of, replace_file
from nnit.artifacts.loose import fault_of_file
from nnit.errors import DamagedArtifactError, UsageError
from nnit.opening import read_bounded

MAX_LOG_BYTES = 2**30
STEP, SECONDS = "step", "seconds"
_BEGINNING = f'{{"{STEP}": '.encode()


def log_file(out: Path) -> Path:
    """Return where the log of the training that writes the artifact ``out`` lies."""
    target = Path(os.path.realpath(out))
    return target.with_name(f"{target.name}.log.jsonl")


def is_log(data: bytes) -> bool:
    """Whether a file that begins so is a log."""
    return data.startswith(_BEGINNING)


def require_free_log(out: Path) -> None:
    """Make sure that the log of an output can be written.

    Raises:
        UsageError: something else is there.
        ResourceError: the folder cannot be written to.
    """
    path = log_file(out)
    if fault := fault_of_file(path, is_log):
        raise UsageError(f"{out}: its log goes to {path.name}: {fault}")


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the figures of each step, in order; a last line that a crash cut off is left out.

    Raises:
        MissingArtifactError: no such file.
        DamagedArtifactError: a line is not what ``TrainingLog`` writes.
    """
    records: list[dict[str, Any]] = []
    lines = read_bounded(path, MAX_LOG_BYTES).split(b"\n")[:-1]
    for number, line in enumerate(lines, start=1):
        records.append(_record(line, f"{path}:{number}", records[-1][STEP] if records else 0))
    return records


def kept_steps(out: Path, start: int) -> list[dict[str, Any]]:
    """Return what the log says of the steps that a training goes on from.

    What a crash left behind them may be anything. Without a log there are none.

    Args:
        out: The artifact that the training writes.
        start: Steps that were done before.

    Raises:
        DamagedArtifactError: the log ends before that step, or is damaged there.
    """
    path = log_file(out)
    if start == 0 or not path.is_file():
        return []
    records: list[dict[str, Any]] = []
    done = 0
    with suppress(DamagedArtifactError):
        for line in read_bounded(path, MAX_LOG_BYTES).split(b"\n"):
            record = _record(line, "", done)
            if record[STEP] > start:
                break
            records.append(record)
            done = record[STEP]
    if done != start:
        raise DamagedArtifactError(
            f"{path}: its lines end at step {done}, the training goes on from step {start}; move "
            "it away to go on without them"
        )
    return records


class TrainingLog:
    """Writes a log.

    Args:
        out: The artifact that the training writes.
        kept: The figures of steps that were done before.

    Raises:
        ResourceError: no disk or no permission.
    """

    def __init__(self, out: Path, kept: Sequence[Mapping[str, Any]]) -> None:
        self._path = log_file(out)
        with disk_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            for remains in remains_of(self._path, "tmp"):
                remains.unlink(missing_ok=True)
            replace_file(self._path, b"".join(map(_line, kept)))
            self._stream = self._path.open("ab")

    def write(self, figures: Mapping[str, Any]) -> None:
        """Add the figures of a step, of which ``step`` is the first."""
        with disk_errors(self._path):
            self._stream.write(_line(figures))

    def flush(self) -> None:
        """Have readers see all that was written."""
        with disk_errors(self._path):
            self._stream.flush()

    def sync(self) -> None:
        """Wait until all that was written is on the device, before a state says that it is."""
        with disk_errors(self._path):
            self._stream.flush()
            os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Write what is left."""
        with disk_errors(self._path):
            self._stream.close()


def _record(line: bytes, where: str, before: int) -> dict[str, Any]:
    """Return what a line says.

    Raises:
        DamagedArtifactError: no object, or one whose step does not follow the one before.
    """
    record = parse_json(line, where)
    step = record.get(STEP) if isinstance(record, dict) else None
    if not isinstance(record, dict) or type(step) is not int or step <= before:
        raise DamagedArtifactError(f"{where}: found no step that follows step {before}")
    return record


def _line(figures: Mapping[str, Any]) -> bytes:
    return json.dumps(figures, allow_nan=False).encode() + b"\n"
