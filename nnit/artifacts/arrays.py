"""Arrays of an artifact, in ``arrays.zarr/``: zarr v3, few files, every chunk with a checksum.

The codecs are zstd and, over the compressed bytes, crc32c. Network weights are close to noise:
zstd at level 1 saves 8 % of them and quarters the speed of reading, so the level is -1, which
still squeezes padding and integers.
"""

import errno
import math
import os
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from nnit.artifacts.canonical import canonical_json, parse_json
from nnit.artifacts.manifest import DTYPES, ArraySpec
from nnit.artifacts.publish import ArtifactWriter
from nnit.artifacts.reading import Artifact, damage_at, read_bytes, require_memory
from nnit.artifacts.records import Extent, Items, Record, parse_record
from nnit.errors import DamagedArtifactError, NnitError, ResourceError
from nnit.opening import open_regular

ARRAYS_FOLDER = "arrays.zarr"
CHUNK_BYTES = 2**20
SHARD_BYTES = 16 * 2**20  # larger where there would be too many files; malloc reuses this size
MAX_FILES = 60  # of the arrays; leaves room for the manifest and a few others
ZSTD_LEVEL = -1
FREE_BYTES = 64 * 2**20  # an array of so many may be stored in any number
MOST_SQUEEZED = 256  # times; a patch of one weight and zeros is squeezed as much at the most

_ABSENT = 2**64 - 1  # in a shard's index: this chunk was never written
_INDEX_ENTRY_BYTES, _INDEX_CHECKSUM_BYTES = 16, 4


class Layout(NamedTuple):
    """How an array is cut along its first axis; the other axes are never cut."""

    shape: tuple[int, ...]
    dtype: str
    chunk_rows: int
    shard_rows: int  # a multiple of chunk_rows

    @property
    def num_bytes(self) -> int:
        """Size in memory."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of a chunk."""
        return (self.chunk_rows, *(max(1, size) for size in self.shape[1:]))

    @property
    def shards(self) -> tuple[int, ...]:
        """Shape of a shard."""
        return (self.shard_rows, *self.chunks[1:])

    def parts(self) -> Iterator[slice]:
        """Yield the rows of each shard in order; nothing for an array without elements."""
        if self.num_bytes:
            for start in range(0, self.shape[0], self.shard_rows):
                yield slice(start, min(start + self.shard_rows, self.shape[0]))


class _Rows(Record, extra="ignore"):
    chunk_shape: Annotated[Items[Annotated[Extent, Field(ge=1)]], Field(min_length=1)]


class _Cut(Record, extra="ignore"):
    configuration: _Rows


class _ArrayFile(Record, extra="ignore"):  # the rest follows, and is compared
    shape: Items[Extent]
    chunk_grid: _Cut
    codecs: Annotated[Items[_Cut], Field(min_length=1)]


def write_arrays(writer: ArtifactWriter, arrays: Mapping[str, np.ndarray]) -> None:
    """Write all arrays of an artifact, once.

    Args:
        writer: Where to.
        arrays: Name -> array with at least one axis, of one of ``DTYPES``.

    Raises:
        ValueError: an element type or a number of arrays that artifacts do not have.
    """
    import zarr  # late: it takes long to import, and what has no arrays is read without
    from zarr.codecs import Crc32cCodec, ZstdCodec

    if 1 + 2 * len(arrays) > MAX_FILES:
        raise ValueError(f"{len(arrays)} arrays do not fit in {MAX_FILES} files")
    total = sum(array.nbytes for array in arrays.values())
    most_shards = MAX_FILES - 1 - 2 * len(arrays)  # each array may round up by one shard
    shard_bytes = max(SHARD_BYTES, -(-total // most_shards))
    group = zarr.create_group(writer.folder / ARRAYS_FOLDER, zarr_format=3)
    for name, array in arrays.items():
        layout = _plan(array, shard_bytes)
        stored = group.create_array(
            name,
            shape=layout.shape,
            dtype=layout.dtype,
            chunks=layout.chunks,
            shards=layout.shards,
            compressors=[ZstdCodec(level=ZSTD_LEVEL), Crc32cCodec()],
            fill_value=0,
            config={"write_empty_chunks": True},
        )
        for rows in layout.parts():
            stored[rows] = array[rows]
        writer.arrays[name] = ArraySpec(layout.shape, layout.dtype)
        files = [_shard_path(name, layout, number) for number, _ in enumerate(layout.parts())]
        _require_written(writer, f"{ARRAYS_FOLDER}/{name}/zarr.json", *files)
    _require_written(writer, f"{ARRAYS_FOLDER}/zarr.json")


def _require_written(writer: ArtifactWriter, *names: str) -> None:
    """Make sure of files: zarr writes from threads, and may lose the error of one."""
    for name in names:
        if not (writer.folder / name).is_file():
            raise OSError(errno.EIO, os.strerror(errno.EIO), name)


def read_array(
    artifact: Artifact, name: str, dtype: str, shape: tuple[int | None, ...]
) -> np.ndarray:
    """Read one array whole.

    Args:
        artifact: Where from.
        name: Which.
        dtype: What it must be.
        shape: What it must be; None for an axis of any length.

    Raises:
        DamagedArtifactError: type, shape or bytes are not what was written or expected.
        ResourceError: it is larger than the machine's memory.
    """
    spec = artifact.spec(name)
    where = f"{artifact.path / ARRAYS_FOLDER / name}"
    fits = len(spec.shape) == len(shape) and all(
        want in (None, have) for have, want in zip(spec.shape, shape, strict=True)
    )
    if spec.dtype != dtype or not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise DamagedArtifactError(
            f"{where}: found {spec.dtype} {spec.shape}, expected {dtype} ({wanted})"
        )
    layout = _read_layout(artifact, name)
    _check_shards(artifact, name, layout)
    result = _read_shards(artifact, name, layout)
    _check_shards(artifact, name, layout)  # somebody may have replaced, and so removed, the rest
    return result


def _plan(array: np.ndarray, shard_bytes: int) -> Layout:
    if array.ndim < 1 or array.dtype.name not in DTYPES:
        raise ValueError(f"an array of {array.dtype} with {array.ndim} axes cannot be stored")
    rows = max(1, array.shape[0])
    row_bytes = max(1, array.nbytes // rows)
    chunk_rows = min(rows, max(1, CHUNK_BYTES // row_bytes))
    # Rounded up, so that no array needs more shards than its share of the bytes.
    chunks_per_shard = -(-shard_bytes // (chunk_rows * row_bytes))
    chunks_per_shard = min(chunks_per_shard, -(-rows // chunk_rows))
    return Layout(array.shape, array.dtype.name, chunk_rows, chunk_rows * chunks_per_shard)


def _read_layout(artifact: Artifact, name: str) -> Layout:
    """Parse ``zarr.json`` without trusting it: only what ``write_arrays`` writes is accepted."""
    file = f"{ARRAYS_FOLDER}/{name}/zarr.json"
    where = str(artifact.path / file)
    content = parse_record(dict[str, Any], parse_json(read_bytes(artifact, file), where), where)
    found = parse_record(_ArrayFile, content, where)
    shard, chunk = (cut.configuration.chunk_shape[0] for cut in (found.chunk_grid, found.codecs[0]))
    layout = Layout(*artifact.spec(name), chunk, shard)
    if shard % chunk:
        raise DamagedArtifactError(f"{where}: chunk_grid: {shard} rows are no multiple of {chunk}")
    expected = _metadata(layout)
    for field in {**expected, **content}:
        if field not in expected or content.get(field) != expected[field]:
            wanted = canonical_json(expected.get(field))
            raise DamagedArtifactError(f"{where}: {field}: must be what nnit writes, {wanted}")
    return layout


def _metadata(layout: Layout) -> dict[str, Any]:
    """Return what ``zarr.json`` says of an array that ``write_arrays`` wrote."""
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    one_byte = np.dtype(layout.dtype).itemsize == 1
    zstd = {"name": "zstd", "configuration": {"level": ZSTD_LEVEL, "checksum": False}}
    crc32c = {"name": "crc32c"}
    sharding = {
        "chunk_shape": list(layout.chunks),
        "codecs": [{"name": "bytes"} if one_byte else little, zstd, crc32c],
        "index_codecs": [little, crc32c],
        "index_location": "end",
    }
    grid = {"chunk_shape": list(layout.shards)}
    return {
        "shape": list(layout.shape),
        "data_type": layout.dtype,
        "chunk_grid": {"name": "regular", "configuration": grid},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,  # which equals false
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        "attributes": {},
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }


def _check_shards(artifact: Artifact, name: str, layout: Layout) -> None:
    """Every chunk must be there: zarr would read a missing one as zeros."""
    where = artifact.path / ARRAYS_FOLDER / name
    require_memory(layout.num_bytes, where)
    parts = list(layout.parts()) if layout.shape[0] <= layout.shard_rows * MAX_FILES else None
    if parts is None:
        raise DamagedArtifactError(f"{where}: found more than {MAX_FILES} shards")
    index_entries = layout.shard_rows // layout.chunk_rows
    names = [_shard_path(name, layout, number) for number in range(len(parts))]
    stored = sum(artifact.manifest.files[n].size for n in names if n in artifact.manifest.files)
    if layout.num_bytes > max(FREE_BYTES, MOST_SQUEEZED * stored):
        raise DamagedArtifactError(f"{where}: found {stored} bytes for {layout.num_bytes}")
    for number, rows in enumerate(parts):
        shard = _shard_path(name, layout, number)
        entry = artifact.manifest.files.get(shard)
        file = artifact.path / shard
        index_bytes = index_entries * _INDEX_ENTRY_BYTES + _INDEX_CHECKSUM_BYTES
        if entry is None or entry.size < index_bytes:
            raise DamagedArtifactError(f"{file}: this shard is missing or too short")
        try:
            with (
                damage_at(artifact.file(shard), file),
                open_regular(artifact.file(shard)) as stream,
            ):
                stream.seek(entry.size - index_bytes)
                index = np.frombuffer(stream.read(index_bytes - _INDEX_CHECKSUM_BYTES), "<u8")
        except NnitError:
            raise
        except (OSError, ValueError) as error:
            raise DamagedArtifactError(f"{file}: cannot be read ({error})") from error
        used = -(-(rows.stop - rows.start) // layout.chunk_rows)
        if len(index) != 2 * index_entries or (index[: 2 * used] == _ABSENT).any():
            raise DamagedArtifactError(f"{file}: a chunk is missing")


def _shard_path(name: str, layout: Layout, number: int) -> str:
    return "/".join([ARRAYS_FOLDER, name, "c", str(number), *["0"] * (len(layout.shape) - 1)])


def _read_shards(artifact: Artifact, name: str, layout: Layout) -> np.ndarray:
    import zarr
    from zarr.errors import BaseZarrError

    folder, inside = (top / ARRAYS_FOLDER / name for top in (artifact.path, artifact.folder.path))
    try:
        stored = zarr.open_array(inside, mode="r", zarr_format=3)
        result = np.empty(layout.shape, layout.dtype)
        for rows in layout.parts():
            result[rows] = stored[rows]
    except MemoryError as error:
        raise ResourceError(f"{folder}: not enough memory for {layout.num_bytes} bytes") from error
    except (BaseZarrError, ValueError, RuntimeError, TypeError, LookupError, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        reason = reason.replace(str(inside), str(folder))
        raise DamagedArtifactError(f"{folder}: cannot be read ({reason})") from error
    return result
