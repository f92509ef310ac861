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
from pathlib import Path
from typing import Any

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
        if self._dataset.chunks is None:
            self._source.spend(size)
        else:
            self._check_chunks(size)
        with np.errstate(over="ignore"):
            return self._dataset[()].astype(dtype)

    def _check_chunks(self, size: int) -> None:
        """Unpack each chunk up to its size: HDF5 would unpack it to its end."""
        chunk_bytes = self._dataset.dtype.itemsize * math.prod(self._dataset.chunks)
        plist, chunks = self._dataset.id.get_create_plist(), list[Any]()
        filters = [plist.get_filter(k)[0] for k in range(plist.get_nfilters())]
        if filters != [one for one in (SHUFFLE, DEFLATE, FLETCHER32) if one in filters]:
            raise ValueError(f"found filters {filters[:8]}, expected gzip")

        def listed(chunk: Any) -> bool | None:  # noqa: ANN401
            chunks.append(chunk)
            return True if len(chunks) > MAX_CHUNKS else None  # the former ends it

        self._dataset.id.chunk_iter(listed)
        if len(chunks) > MAX_CHUNKS:
            raise ValueError(f"an array is in more than {MAX_CHUNKS} chunks")
        self._source.spend(max(size, chunk_bytes * max(len(chunks), 1)))
        if DEFLATE not in filters:
            return
        for chunk in chunks:
            if chunk.filter_mask >> filters.index(DEFLATE) & 1:
                continue  # what gzip did not make smaller lies there as it is
            _, packed = self._dataset.id.read_direct_chunk(chunk.chunk_offset)
            limit = chunk_bytes + CHECKSUM_BYTES
            if len(zlib.decompressobj().decompress(packed, limit + 1)) > limit:
                raise ValueError("a chunk unpacks to more than its size")


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
