"""Small files that a command writes outside of artifacts: metrics, loss curves, pages.

There is nothing that says whose such a file is, but its content: only an earlier one of the same
command is replaced, and none is put into an artifact, which would be damaged by it.
"""

import os
from collections.abc import Callable
from pathlib import Path

from nnit.artifacts.durable import disk_errors, remains_of, replace_file
from nnit.artifacts.locking import lock_output
from nnit.artifacts.publish import fault_of_place, require_writable
from nnit.errors import UsageError
from nnit.opening import open_regular

MAX_READ_BYTES = 2**20  # of a file that is there, to tell whose it is

IsEarlier = Callable[[bytes], bool]  # whether a file that begins so is one of the command's own


def fault_of_file(path: Path, is_earlier: IsEarlier) -> str:
    """Return why a small file should not be written at ``path``; nothing where it may be.

    Raises:
        ResourceError: the folder around it cannot be written to.
    """
    fault = fault_of_place(path)
    if fault:
        return fault
    if path.is_dir():
        return f"is a folder; name a file, as in {path / 'figures.json'}"
    if any(parent.is_file() for parent in path.parents):
        return "a file is where its folder has to be"
    if os.path.lexists(path):
        if path.is_symlink() or not path.is_file():
            return "is a link, or no regular file; name another"
        with open_regular(path) as stream:
            data = stream.read(MAX_READ_BYTES)
        if data and not is_earlier(data):
            return "is not what this command wrote before; remove it yourself, or name another file"
    require_writable(path)
    return ""


def write_loose(path: Path, data: bytes, is_earlier: IsEarlier) -> None:
    """Write a small file: whole or not at all, and never over somebody else's.

    Raises:
        UsageError: ``fault_of_file`` has something against it.
        ResourceError: no disk or no permission, or another process writes the same file.
    """
    fault = fault_of_file(path, is_earlier)
    if fault:
        raise UsageError(f"{path}: {fault}")
    target = Path(os.path.realpath(path))
    with disk_errors(path, every=True), lock_output(path):
        for remains in remains_of(target, "tmp"):
            remains.unlink()
        replace_file(target, data)
