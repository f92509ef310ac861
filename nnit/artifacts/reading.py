"""Opening an artifact: what is found, what was expected, and what to do about it."""

import difflib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nnit.artifacts.canonical import JsonObject
from nnit.artifacts.manifest import (
    KINDS,
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    ArraySpec,
    FileEntry,
    Manifest,
    parse_manifest,
)
from nnit.errors import (
    DamagedArtifactError,
    MissingArtifactError,
    ResourceError,
    WrongKindError,
)

SMALL_ARTIFACT_BYTES = 256 * 2**20  # below this the hashes are checked whenever it is opened
SHOWN_FAULTS = 5

Check = Literal["sizes", "small", "all"]


@dataclass(frozen=True)
class Artifact:
    """An artifact whose manifest was read and whose files have the sizes that it names."""

    path: Path
    manifest: Manifest

    @property
    def digest(self) -> str:
        """SHA-256 of everything in it, in hex."""
        return self.manifest.digest

    @property
    def attributes(self) -> JsonObject:
        """What the manifest keeps beside the arrays, to be read field by field."""
        return JsonObject(self.manifest.attributes, f"{self.path / MANIFEST_NAME}: attributes")

    @property
    def several(self) -> bool:
        """Whether it is of the schema for several tasks."""
        return self.manifest.schema == KINDS[self.manifest.kind].several

    def spec(self, name: str) -> ArraySpec:
        """Return shape and type of the array ``name``.

        Raises:
            DamagedArtifactError: the manifest does not know it.
        """
        if name not in self.manifest.arrays:
            raise DamagedArtifactError(f"{self.path / MANIFEST_NAME}: arrays: {name!r} is missing")
        return self.manifest.arrays[name]


def open_artifact(path: Path, *kinds: str, check: Check = "small") -> Artifact:
    """Open the artifact ``path``.

    Args:
        path: Its folder.
        kinds: What it may be; nothing means anything.
        check: ``"sizes"`` checks that every file is there with its size and no other file is;
            ``"small"`` also the hashes, of an artifact below ``SMALL_ARTIFACT_BYTES``; ``"all"``
            the hashes of any artifact.

    Raises:
        MissingArtifactError: no folder or no manifest there.
        WrongKindError: an artifact of another kind.
        UnknownSchemaError: written by another, probably newer, nnit.
        DamagedArtifactError: files are missing, changed or too many.
    """
    artifact = Artifact(path, _read_manifest(path, kinds))
    if kinds and artifact.manifest.kind not in kinds:
        raise WrongKindError(
            f"{path}: found an artifact of kind {artifact.manifest.kind}, expected "
            f"{' or '.join(kinds)}; make it with {_commands(kinds)}"
        )
    small = artifact.manifest.num_bytes < SMALL_ARTIFACT_BYTES
    hashed = check == "all" or (check == "small" and small)
    faults = _file_faults(artifact, hashed=hashed)
    if faults:
        more = len(faults) - SHOWN_FAULTS
        shown = faults[:SHOWN_FAULTS] + ([f"{path}: and {more} more"] if more > 0 else [])
        raise DamagedArtifactError(*shown)
    return artifact


def verify(path: Path) -> list[str]:
    """Compare every byte of an artifact with what was written.

    Returns:
        One line for each fault; an empty list means that it is whole.

    Raises:
        MissingArtifactError: no artifact there.
        UnknownSchemaError: written by another, probably newer, nnit.
    """
    try:
        return _file_faults(Artifact(path, _read_manifest(path, ())), hashed=True)
    except DamagedArtifactError as error:
        return list(error.faults)


def read_bytes(artifact: Artifact, name: str) -> bytes:
    """Read one whole file of an artifact.

    Raises:
        DamagedArtifactError: the manifest does not know it, or it is not as long as it says.
    """
    entry = artifact.manifest.files.get(name)
    file = artifact.path / name
    if entry is None:
        raise DamagedArtifactError(f"{file}: the manifest does not name this file")
    require_memory(entry.size, file)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DamagedArtifactError(f"{file}: cannot be read ({error.strerror})") from error
    if len(data) != entry.size:
        raise DamagedArtifactError(f"{file}: found {len(data)} bytes, expected {entry.size}")
    return data


def require_memory(num_bytes: int, what: object) -> None:
    """Refuse to read more than the machine's memory holds.

    Raises:
        ResourceError: it does not fit.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if num_bytes > memory:
        raise ResourceError(
            f"{what}: needs {num_bytes / 2**30:.1f} GiB of memory, the machine has "
            f"{memory / 2**30:.1f} GiB"
        )


def _read_manifest(path: Path, kinds: tuple[str, ...]) -> Manifest:
    file = path / MANIFEST_NAME
    if not path.is_dir():
        found = "is a file, not the folder of an artifact" if path.exists() else "no such artifact"
        raise MissingArtifactError(f"{path}: {found}; {_way_out(path, kinds)}")
    if file.is_symlink():
        raise DamagedArtifactError(f"{file}: is a link; an artifact holds its own files")
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_MANIFEST_BYTES + 1)
    except FileNotFoundError:
        raise MissingArtifactError(
            f"{path}: has no {MANIFEST_NAME}, so it is not an artifact; {_way_out(path, kinds)}"
        ) from None
    except OSError as error:
        raise DamagedArtifactError(f"{file}: cannot be read ({error.strerror})") from error
    if len(data) > MAX_MANIFEST_BYTES:
        raise DamagedArtifactError(f"{file}: larger than {MAX_MANIFEST_BYTES} bytes")
    return parse_manifest(data, str(file))


def _way_out(path: Path, kinds: tuple[str, ...]) -> str:
    advice = f"make it with {_commands(kinds)}" if kinds else "check the path"
    beside = path.parent if path.parent.is_dir() else None
    names = [p.parent.name for p in beside.glob(f"*/{MANIFEST_NAME}")] if beside else []
    close = difflib.get_close_matches(path.name, sorted(names), n=1)
    return f"did you mean {path.parent / close[0]}? Or {advice}" if close else advice


def _commands(kinds: tuple[str, ...]) -> str:
    return " or ".join(f"`{KINDS[kind].command}`" for kind in kinds)


def _file_faults(artifact: Artifact, *, hashed: bool) -> list[str]:
    faults: list[str] = []
    expected = dict(artifact.manifest.files)
    found = _sizes(artifact.path, faults.append)
    found.pop(MANIFEST_NAME, None)
    for name in sorted(expected.keys() | found.keys()):
        file = artifact.path / name
        if name not in found:
            faults.append(f"{file}: is missing")
        elif name not in expected:
            faults.append(f"{file}: is not part of the artifact; remove it")
        elif found[name] != expected[name].size:
            faults.append(f"{file}: found {found[name]} bytes, expected {expected[name].size}")
        elif hashed:
            faults += _hash_fault(file, expected[name])
    return faults


def _sizes(folder: Path, report: Callable[[str], None]) -> dict[str, int]:
    """Return the size of each plain file; anything else is reported."""
    sizes = {}
    for parent, folders, names in os.walk(folder):
        for name in [*names, *folders]:
            file = Path(parent, name)
            if file.is_symlink():
                report(f"{file}: is a link; an artifact holds its own files")
            elif file.is_file():
                sizes[file.relative_to(folder).as_posix()] = file.stat().st_size
            elif not file.is_dir():
                report(f"{file}: is neither a file nor a folder")
    return sizes


def _hash_fault(file: Path, entry: FileEntry) -> list[str]:
    try:
        with file.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return [f"{file}: cannot be read ({error.strerror})"]
    if sha256 == entry.sha256:
        return []
    return [f"{file}: its bytes changed (SHA-256 {sha256[:12]}, expected {entry.sha256[:12]})"]
