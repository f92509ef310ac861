"""Arrays of numbers out of a ``.npz`` file that may come from anywhere.

What a member announces is held against what may be, before it is unpacked, and unpacking stops
there. ``numpy.load`` unpacks whatever there is.
"""

import math
import struct
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import SEEK_END, BufferedReader
from pathlib import Path

import numpy as np

from nnit.errors import DamagedArtifactError
from nnit.opening import open_regular

MAX_MEMBERS = 64
END, END_BYTES = b"PK\5\6", 22  # of a zip file without a comment: how many members, from where on
LARGE_END, LARGE_END_BYTES = b"PK\6\7", 20  # what stands before it in a file of over 4 GiB
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
NUMBERS = "biuf"  # kinds of types: truth, whole numbers, floating-point numbers
MAX_DIMENSIONS = 3
CHUNK_BYTES = 2**20


@contextmanager
def open_npz(path: Path, what: str) -> Iterator[zipfile.ZipFile]:
    """Open a ``.npz`` file; whatever is wrong with it while it is open is an error of its own.

    Args:
        path: The file.
        what: What messages call it.

    Raises:
        MissingArtifactError: nothing is there.
        DamagedArtifactError: not such a file.
    """
    with open_regular(path) as stream:
        try:
            _require_few_members(stream)
            with zipfile.ZipFile(stream) as archive, warnings.catch_warnings(action="ignore"):
                names = archive.namelist()
                if len(set(names)) < len(names):
                    raise ValueError("a name twice")
                yield archive
        except DamagedArtifactError:
            raise
        except Exception as error:  # noqa: BLE001 - numpy and zipfile raise errors of a dozen types
            said = " ".join(str(error).split())[:200]
            raise DamagedArtifactError(f"{what}: is not a .npz file: {said}") from None


def names_of(archive: zipfile.ZipFile) -> set[str]:
    """Return the names of the arrays."""
    return {name.removesuffix(".npy") for name in archive.namelist()}


def read_member(
    archive: zipfile.ZipFile, name: str, *, max_rows: int, max_bytes: int
) -> np.ndarray:
    """Return an array of numbers of an open file.

    Args:
        archive: The file.
        name: Of the array.
        max_rows: How long its first dimension may be.
        max_bytes: How large it may be.

    Raises:
        ValueError: it is none, larger, or not as long as it says; ``open_npz`` says in which file.
    """
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type not in PACKED:
        raise ValueError(f"{name}: is packed in a way that numpy does not use")
    with archive.open(info) as member:
        if np.lib.format.read_magic(member) != (1, 0):
            raise ValueError(f"{name}: is of another version than numpy writes")
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(member)
        if dtype.kind not in NUMBERS or dtype.names:
            raise ValueError(f"{name}: found {dtype}, expected numbers")
        size = dtype.itemsize * math.prod(shape)
        if not 1 <= len(shape) <= MAX_DIMENSIONS or min(shape) < 0 or shape[0] > max_rows:
            raise ValueError(f"{name}: found shape {shape}, expected at most {max_rows} rows")
        if size > max_bytes:
            raise ValueError(f"{name}: found {size} bytes, expected at most {max_bytes}")
        data = np.empty(size, np.uint8)
        for start in range(0, size, CHUNK_BYTES):
            piece = data[start : start + CHUNK_BYTES]
            piece[:] = np.frombuffer(member.read(len(piece)), np.uint8)
        if member.read(1):
            raise ValueError(f"{name}: is longer than it says")
    array = data.view(dtype)
    return array.reshape(shape[::-1]).T if by_columns else array.reshape(shape)


def _require_few_members(stream: BufferedReader) -> None:
    """Look at how many members a zip file has before all of them are listed.

    Raises:
        ValueError: more than arrays need, or no zip file as numpy writes it.
        OSError: too short.
    """
    stream.seek(-END_BYTES, SEEK_END)
    end = stream.read(END_BYTES)
    members, list_bytes = struct.unpack("<HI", end[10:16])
    if not (end.startswith(END) and end.endswith(b"\0\0")):
        raise ValueError("does not end as numpy ends it")
    if members > MAX_MEMBERS or list_bytes > MAX_MEMBERS * 2**10:
        raise ValueError(f"found {members} members, expected a few arrays")
    if stream.seek(0, SEEK_END) >= END_BYTES + LARGE_END_BYTES:
        stream.seek(-END_BYTES - LARGE_END_BYTES, SEEK_END)
        if stream.read(LARGE_END_BYTES).startswith(LARGE_END):
            raise ValueError("is larger than arrays of examples are")
