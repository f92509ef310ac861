"""Open files that may come from anywhere: regular ones alone, and not more of them than is bound.

A pipe would make a reader wait for ever, and a device may have no end.
"""

import os
import stat
from io import BufferedReader
from pathlib import Path

from nnit.errors import DamagedArtifactError, MissingArtifactError


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file, or what a link to one leads to, to read its bytes.

    Raises:
        MissingArtifactError: nothing is there.
        DamagedArtifactError: a folder, a pipe or a device is, or it can't be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last of a zero byte
        raise MissingArtifactError(f"{path}: no such file") from None
    except OSError as error:
        raise DamagedArtifactError(f"{path}: cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DamagedArtifactError(f"{path}: is not a regular file")
    return os.fdopen(descriptor, "rb")


def read_bounded(path: Path, limit: int) -> bytes:
    """Read a whole regular file of at most ``limit`` bytes.

    Raises:
        MissingArtifactError: nothing is there.
        DamagedArtifactError: no regular file, a larger one, or one that can't be read.
    """
    with open_regular(path) as stream:
        try:
            data = stream.read(limit + 1)
        except OSError as error:
            raise DamagedArtifactError(f"{path}: cannot be read ({error.strerror})") from error
    if len(data) > limit:
        raise DamagedArtifactError(f"{path}: larger than {limit} bytes")
    return data
