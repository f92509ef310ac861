"""One writer for an output at a time.

The lock is ``flock`` on the sibling file ``.NAME.lock``, which holds the writer's process id. The
kernel releases it when the process ends, however it ends. The file is removed while the lock is
still held; whoever opened it just before finds, after getting the lock, that the name no longer
leads to the file that it locked, and starts over. So removing it never lets two writers in.
"""

import fcntl
import os
import re
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nnit.artifacts.durable import disk_errors
from nnit.errors import ResourceError, UsageError

_HOLDER = re.compile(rb"[0-9]{0,20}")  # the content of a lock file: a process id, or nothing yet

_held: dict[tuple[int, int, Path], int] = {}  # (process, thread, output) -> times entered


@contextmanager
def lock_output(path: Path) -> Iterator[None]:
    """Be the only process that writes the output ``path``.

    The same thread may enter again: a command that computes for long can hold the lock from its
    start, and the writing at its end takes it a second time.

    Raises:
        ResourceError: another process holds it (its id is in the message), or the folder around
            the output cannot be written to.
        UsageError: a file of somebody else's has the lock's name.
    """
    target = Path(os.path.realpath(path))
    owner = (os.getpid(), threading.get_ident(), target)
    if owner in _held:
        _held[owner] += 1
        try:
            yield
        finally:
            _held[owner] -= 1
        return
    name = target.with_name(f".{target.name}.lock")
    missing = [folder for folder in target.parents if not folder.exists()]  # from the inside out
    with disk_errors(path, every=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(name, path)
    _held[owner] = 1
    try:
        yield
    finally:
        del _held[owner]
        with suppress(OSError):
            name.unlink()
            for folder in missing:  # of a run that wrote nothing, nothing is left
                folder.rmdir()
        os.close(descriptor)


def _acquire(name: Path, shown: Path) -> int:
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(name, flags, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _leads_to(name, descriptor):
                _refuse_strange(name, descriptor, shown)
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode(), 0)
                return descriptor
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace")
            os.close(descriptor)
            who = f"process {holder}" if holder.isdigit() else "another process"
            raise ResourceError(
                f"{shown}: {who} is writing it; wait until it is done, or choose another --out"
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _refuse_strange(name: Path, descriptor: int, shown: Path) -> None:
    """Make sure that what is about to be overwritten and removed is a lock file."""
    regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
    if not regular or not _HOLDER.fullmatch(os.pread(descriptor, 32, 0)):
        raise UsageError(
            f"{shown}: {name} is in the way and is not a lock of nnit's; move it away, or choose "
            "another --out"
        )


def _leads_to(name: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(name.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
