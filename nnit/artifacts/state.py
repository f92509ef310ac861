"""State to resume from, beside an output that is not finished: ``<out>.state/``.

Each file in it is replaced in one step after it is on the device, so that a crash leaves the old
state or the new one. Every file carries hashes of its content and the key of the run that wrote
it: the digest of its parameters and inputs. What says nothing of the kind is not nnit's, whatever
its name, and stays where it is.
"""

import hashlib
import itertools
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnit.artifacts.canonical import canonical_json
from nnit.artifacts.durable import disk_errors, hidden_for, remains_of, replace_file
from nnit.artifacts.publish import is_artifact
from nnit.artifacts.records import Natural, Record, parse_record
from nnit.artifacts.weights import TensorFile, read_metadata, read_tensors, tensor_bytes
from nnit.engine import Shard
from nnit.errors import DamagedArtifactError, UsageError

STATE_NAME = "training.safetensors"
UNITS_FOLDER = "units"
_UNIT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SUFFIX = ".safetensors"
_SHARD = re.compile(r"\.shard-([1-9][0-9]{0,5})-of-([1-9][0-9]{0,5})\.state")
_WAY_OUT = "move it away to start from the beginning"


class _Metadata(Record, extra="ignore"):
    about: dict[str, Any]
    sha256: str


class _OfTraining(Record, extra="ignore"):
    key: str
    step: Natural
    counters: dict[str, Any]


class _OfUnit(Record, extra="ignore"):
    key: str
    unit: str


@dataclass(frozen=True)
class State:
    """Where a training stopped."""

    step: int
    tensors: dict[str, np.ndarray]
    counters: dict[str, Any]  # JSON data


class SavedPart(NamedTuple):
    """What a file says that an interrupted run left."""

    key: str  # of the run
    step: int | None  # where a training stopped; None of a finished unit


def state_folder(out: Path) -> Path:
    """Return where the state of the output ``out`` lies."""
    target = Path(os.path.realpath(out))
    return target.with_name(f"{target.name}.state")


def save_state(
    out: Path,
    key: str,
    step: int,
    tensors: Mapping[str, np.ndarray],
    counters: Mapping[str, Any],
) -> None:
    """Replace the state of the output ``out``; the old one stays valid until the new one is safe.

    Args:
        out: The output.
        key: Digest of parameters and inputs.
        step: Optimiser steps that are done.
        tensors: Weights, optimiser moments and generator states, by name.
        counters: Further JSON data.

    Raises:
        ResourceError: no disk or no permission; the old state is intact.
    """
    about = {"key": key, "step": step, "counters": dict(counters)}
    folder = state_folder(out)
    with disk_errors(out):
        folder.mkdir(parents=True, exist_ok=True)
        for remains in remains_of(folder / STATE_NAME, "tmp"):
            remains.unlink(missing_ok=True)
        _save(folder / STATE_NAME, about, tensors)


def load_state(out: Path, key: str) -> State | None:
    """Return the state to resume from, None where there is none of the run with this key.

    Raises:
        DamagedArtifactError: the state is not what was written.
    """
    file = state_folder(out) / STATE_NAME
    if not file.is_file():
        return None
    try:
        content = _load(file)
        about = parse_record(_OfTraining, content.metadata["about"], str(file))
    except DamagedArtifactError as error:
        advice = f"{file}: {_WAY_OUT}"
        raise DamagedArtifactError(*error.faults, advice) from None
    return State(about.step, content.tensors, about.counters) if about.key == key else None


def saved_parts(out: Path) -> list[SavedPart]:
    """Return what an interrupted run left of the output ``out``: its state, or finished units.

    Raises:
        UsageError: what is where the state has to go is not a folder for state.
        DamagedArtifactError: a file there has a name that nnit gives, but does not say that nnit
            wrote it.
    """
    folder = state_folder(out)
    for inner in (folder, folder / UNITS_FOLDER):
        other = os.path.lexists(inner) and not _is_real_folder(inner)
        if other or is_artifact(inner):
            raise UsageError(
                f"{inner}: is in the way of the state of {out}, and is no folder for it; move it "
                "away, or choose another --out"
            )
    parts = []
    for file in _state_files(folder):
        part = _saved_part(file)
        if part is None:
            raise DamagedArtifactError(
                f"{file}: is damaged, or not state that nnit wrote; {_WAY_OUT}"
            )
        parts.append(part)
    return parts


def clear_state(out: Path, keep: str | None = None) -> None:
    """Remove the state of the output ``out``, and finished units; what is not nnit's stays.

    Args:
        out: The output.
        keep: The key of the run whose state and units stay too.
    """
    folder = state_folder(out)
    with disk_errors(out):
        for file in _state_files(folder):
            part = _saved_part(file)
            if part is not None and part.key != keep:
                file.unlink(missing_ok=True)
        for inner in reversed(_real_folders(folder)):
            for file in filter(_is_remains, inner.iterdir()):
                file.unlink(missing_ok=True)
            with suppress(OSError):  # something else is in it
                inner.rmdir()


def shard_output(out: Path, shard: Shard) -> Path:
    """Return what stands for the output ``out`` where one of several runs does a part of it."""
    target = Path(os.path.realpath(out))
    return target.with_name(f"{target.name}.shard-{shard.number}-of-{shard.count}")


def shard_counts(out: Path) -> set[int]:
    """Return into how many parts runs have cut the work for the output ``out``."""
    target = Path(os.path.realpath(out))
    if not target.parent.is_dir():
        return set()
    names = (one.name for one in target.parent.iterdir() if one.name.startswith(target.name))
    found = (_SHARD.fullmatch(name.removeprefix(target.name)) for name in names)
    return {int(match[2]) for match in found if match}


class UnitStore:
    """Finished pieces of work that many workers share, kept until the output is written.

    Args:
        out: The output.
        key: Digest of parameters and inputs; units of another key count as missing.
        others: Further outputs, whose finished units count too.
    """

    def __init__(self, out: Path, key: str, others: Iterable[Path] = ()) -> None:
        self._out = out
        self._key = key
        self._folder = state_folder(out) / UNITS_FOLDER
        found = (sorted((state_folder(one) / UNITS_FOLDER).glob(f"*{_SUFFIX}")) for one in others)
        self._elsewhere = {file.name: file for files in found for file in files}

    def load(self, unit_id: str) -> dict[str, np.ndarray] | None:
        """Return a finished unit; None where it is missing, damaged or of another run.

        A damaged unit is made again like a missing one: it costs one unit of work, while an
        error would cost the run.
        """
        file = self._file(unit_id)
        if not file.is_file():
            file = self._elsewhere.get(file.name, file)
        if not file.is_file():
            return None
        try:
            content = _load(file)
        except DamagedArtifactError:
            return None
        mine = content.metadata["about"] == {"key": self._key, "unit": unit_id}
        return content.tensors if mine else None

    def save(self, unit_id: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a finished unit; once this returns it survives a crash.

        Raises:
            ResourceError: no disk or no permission.
        """
        with disk_errors(self._out):
            _save(self._file(unit_id), {"key": self._key, "unit": unit_id}, arrays)

    def _file(self, unit_id: str) -> Path:
        if not _UNIT_ID.fullmatch(unit_id):
            raise ValueError(f"{unit_id!r} is not a unit's name")
        return self._folder / f"{unit_id}.safetensors"


def _save(file: Path, about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
    metadata = {"about": about, "sha256": _fingerprint(about, tensors)}
    data = tensor_bytes(tensors, metadata, finite=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_file(file, data)


def _load(file: Path) -> TensorFile:
    content = read_tensors(file, finite=False)
    said = parse_record(_Metadata, content.metadata, str(file))
    if said.sha256 != _fingerprint(said.about, content.tensors):
        raise DamagedArtifactError(f"{file}: its bytes are not those that were written")
    return content


def _fingerprint(about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(canonical_json(about).encode())
    for name in sorted(tensors):
        array = np.asarray(tensors[name], order="C")
        digest.update(f"\0{name}\0{array.dtype.name}\0{array.shape}\0".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _real_folders(folder: Path) -> list[Path]:
    """Return the folder of a state and that of its units, up to one that is missing or a link."""
    return list(itertools.takewhile(_is_real_folder, (folder, folder / UNITS_FOLDER)))


def _state_files(folder: Path) -> Iterator[Path]:
    """Yield what has a name that nnit gives to a file of state."""
    for inner in _real_folders(folder):
        for file in sorted(inner.iterdir()):
            if file.name == STATE_NAME if inner == folder else _is_units_name(file.name):
                yield file


def _saved_part(file: Path) -> SavedPart | None:
    """Return what a file's header says; None where it does not say that nnit wrote this file."""
    try:
        if not stat.S_ISREG(file.lstat().st_mode):
            return None
        about = parse_record(_Metadata, read_metadata(file), str(file)).about
        if file.name == STATE_NAME:
            training = parse_record(_OfTraining, about, str(file))
            return SavedPart(training.key, training.step)
        unit = parse_record(_OfUnit, about, str(file))
        return SavedPart(unit.key, None) if unit.unit == file.name.removesuffix(_SUFFIX) else None
    except (DamagedArtifactError, FileNotFoundError):
        return None


def _is_real_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_units_name(name: str) -> bool:
    return name.endswith(_SUFFIX) and bool(_UNIT_ID.fullmatch(name.removesuffix(_SUFFIX)))


def _is_remains(file: Path) -> bool:
    """Whether a file is what a run that was killed had not finished."""
    name = hidden_for(file.name, "tmp")
    return name is not None and _is_units_name(name) and not file.is_dir()
