"""Writing an artifact: whole, or not at all.

The files are written into a hidden folder beside the output, hashed and synced; the manifest comes
last, then one rename puts the folder in place. A crash at any moment leaves the old output or the
new one, and at most a hidden folder that the next writer removes.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nnit.artifacts.canonical import parse_json
from nnit.artifacts.durable import (
    disk_errors,
    exchange,
    hidden_beside,
    move_new,
    probe,
    remains_of,
    sync_file,
)
from nnit.artifacts.locking import lock_output
from nnit.artifacts.manifest import (
    KINDS,
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    ArraySpec,
    FileEntry,
    Provenance,
    is_safe_path,
    new_manifest,
)
from nnit.errors import DamagedArtifactError, NnitError, OutputExistsError, UsageError
from nnit.opening import read_bounded

HIDDEN_ROOM = 32  # bytes that the names beside an output are longer than its own, at most
INNER_ROOM = 256  # bytes that paths within it are longer than its own, at most
MAX_SHOWN = 200  # characters of a path that is too long
_VERSION_FIELD = b'"nnit_version"'  # in the bytes of every manifest


class ArtifactWriter:
    """The folder of an artifact that is being written.

    Attributes:
        folder: Where its files go; it is not at its final place yet.
        attributes: What the manifest will say under ``attributes``; may be added to.
        arrays: Shape and type of each array that was written.
    """

    def __init__(self, folder: Path, attributes: Mapping[str, Any]) -> None:
        self.folder = folder
        self.attributes = dict(attributes)
        self.arrays: dict[str, ArraySpec] = {}

    def write_file(self, path: str, data: bytes) -> None:
        """Write one file; ``path`` is relative to the folder, with ``/``."""
        if not is_safe_path(path):
            raise ValueError(f"{path!r} is not a path inside the artifact")
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


@contextmanager
def publish(
    path: Path,
    kind: str,
    provenance: Provenance,
    attributes: Mapping[str, Any],
    *,
    force: bool = False,
) -> Iterator[ArtifactWriter]:
    """Write the artifact ``path``: it appears when the block ends, and only if it ends well.

    Args:
        path: The folder to make; missing parents are made too.
        kind: One of ``KINDS``.
        provenance: What it was made from.
        attributes: What the manifest keeps beside the arrays.
        force: Replace an artifact of the same kind that is there already.

    Raises:
        OutputExistsError: something is at ``path`` and ``force`` is off.
        UsageError: ``force``, but what is there is not an artifact of this kind.
        ResourceError: no disk, no permission, or another process writes the same output.
    """
    _require_place(path)
    _require_replaceable(path, kind, force=force)
    target = Path(os.path.realpath(path))
    with disk_errors(path), lock_output(path):
        _clear_remains(target)
        _require_replaceable(path, kind, force=force)
        folder = hidden_beside(target, "tmp")
        folder.mkdir()
        made = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            writer = ArtifactWriter(folder, attributes)
            yield writer
            if not os.path.samestat(folder.stat(), os.fstat(made)):  # removed, and made again
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
            _finish(writer, kind, provenance)
            _require_replaceable(path, kind, force=force)  # files may have been put there meanwhile
            _put_in_place(folder, target)
        finally:
            os.close(made)
            shutil.rmtree(folder, ignore_errors=True)


def check_output_free(path: Path, *, force: bool = False, kind: str | None = None) -> None:
    """Make sure that ``path`` can be written, for a command that computes first.

    Args:
        path: The output.
        force: Whether an artifact may be replaced.
        kind: Its kind, so that an artifact of another kind is not replaced.

    Raises:
        OutputExistsError: something is at ``path`` and ``force`` is off.
        UsageError: ``force``, but what is there is not an artifact (of this kind); or ``path`` is
            no name for an output, or lies inside an artifact.
        ResourceError: the folder around it cannot be written to.
    """
    _require_place(path)
    _require_replaceable(path, kind, force=force)
    require_writable(path)


def require_writable(path: Path) -> None:
    """Make sure that something can be made at ``path``, whose folders may be missing too.

    Raises:
        UsageError: a file is where a folder has to be.
        ResourceError: the first folder that is there cannot be written to.
    """
    target = _first_missing(Path(os.path.realpath(path)))
    if not target.parent.is_dir():
        raise UsageError(f"{path}: {target.parent} is not a folder; choose another place")
    with disk_errors(path, every=True):
        probe(target)


def fault_of_place(path: Path) -> str:
    """Return why nothing should be written at ``path``, whatever is there; nothing if it may be."""
    target = Path(os.path.realpath(path))
    if not target.name:
        return "is not a name for an output"
    first = _first_missing(target)
    longest = os.pathconf(first.parent, "PC_NAME_MAX") - HIDDEN_ROOM
    missing = target.parts[len(first.parts) - 1 :]
    if any(len(os.fsencode(part)) > longest for part in missing):
        return f"has a name of more than {longest} bytes"
    if len(os.fsencode(target)) > os.pathconf(first.parent, "PC_PATH_MAX") - INNER_ROOM:
        return "is too long a path"
    around = next((folder for folder in target.parents if is_artifact(folder)), None)
    return f"lies inside the artifact {around}, which it would damage" if around else ""


def is_artifact(folder: Path) -> bool:
    """Whether a folder has a manifest of nnit's, be it damaged."""
    return _VERSION_FIELD in _manifest_bytes(folder)


def _require_place(path: Path) -> None:
    fault = fault_of_place(path)
    if fault:
        shown = str(path) if len(str(path)) < MAX_SHOWN else f"{str(path)[:MAX_SHOWN]}..."
        raise UsageError(f"{shown}: {fault}; choose another --out")


def _first_missing(target: Path) -> Path:
    """Return the first of ``target`` and the folders around it that is not there, or ``target``."""
    while not os.path.lexists(target.parent):
        target = target.parent
    return target


def _require_replaceable(path: Path, kind: str | None, *, force: bool) -> None:
    target = Path(os.path.realpath(path))
    if not os.path.lexists(target):
        return
    if not force:
        raise OutputExistsError(f"{path}: exists already; replace it with --force, or choose --out")
    refusal = _why_not_replaceable(target, kind)
    if refusal:
        raise UsageError(
            f"{path}: {refusal}; --force only replaces an artifact of the same kind: "
            "move or remove it yourself, or choose another --out"
        )


def _why_not_replaceable(target: Path, kind: str | None) -> str:
    """Return why a folder may hold something that is not nnit's; nothing where it may go."""
    if target.is_symlink() or not target.is_dir():
        return "is a file"
    try:
        found = _files_of(target)
    except OSError as error:
        return f"cannot be looked through ({error.strerror})"
    if not found:
        return ""
    if MANIFEST_NAME not in found or (target / MANIFEST_NAME).is_symlink():
        return f"has no {MANIFEST_NAME}, so it is not an artifact"
    try:
        manifest = parse_json(_manifest_bytes(target), str(target))
    except DamagedArtifactError:
        manifest = None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        return (
            f"its {MANIFEST_NAME} is damaged or not nnit's, so that nobody knows which files in it "
            "are yours"
        )
    there = manifest.get("kind")
    if not isinstance(there, str) or there not in KINDS or "nnit_version" not in manifest:
        return f"its {MANIFEST_NAME} is not nnit's"
    if kind is not None and there != kind:
        return f"is an artifact of kind {there}, not {kind}"
    strangers = sorted(found - manifest["files"].keys() - {MANIFEST_NAME})
    return f"holds {strangers[0]!r}, which is not part of the artifact" if strangers else ""


def _manifest_bytes(folder: Path) -> bytes:
    """Return the bytes of a folder's manifest, none where it has no regular file of that name."""
    file = folder / MANIFEST_NAME
    try:
        return b"" if file.is_symlink() else read_bounded(file, MAX_MANIFEST_BYTES)
    except (NnitError, OSError):
        return b""


def _files_of(folder: Path) -> set[str]:
    """Return the path of everything in a folder but folders.

    Raises:
        OSError: a folder in it can't be read.
    """

    def refuse(error: OSError) -> None:
        raise error

    return {
        Path(parent, name).relative_to(folder).as_posix()
        for parent, folders, names in os.walk(folder, onerror=refuse)
        for name in [*names, *(n for n in folders if Path(parent, n).is_symlink())]
    }


def _clear_remains(target: Path) -> None:
    """Remove what writers that were killed left; holding the lock means that none is alive."""
    for entry in remains_of(target, "old"):
        if _why_not_replaceable(entry, None):
            continue  # nothing that a writer would have set aside
        if os.path.lexists(target):
            _remove(entry, target)
        else:
            entry.rename(target)
    for entry in remains_of(target, "tmp"):
        shutil.rmtree(entry, ignore_errors=True)


def _finish(writer: ArtifactWriter, kind: str, provenance: Provenance) -> None:
    folder = writer.folder
    mode = folder.stat().st_mode & 0o666  # what the umask leaves of rw-rw-rw-
    files = {}
    for name in sorted(_files_of(folder)):
        file = folder / name
        if file.is_symlink() or not file.is_file() or not is_safe_path(name):
            raise ValueError(f"{name!r} cannot be part of an artifact")
        file.chmod(mode)  # some libraries make files that only their owner may read
        with file.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            os.fsync(stream.fileno())
        files[name] = FileEntry(file.stat().st_size, sha256)
    manifest = new_manifest(kind, provenance, writer.attributes, writer.arrays, files)
    (folder / MANIFEST_NAME).write_bytes(manifest.to_bytes())
    sync_file(folder / MANIFEST_NAME)
    for parent, _, _ in os.walk(folder, topdown=False):
        sync_file(Path(parent))


def _put_in_place(folder: Path, target: Path) -> None:
    if not os.path.lexists(target):
        move_new(folder, target)
    elif not exchange(folder, target):
        aside = hidden_beside(target, "old")
        target.rename(aside)
        try:
            move_new(folder, target)
        except BaseException:
            with suppress(OSError):
                aside.rename(target)
            raise
        sync_file(target.parent)
        _remove(aside, target)
    sync_file(target.parent)


def _remove(old: Path, target: Path) -> None:
    """Remove what was replaced; half removed, it has a name that nobody puts back."""
    unfinished = hidden_beside(target, "tmp")
    with suppress(OSError):
        old.rename(unfinished)
        shutil.rmtree(unfinished, ignore_errors=True)
