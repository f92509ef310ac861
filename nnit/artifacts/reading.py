"""Opening an artifact: what is found, what was expected, and what to do about it."""

import difflib
import functools
import hashlib
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

from nnit.artifacts.canonical import parse_canonical, parse_json
from nnit.artifacts.manifest import (
    KINDS,
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    ArraySpec,
    Manifest,
    parse_manifest,
)
from nnit.artifacts.records import parse_record
from nnit.errors import (
    DamagedArtifactError,
    MissingArtifactError,
    ResourceError,
    WrongKindError,
)
from nnit.opening import open_regular, read_bounded

SMALL_ARTIFACT_BYTES = 256 * 2**20  # below this the hashes are checked whenever it is opened
SHOWN_FAULTS = 5
TRIES = 100  # to read an artifact that others go on replacing

Check = Literal["sizes", "small", "all"]
Asked = ParamSpec("Asked")
Read = TypeVar("Read")


class Folder:
    """A folder that stays the same one, whatever its name comes to lead to.

    Files are reached through the open folder itself, by way of ``/proc/self/fd``; it is closed when
    nothing refers to it any more.

    Raises:
        MissingArtifactError: no folder is there.
        DamagedArtifactError: it can't be opened.
    """

    def __init__(self, path: Path) -> None:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError, ValueError):  # the last of a zero byte
            raise MissingArtifactError(f"{path}: no folder is there") from None
        except OSError as error:
            raise DamagedArtifactError(f"{path}: cannot be read ({error.strerror})") from error
        self.path = Path(f"/proc/self/fd/{descriptor}")
        weakref.finalize(self, os.close, descriptor)


@dataclass(frozen=True)
class Artifact:
    """An artifact whose manifest was read and whose files have the sizes that it names.

    Its files are those of one moment: replaced by another, it still reads as what it was.
    """

    path: Path  # as it was asked for
    manifest: Manifest
    folder: Folder

    def file(self, name: str) -> Path:
        """Return where to open a file of it; ``path / name`` is what to call it."""
        return self.folder.path / name

    @property
    def digest(self) -> str:
        """SHA-256 of everything in it, in hex."""
        return self.manifest.digest

    def attribute(self, name: str, type_: Any) -> Any:  # noqa: ANN401
        """Return something that the manifest keeps beside the arrays.

        Raises:
            DamagedArtifactError: it is missing, or not of the type.
        """
        where = f"{self.path / MANIFEST_NAME}: attributes: {name}"
        if name not in self.manifest.attributes:
            raise DamagedArtifactError(f"{where}: is missing")
        return parse_record(type_, self.manifest.attributes[name], where)

    @property
    def several(self) -> bool:
        """Whether it is of several tasks, as its schema or, of one for both, its attributes say."""
        kind, schema = KINDS[self.manifest.kind], self.manifest.schema
        if kind.half and schema == kind.half:
            return "interfaces" in self.manifest.attributes
        return schema == kind.several

    def spec(self, name: str) -> ArraySpec:
        """Return shape and type of the array ``name``.

        Raises:
            DamagedArtifactError: the manifest does not know it.
        """
        if name not in self.manifest.arrays:
            raise DamagedArtifactError(f"{self.path / MANIFEST_NAME}: arrays: {name!r} is missing")
        return self.manifest.arrays[name]


def of_one_moment(read: Callable[Asked, Read]) -> Callable[Asked, Read]:
    """Begin again where the artifact ``path``, the first argument, was replaced during a read.

    What is replaced is removed, so that the rest of it can't be read any more; the new one can.
    """

    @functools.wraps(read)
    def reader(*args: Asked.args, **kwargs: Asked.kwargs) -> Read:
        for _ in range(TRIES):
            before = _identity(args[0])
            try:
                return read(*args, **kwargs)
            except (DamagedArtifactError, MissingArtifactError):
                if _identity(args[0]) == before:
                    raise
        return read(*args, **kwargs)

    return reader


def _identity(path: object) -> tuple[int, ...] | None:
    assert isinstance(path, Path)
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns  # numbers of inodes are used again


@of_one_moment
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
    artifact = _read_manifest(path, kinds)
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
        _require_whole(path)
    except DamagedArtifactError as error:
        return list(error.faults)
    return []


@of_one_moment
def _require_whole(path: Path) -> None:
    faults = _file_faults(_read_manifest(path, ()), hashed=True)
    if faults:
        raise DamagedArtifactError(*faults)


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
    with damage_at(artifact.file(name), file):
        data = read_bounded(artifact.file(name), entry.size)
    if len(data) != entry.size:
        raise DamagedArtifactError(f"{file}: found {len(data)} bytes, expected {entry.size}")
    return data


def read_record(artifact: Artifact, name: str, type_: type[Read], *, skim: bool = False) -> Read:
    """Read one file of an artifact as a record.

    Args:
        artifact: Where from.
        name: Which file.
        type_: What it must be.
        skim: Leave it to others to see whether it is spelled as nnit does, which takes longest.

    Raises:
        DamagedArtifactError: it is not so spelled, or not of the type.
    """
    where, parse = str(artifact.path / name), parse_json if skim else parse_canonical
    return parse_record(type_, parse(read_bytes(artifact, name), where), where)


@contextmanager
def damage_at(opened: Path, shown: Path) -> Iterator[None]:
    """Say of a file within an artifact that is missing or damaged where a person finds it.

    Raises:
        DamagedArtifactError: instead of either error, with the path that is shown.
    """
    try:
        yield
    except (MissingArtifactError, DamagedArtifactError) as error:
        faults = [fault.replace(str(opened), str(shown)) for fault in error.faults]
        raise DamagedArtifactError(*faults) from None


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


def _read_manifest(path: Path, kinds: tuple[str, ...]) -> Artifact:
    """Open the folder and read its manifest; the files are not looked at yet."""
    file = path / MANIFEST_NAME
    try:
        folder = Folder(path)
    except MissingArtifactError:
        found = "is a file, not the folder of an artifact" if path.exists() else "no such artifact"
        raise MissingArtifactError(f"{path}: {found}; {_way_out(path, kinds)}") from None
    inside = folder.path / MANIFEST_NAME
    if inside.is_symlink():
        raise DamagedArtifactError(f"{file}: is a link; an artifact holds its own files")
    if not os.path.lexists(inside):
        raise MissingArtifactError(
            f"{path}: has no {MANIFEST_NAME}, so it is not an artifact; {_way_out(path, kinds)}"
        )
    with damage_at(inside, file):
        data = read_bounded(inside, MAX_MANIFEST_BYTES)
    return Artifact(path, parse_manifest(data, str(file)), folder)


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
    found = _sizes(artifact, faults.append)
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
            faults += _hash_fault(artifact, name)
    return faults


def _sizes(artifact: Artifact, report: Callable[[str], None]) -> dict[str, int]:
    """Return the size of each plain file; anything else is reported."""
    sizes, top = {}, artifact.folder.path

    def unreadable(error: OSError) -> None:
        folder = Path(error.filename).relative_to(top)
        report(f"{artifact.path / folder}: cannot be read ({error.strerror})")

    for parent, folders, names in os.walk(top, onerror=unreadable):
        for name in [*names, *folders]:
            file = Path(parent, name)
            place = file.relative_to(top)
            if file.is_symlink():
                report(f"{artifact.path / place}: is a link; an artifact holds its own files")
            elif file.is_file():
                with suppress(FileNotFoundError):  # removed since: it is missing
                    sizes[place.as_posix()] = file.stat().st_size
            elif not file.is_dir():
                report(f"{artifact.path / place}: is neither a file nor a folder")
    return sizes


def _hash_fault(artifact: Artifact, name: str) -> list[str]:
    entry, file = artifact.manifest.files[name], artifact.path / name
    try:
        with (
            damage_at(artifact.file(name), file),
            open_regular(artifact.file(name)) as stream,
        ):
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    except DamagedArtifactError as error:
        return list(error.faults)
    except OSError as error:
        return [f"{file}: cannot be read ({error.strerror})"]
    if sha256 == entry.sha256:
        return []
    return [f"{file}: its bytes changed (SHA-256 {sha256[:12]}, expected {entry.sha256[:12]})"]
