"""State to resume from, beside an output that is not finished: ``<out>.state/``.

Each file in it is replaced in one step after it is on the device, so that a crash leaves the old
state or the new one. Every file carries hashes of its content and the key of the run that wrote
it: the digest of its parameters and inputs.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnit.artifacts.canonical import JsonObject, canonical_json
from nnit.artifacts.durable import disk_errors, replace_file
from nnit.artifacts.weights import TensorFile, read_tensors, tensor_bytes
from nnit.errors import DamagedArtifactError

STATE_NAME = "training.safetensors"
UNITS_FOLDER = "units"
_UNIT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class State:
    """Where a training stopped."""

    step: int
    tensors: dict[str, np.ndarray]
    counters: dict[str, Any]  # JSON data


@dataclass(frozen=True)
class OtherState:
    """State of another run with the same output: other parameters or other inputs."""

    step: int
    key: str


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
        for remains in folder.glob(f".{STATE_NAME}.tmp-*"):  # of a run that was killed
            remains.unlink(missing_ok=True)
        _save(folder / STATE_NAME, about, tensors)


def load_state(out: Path, key: str) -> State | OtherState | None:
    """Return the state to resume from, None where there is none.

    Raises:
        DamagedArtifactError: the state is not what was written.
    """
    file = state_folder(out) / STATE_NAME
    if not file.is_file():
        return None
    try:
        content = _load(file)
        fields = JsonObject(content.metadata["about"], str(file))
        fields.only(["key", "step", "counters"])
        step, found = fields.integer("step", 0), fields.text("key")
        counters = fields.object("counters").value
    except DamagedArtifactError as error:
        advice = f"{file.parent}: remove this folder to start from the beginning"
        raise DamagedArtifactError(*error.faults, advice) from None
    if found != key:
        return OtherState(step, found)
    return State(step, content.tensors, counters)


def clear_state(out: Path) -> None:
    """Remove the state of the output ``out``, including finished units."""
    folder = state_folder(out)
    with disk_errors(out):
        for inner in (folder / UNITS_FOLDER, folder):
            _remove_files(inner)


class UnitStore:
    """Finished pieces of work that many workers share, kept until the output is written.

    Args:
        out: The output.
        key: Digest of parameters and inputs; units of another key count as missing.
    """

    def __init__(self, out: Path, key: str) -> None:
        self._out = out
        self._key = key
        self._folder = state_folder(out) / UNITS_FOLDER

    def load(self, unit_id: str) -> dict[str, np.ndarray] | None:
        """Return a finished unit; None where it is missing, damaged or of another run.

        A damaged unit is made again like a missing one: it costs one unit of work, while an
        error would cost the run.
        """
        file = self._file(unit_id)
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

    def clear(self) -> None:
        """Remove all units."""
        with disk_errors(self._out):
            _remove_files(self._folder)

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
    fields = JsonObject(content.metadata, str(file)).only(["about", "sha256"])
    about = fields.object("about").value
    if fields.text("sha256") != _fingerprint(about, content.tensors):
        raise DamagedArtifactError(f"{file}: its bytes are not those that were written")
    return content


def _fingerprint(about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(canonical_json(about).encode())
    for name in sorted(tensors):
        array = np.asarray(tensors[name], order="C")
        digest.update(f"\0{name}\0{array.dtype.name}\0{array.shape}\0".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _remove_files(folder: Path) -> None:
    """Remove the files that this module writes, and the folder if nothing else is in it."""
    if not folder.is_dir():
        return
    for file in folder.iterdir():
        if file.suffix == ".safetensors" or ".safetensors.tmp-" in file.name:
            file.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()
