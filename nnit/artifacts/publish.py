"""Writing an artifact: whole, or not at all.

The files are written into a hidden folder beside the output, hashed and synced; the manifest comes
last, then one rename puts the folder in place. A crash at any moment leaves the old output or the
new one, and at most a hidden folder that the next writer removes.
"""

import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nnit.artifacts.durable import disk_errors, exchange, move_new, sync_file
from nnit.artifacts.locking import lock_output
from nnit.artifacts.manifest import (
    KINDS,
    MANIFEST_NAME,
    ArraySpec,
    FileEntry,
    Provenance,
    is_safe_path,
    new_manifest,
)
from nnit.errors import OutputExistsError, UsageError


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
    target = _output_path(path)
    _require_replaceable(path, kind, force=force)
    with disk_errors(path), lock_output(path):
        _clear_remains(target)
        _require_replaceable(path, kind, force=force)
        folder = _hidden(target, "tmp")
        folder.mkdir()
        try:
            writer = ArtifactWriter(folder, attributes)
            yield writer
            _finish(writer, kind, provenance)
            _put_in_place(folder, target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def check_output_free(path: Path, *, force: bool = False, kind: str | None = None) -> None:
    """Make sure that ``path`` can be written, for a command that computes first.

    Args:
        path: The output.
        force: Whether an artifact may be replaced.
        kind: Its kind, so that an artifact of another kind is not replaced.

    Raises:
        OutputExistsError: something is at ``path`` and ``force`` is off.
        UsageError: ``force``, but what is there is not an artifact (of this kind).
        ResourceError: the folder around it cannot be written to.
    """
    target = _output_path(path)
    _require_replaceable(path, kind, force=force)
    ancestor = target.parent
    while not os.path.lexists(ancestor):
        ancestor = ancestor.parent
    if not ancestor.is_dir():
        raise UsageError(f"{path}: {ancestor} is not a folder; choose another --out")
    with disk_errors(path, every=True):
        Path(tempfile.mkdtemp(dir=ancestor, prefix=".nnit-probe-")).rmdir()


def _output_path(path: Path) -> Path:
    target = Path(os.path.realpath(path))
    if not target.name:
        raise UsageError(f"{path}: not a name for an output")
    return target


def _require_replaceable(path: Path, kind: str | None, *, force: bool) -> None:
    target = _output_path(path)
    if not os.path.lexists(target):
        return
    if not force:
        raise OutputExistsError(f"{path}: exists already; replace it with --force, or choose --out")
    refusal = _why_not_replaceable(target, kind)
    if refusal:
        raise UsageError(
            f"{path}: {refusal}; --force only replaces an artifact of the same kind: "
            "remove it yourself, or choose another --out"
        )


def _why_not_replaceable(target: Path, kind: str | None) -> str:
    if not target.is_dir():
        return "is a file"
    found = _files_of(target)
    if not found:
        return ""
    if MANIFEST_NAME not in found or (target / MANIFEST_NAME).is_symlink():
        return f"has no {MANIFEST_NAME}, so it is not an artifact"
    data = (target / MANIFEST_NAME).read_bytes()
    try:
        manifest = json.loads(data)
        known, there = set(manifest["files"]), manifest["kind"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return "" if b'"nnit_version"' in data else f"its {MANIFEST_NAME} is not nnit's"
    if there not in KINDS or "nnit_version" not in manifest:
        return f"its {MANIFEST_NAME} is not nnit's"
    if kind is not None and there != kind:
        return f"is an artifact of kind {there}, not {kind}"
    strangers = sorted(found - known - {MANIFEST_NAME})
    return f"holds {strangers[0]}, which is not part of the artifact" if strangers else ""


def _files_of(folder: Path) -> set[str]:
    return {
        Path(parent, name).relative_to(folder).as_posix()
        for parent, folders, names in os.walk(folder)
        for name in [*names, *(n for n in folders if Path(parent, n).is_symlink())]
    }


def _hidden(target: Path, purpose: str) -> Path:
    return target.with_name(f".{target.name}.{purpose}-{os.getpid()}-{secrets.token_hex(4)}")


def _clear_remains(target: Path) -> None:
    """Remove what writers that were killed left; holding the lock means that none is alive."""
    remains = sorted(target.parent.iterdir())
    for entry in remains:
        if entry.name.startswith(f".{target.name}.old-") and not os.path.lexists(target):
            entry.rename(target)
        elif entry.name.startswith((f".{target.name}.tmp-", f".{target.name}.old-")):
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
        aside = _hidden(target, "old")
        target.rename(aside)
        try:
            move_new(folder, target)
        except BaseException:
            with suppress(OSError):
                aside.rename(target)
            raise
        sync_file(target.parent)
        shutil.rmtree(aside, ignore_errors=True)
    sync_file(target.parent)
