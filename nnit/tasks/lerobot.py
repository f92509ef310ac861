"""Recordings in LeRobot's format for datasets, versions 2.1 and 3.0, that may come from anywhere.

Of such a folder only ``meta/info.json``, the lengths of episodes and three columns are read, from
files whose names are ours: what ``info.json`` says of paths is not followed.

Source: ``src/lerobot/datasets`` of huggingface/lerobot, both versions.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnit.errors import DamagedArtifactError, MissingArtifactError, WrongKindError
from nnit.opening import open_regular, read_bounded
from nnit.processes import call_apart
from nnit.tasks.recordings import MAX_BYTES, MAX_STEPS, Recording, checked_recording

if TYPE_CHECKING:
    from pyarrow import ChunkedArray

STATE, ACTION, EPISODE = "observation.state", "action", "episode_index"
FILES = {
    "v2.1": re.compile(r"episode_(\d{6,9})\.parquet"),
    "v3.0": re.compile(r"file-(\d{3,9})\.parquet"),
}
CHUNK = re.compile(r"chunk-(\d{3,9})")
MAX_INFO_BYTES = 2**22
MAX_LIST_BYTES = 2**26  # of episodes
MAX_FILES = 10**5
MAX_FREQ = 10**6  # Hz
MAX_MEMORY = 3 * 2**30  # bytes, of the process that reads


def read_lerobot(folder: Path) -> Recording:
    """Read a dataset in a process of its own, since a hostile file may bring pyarrow down.

    Raises:
        NnitError: as ``parse_lerobot``.
        DamagedArtifactError: reading it took too much memory, or ended the process.
    """
    try:
        return call_apart(parse_lerobot, folder, max_bytes=MAX_MEMORY)
    except (ChildProcessError, MemoryError) as error:
        how = (
            f"ended with {error}" if isinstance(error, ChildProcessError) else "has no memory left"
        )
        raise DamagedArtifactError(f"{folder}: cannot be read: pyarrow {how}") from None


def parse_lerobot(folder: Path) -> Recording:
    """Read the states, the actions and the lengths of all episodes of a dataset.

    Raises:
        MissingArtifactError: a file of it is not there.
        WrongKindError: another version, or one without states.
        DamagedArtifactError: files that contradict each other.
    """
    where = folder / "meta/info.json"
    info = _json(where, read_bounded(where, MAX_INFO_BYTES))
    version = info.get("codebase_version")
    if version not in FILES:
        raise WrongKindError(
            f"{where}: codebase_version: found {ascii(version)[:40]}, expected {' or '.join(FILES)}"
            "; LeRobot's own scripts convert other versions"
        )
    widths = {name: _width(where, info, name) for name in (STATE, ACTION)}
    fps = info.get("fps")
    if not isinstance(fps, int | float) or fps != fps // 1 or not 1 <= fps <= MAX_FREQ:
        raise DamagedArtifactError(
            f"{where}: fps: found {ascii(fps)[:40]}, expected a whole number"
        )
    columns = {name: [] for name in (STATE, ACTION, EPISODE)}
    left = MAX_STEPS
    for path in _files(folder / "data", FILES[version]):
        for name, column in _columns(path, list(columns), left).items():
            columns[name].append(_numbers(path, name, column, widths.get(name, 1)))
        left -= len(columns[EPISODE][-1])
        if max(widths.values()) * (MAX_STEPS - left) * 4 > MAX_BYTES:
            raise DamagedArtifactError(f"{path}: more numbers than nnit takes, {MAX_BYTES} bytes")
    found = {name: np.concatenate(parts) for name, parts in columns.items()}
    ends = _episode_ends(folder, found[EPISODE][:, 0].astype(np.int64))
    lengths = np.diff(ends, prepend=0).tolist()
    listed = _listed_lengths(folder, version)
    if lengths != listed:
        pairs = enumerate(zip_longest(lengths, listed, fillvalue="no"))
        at, (steps, expected) = next(one for one in pairs if one[1][0] != one[1][1])
        raise DamagedArtifactError(
            f"{folder}: data: episode {at}: found {steps} steps, meta says {expected}"
        )
    return checked_recording(folder, found[STATE], found[ACTION], ends, int(fps))


def _json(where: Path | str, data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedArtifactError(f"{where}: is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise DamagedArtifactError(f"{where}: found {type(found).__name__}, expected an object")
    return found


def _width(where: Path, info: dict[str, Any], name: str) -> int:
    """Return how many numbers a feature has.

    Raises:
        WrongKindError: it is not there, or not a row of numbers.
    """
    features = info.get("features")
    feature = features.get(name) if isinstance(features, dict) else None
    shape = feature.get("shape") if isinstance(feature, dict) else None
    if isinstance(shape, list) and len(shape) == 1 and type(shape[0]) is int and shape[0] > 0:
        return shape[0]
    raise WrongKindError(
        f"{where}: {name}: found shape {ascii(shape)[:40]}, expected a row of numbers; networks "
        "learn from states, not from pictures"
    )


def _files(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    """Return the files ``chunk-N/...`` of a folder in their order.

    Raises:
        MissingArtifactError: there are none.
        DamagedArtifactError: more than anybody has.
    """
    numbered: list[tuple[int, int, Path]] = []
    chunks = sorted(folder.iterdir()) if folder.is_dir() else []
    for chunk in chunks:
        of_chunk = CHUNK.fullmatch(chunk.name)
        for path in chunk.iterdir() if of_chunk and chunk.is_dir() else ():
            if of_chunk and (of_file := pattern.fullmatch(path.name)):
                numbered.append((int(of_chunk[1]), int(of_file[1]), path))
            if len(numbered) > MAX_FILES:
                raise DamagedArtifactError(f"{folder}: has more than {MAX_FILES} files")
    if not numbered:
        raise MissingArtifactError(f"{folder}: has no chunk-NNN/{pattern.pattern}")
    return [path for *_, path in sorted(numbered)]


@contextmanager
def _of_parquet(path: Path) -> Iterator[None]:
    """Say of whatever is wrong with a file that it is, in one line."""
    try:
        yield
    except (DamagedArtifactError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - pyarrow raises errors of a dozen types
        said = " ".join(str(error).split())[:200]
        raise DamagedArtifactError(f"{path}: is not a parquet file: {said}") from None


def _columns(path: Path, names: list[str], max_rows: int) -> dict[str, "ChunkedArray"]:
    """Read columns of a file, whose own account of its sizes is looked at first.

    Raises:
        MissingArtifactError: nothing is there.
        DamagedArtifactError: no such file, or one without such a column, or a larger one.
    """
    from pyarrow.parquet import ParquetFile

    with open_regular(path) as stream, _of_parquet(path), ParquetFile(stream) as file:
        about = file.metadata
        missing = [name for name in names if name not in file.schema_arrow.names]
        if missing:
            raise DamagedArtifactError(f"{path}: has no column {missing[0]}")
        if about.num_rows > max_rows:
            raise DamagedArtifactError(f"{path}: more than {MAX_STEPS} steps in all")
        groups = [about.row_group(k) for k in range(about.num_row_groups)]
        parts = [group.column(k) for group in groups for k in range(group.num_columns)]
        wanted = [part for part in parts if part.path_in_schema.startswith(tuple(names))]
        sizes = [max(part.total_uncompressed_size, 8 * part.num_values) for part in wanted]
        if sum(sizes) > MAX_BYTES:
            raise DamagedArtifactError(f"{path}: more than {MAX_BYTES} bytes of numbers")
        table = file.read(columns=names, use_threads=False)
        return {name: table.column(name) for name in names}


def _numbers(path: Path, name: str, column: "ChunkedArray", width: int) -> np.ndarray:
    """Return a column of numbers, or of lists of as many, as ``(rows, width)``.

    Raises:
        DamagedArtifactError: it is none, or has gaps.
    """
    from pyarrow import types

    values, sizes = column.combine_chunks(), [1]
    if types.is_fixed_size_list(column.type):
        values, sizes = values.flatten(), [column.type.list_size]
    elif types.is_list(column.type) or types.is_large_list(column.type):
        values, sizes = values.flatten(), values.value_lengths().unique().to_pylist()
    is_number = types.is_integer(values.type) or types.is_floating(values.type)
    is_whole = not (column.null_count or values.null_count) and sizes in ([], [width])
    if not (is_number and is_whole):
        raise DamagedArtifactError(
            f"{path}: {name}: found {str(column.type)[:80]}, expected {width} numbers in each row"
        )
    return values.to_numpy(zero_copy_only=False).reshape(-1, width)


def _episode_ends(folder: Path, index: np.ndarray) -> np.ndarray:
    """Return where episodes end, whose number each step has.

    Raises:
        DamagedArtifactError: they are not one after the other, from 0 on.
    """
    steps = np.diff(index, prepend=-1)
    if not len(index) or steps[0] != 1 or not np.isin(steps, (0, 1)).all():
        raise DamagedArtifactError(
            f"{folder}: data: episode_index does not count 0, 1, 2, ...: a file is missing, or "
            "episodes are not one after the other"
        )
    return np.append(np.flatnonzero(steps)[1:], len(index)).astype(np.int64)


def _listed_lengths(folder: Path, version: str) -> list[Any]:
    """Return the steps of each episode as ``meta`` lists them.

    Raises:
        MissingArtifactError: the list is not there.
        DamagedArtifactError: it is none.
    """
    if version == "v2.1":
        path = folder / "meta/episodes.jsonl"
        lines = read_bounded(path, MAX_LIST_BYTES).splitlines()
        rows = [_json(f"{path}: line {k}", line) for k, line in enumerate(lines, start=1) if line]
        pairs = [(row.get("episode_index"), row.get("length")) for row in rows]
    else:
        pairs = []
        for path in _files(folder / "meta/episodes", FILES[version]):
            names = [EPISODE, "length"]
            columns = _columns(path, names, MAX_STEPS)
            both = [_numbers(path, name, columns[name], 1)[:, 0].tolist() for name in names]
            pairs += zip(*both, strict=True)
    if [number for number, _ in pairs] != list(range(len(pairs))):
        raise DamagedArtifactError(f"{folder}: meta: the episodes are not listed as 0, 1, 2, ...")
    return [length for _, length in pairs]
