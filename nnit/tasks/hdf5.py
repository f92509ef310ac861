"""Groups and arrays of numbers of an HDF5 file that may come from anywhere.

HDF5 follows links into other files, takes raw data from files that it names, and unpacks whatever
a chunk holds. Here only what lies in the file itself is read, and sizes are compared with the
file's own before anything is unpacked.
"""

import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnit.errors import DamagedArtifactError, NnitError
from nnit.opening import open_regular

NUMBERS = "biuf"  # kinds of types: truth, whole numbers, floating-point numbers
MAX_BYTES = 2**31  # that all arrays of a file may have
FREE_BYTES = 2**26  # that those of a file of any size may have
MAX_RATIO = 8  # of what they have beyond that, to the size of the file
MAX_CHUNKS = 4096  # of an array
SHUFFLE, DEFLATE, FLETCHER32 = 2, 1, 3  # numbers of filters, in the order that they are applied in
CHECKSUM_BYTES = 4
SLACK_BYTES = 2**10  # by which packing may make a chunk larger


class Source:
    """An open file, and how much of it may still be read."""

    def __init__(self, path: Path, file: Any, allowance: int) -> None:  # noqa: ANN401
        self.path, self._file, self._allowance = path, file, allowance

    def group(self, name: str) -> "Group | None":
        """Return a group at the top of the file; None where there is none."""
        import h5py

        found = _own(self._file, name)
        return Group(self, found) if isinstance(found, h5py.Group) else None

    def spend(self, num_bytes: int) -> None:
        """Count what is about to be read.

        Raises:
            ValueError: it is out of proportion to the file.
        """
        self._allowance -= num_bytes
        if self._allowance < 0:
            raise ValueError("its arrays are larger than a file of its size can hold")


class Group:
    """A group of arrays."""

    def __init__(self, source: Source, group: Any) -> None:  # noqa: ANN401
        self._source, self._group = source, group

    def array(self, name: str) -> "StoredArray | None":
        """Return an array of numbers; None where there is nothing, or a group.

        Raises:
            ValueError: it holds no numbers, or is another file's.
        """
        import h5py

        found = _own(self._group, name)
        if found is None or isinstance(found, h5py.Group):
            return None
        if not isinstance(found, h5py.Dataset) or found.dtype.kind not in NUMBERS:
            raise ValueError(f"{name}: holds no numbers")
        if found.shape is None or found.is_virtual or found.external:
            raise ValueError(f"{name}: has no data of its own")
        return StoredArray(self._source, found)


class StoredArray:
    """An array of numbers that was not read yet."""

    def __init__(self, source: Source, dataset: Any) -> None:  # noqa: ANN401
        self._source, self._dataset = source, dataset
        self.shape: tuple[int, ...] = dataset.shape

    def read(self, dtype: type[np.generic]) -> np.ndarray:
        """Read all of it as numbers of another type.

        Raises:
            ValueError: it is larger than the file can hold.
        """
        size = self._dataset.dtype.itemsize * math.prod(self.shape)
        self._source.spend(size)
        found = self._dataset[()] if self._dataset.chunks is None else self._joined_chunks(size)
        with np.errstate(over="ignore"):
            return found.astype(dtype)

    def _joined_chunks(self, size: int) -> np.ndarray:
        """Unpack each chunk to its size and join them.

        HDF5 itself unpacks a chunk to its end, and reads beyond one that ends too early.
        """
        import h5py

        chunk, stored = _Chunk.of(self._dataset), self._dataset.id
        if h5py.h5t.py_create(chunk.dtype, logical=True) != stored.get_type():
            raise ValueError("an array holds numbers that numpy has no type for")
        starts = [range(0, n, step) for n, step in zip(self.shape, chunk.shape, strict=True)]
        if math.prod(map(len, starts)) > MAX_CHUNKS:
            raise ValueError(f"an array is in more than {MAX_CHUNKS} chunks")
        self._source.spend(max(chunk.num_bytes * math.prod(map(len, starts)) - size, 0))
        whole = np.empty(self.shape, chunk.dtype)
        for start in product(*starts):
            if stored.get_chunk_info_by_coord(start).size > 2 * chunk.num_bytes + SLACK_BYTES:
                raise ValueError("a chunk is larger than what it holds")
            block = chunk.unpacked(*stored.read_direct_chunk(start))
            part = whole[tuple(slice(k, k + n) for k, n in zip(start, chunk.shape, strict=True))]
            part[...] = block[tuple(map(slice, part.shape))]
        return whole


class _Chunk(NamedTuple):
    """How the chunks of an array are packed."""

    shape: tuple[int, ...]
    dtype: np.dtype
    filters: list[int]  # in the order that they were applied in

    @classmethod
    def of(cls, dataset: Any) -> "_Chunk":  # noqa: ANN401
        plist = dataset.id.get_create_plist()
        filters = [plist.get_filter(k)[0] for k in range(plist.get_nfilters())]
        if filters != [one for one in (SHUFFLE, DEFLATE, FLETCHER32) if one in filters]:
            raise ValueError(f"found filters {filters[:8]}, expected gzip")
        return cls(dataset.chunks, dataset.dtype, filters)

    @property
    def num_bytes(self) -> int:
        return self.dtype.itemsize * math.prod(self.shape)

    def unpacked(self, mask: int, data: bytes) -> np.ndarray:
        """Return the numbers of a chunk, of which filters with a bit in ``mask`` were left out.

        Raises:
            ValueError: it is not as large as it has to be.
            zlib.error: it is not gzipped.
        """
        applied = {one for k, one in enumerate(self.filters) if not mask >> k & 1}
        if FLETCHER32 in applied:
            data = data[:-CHECKSUM_BYTES]
        if DEFLATE in applied:
            data = zlib.decompressobj().decompress(data, self.num_bytes + 1)
        if len(data) != self.num_bytes:
            raise ValueError(f"a chunk holds {len(data)} bytes, expected {self.num_bytes}")
        values = np.frombuffer(data, np.uint8)
        if SHUFFLE in applied:  # the first bytes of all numbers, then the second ones, ...
            values = np.ascontiguousarray(values.reshape(self.dtype.itemsize, -1).T)
        return values.view(self.dtype).reshape(self.shape)


@contextmanager
def open_file(path: Path) -> Iterator[Source]:
    """Open an HDF5 file; whatever is wrong with it while it is open is one kind of error.

    Raises:
        MissingArtifactError: nothing is there.
        DamagedArtifactError: no regular file, not HDF5, or arrays that are not as they have to be.
    """
    import h5py

    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
    try:
        with h5py.File(path, "r") as file:
            yield Source(path, file, min(MAX_BYTES, FREE_BYTES + MAX_RATIO * size))
    except NnitError:
        raise
    except Exception as error:  # noqa: BLE001 - h5py raises errors of a dozen types
        said = " ".join(str(error).split())[:200]
        raise DamagedArtifactError(f"{path}: is not an HDF5 file of episodes: {said}") from None


def _own(group: Any, name: str) -> Any:  # noqa: ANN401
    """Return what a name in a group stands for, where that lies in the same file.

    Raises:
        ValueError: the name leads elsewhere.
    """
    import h5py

    link = group.get(name, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"{name}: is a link")
    return group[name]
