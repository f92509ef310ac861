"""Files and folders that survive a crash: sync, atomic replacement, and disk errors in words."""

import ctypes
import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nnit.errors import NnitError, ResourceError

_AT_FDCWD = -100
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)

_GONE = "its folder was removed or replaced meanwhile; run the command again"
_ADVICE = {
    errno.ENOSPC: "no space left on the device; free some, or write to another disk",
    errno.EDQUOT: "the disk quota is used up; free some space, or write to another disk",
    errno.EFBIG: "a file grew beyond the allowed size (see ulimit -f)",
    errno.EACCES: "permission denied; change the folder's permissions, or write elsewhere",
    errno.EPERM: "not permitted; change the folder's permissions, or write elsewhere",
    errno.EROFS: "the file system is read-only; write elsewhere",
    errno.EIO: "the device failed to read or write; check the disk",
    errno.ENOLCK: "the file system has no locks; write to a local disk",
    errno.EMFILE: "too many open files (see ulimit -n)",
    errno.ENOENT: _GONE,
    errno.ENOTDIR: _GONE,
    errno.ESTALE: _GONE,
}
_OF_ANY_FILE = (errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR)  # not of disks alone
_NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)
_HIDDEN = re.compile(r"\.(.+)\.(tmp|old)-[0-9]+-[0-9a-f]{8}", re.DOTALL)


@contextmanager
def disk_errors(path: Path, *, every: bool = False) -> Iterator[None]:
    """Turn the errors of a full, failing or vanished disk while writing ``path`` into one line.

    Args:
        path: The output.
        every: Also errors of any other number: nothing but writing happens in the block.

    Raises:
        ResourceError: instead of the ``OSError`` of the operating system.
    """
    try:
        yield
    except NnitError:
        raise
    except OSError as error:
        number = error.errno
        elsewhere = number in _OF_ANY_FILE and not _beside(error.filename, path)
        if not every and (number not in _ADVICE or elsewhere):
            raise
        advice = _ADVICE.get(number or 0, f"{error.strerror or error}; choose another --out")
        raise ResourceError(f"{path}: cannot write: {advice}") from error


def _beside(filename: object, path: Path) -> bool:
    if not isinstance(filename, str | os.PathLike):
        return True
    parent = os.path.realpath(path.parent)
    return os.path.realpath(filename).startswith(parent) or parent.startswith(
        os.path.realpath(filename)
    )


def sync_file(path: Path) -> None:
    """Wait until the content of a file or the names in a folder are on the device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hidden_beside(path: Path, purpose: str) -> Path:
    """Return a new name for what a writer of ``path`` keeps beside it.

    Args:
        path: What is written.
        purpose: ``tmp`` for what is not finished, ``old`` for what was there before.
    """
    return path.with_name(f".{path.name}.{purpose}-{os.getpid()}-{secrets.token_hex(4)}")


def remains_of(path: Path, purpose: str) -> list[Path]:
    """Return what killed writers of ``path`` left, by the exact names of ``hidden_beside``."""
    return [e for e in sorted(path.parent.iterdir()) if hidden_for(e.name, purpose) == path.name]


def hidden_for(name: str, purpose: str) -> str | None:
    """Return the file name that ``hidden_beside`` made ``name`` for; None where it did not."""
    match = _HIDDEN.fullmatch(name)
    return match[1] if match and match[2] == purpose else None


def probe(path: Path) -> None:
    """Find out whether ``path``, or something beside it, can be made, and leave nothing there.

    Raises:
        OSError: it can't.
    """
    try:
        os.close(os.open(path.parent, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError as error:
        if error.errno not in _NO_TMPFILE:
            raise
        named = hidden_beside(path, "tmp")  # this file system has no files without names
        named.mkdir()
        named.rmdir()


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that after a crash it is either the old one or the new one, whole."""
    temporary = hidden_beside(path, "tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_file(path.parent)


def move_new(source: Path, target: Path) -> None:
    """Rename a folder to a name that must be free.

    Raises:
        FileExistsError: something is at ``target``.
    """
    if _rename(source, target, _RENAME_NOREPLACE):
        return
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    source.rename(target)


def exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step; False where the file system cannot."""
    return _rename(one, other, _RENAME_EXCHANGE)


def _rename(source: Path, target: Path, flags: int) -> bool:
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:  # a C library older than the call
        return False
    names = os.fsencode(source), os.fsencode(target)
    if renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], flags) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(source), None, str(target))
