"""Named tensors in one safetensors file: byte-reproducible to write, strict to read."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from nnit.artifacts.canonical import MAX_NUMBER, canonical_json, parse_json
from nnit.artifacts.checks import is_sound
from nnit.artifacts.manifest import HALF, ArraySpec
from nnit.artifacts.reading import damage_at, require_memory
from nnit.artifacts.records import Extent, Items, Record, parse_record, satisfying
from nnit.errors import DamagedArtifactError, NnitError
from nnit.opening import open_regular

METADATA_KEY = "nnit"  # one key alone: safetensors writes several in an order of chance
MAX_HEADER_BYTES = 100_000_000

_DTYPES = {
    "BF16": HALF,
    "BOOL": "bool",
    "F32": "float32",
    "F64": "float64",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "U8": "uint8",
}


class _Metadata(Record):
    nnit: str  # METADATA_KEY


class _Entry(Record):
    """What the header says of a tensor."""

    dtype: Annotated[str, satisfying(_DTYPES.__contains__, f"one of {', '.join(_DTYPES)}")]
    shape: Items[Extent]
    data_offsets: tuple[Extent, Extent]


class TensorFile(NamedTuple):
    """The content of a safetensors file."""

    tensors: dict[str, np.ndarray]
    metadata: dict[str, Any]


def tensor_bytes(
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, Any],
    *,
    finite: bool = True,
    half: bool = False,
) -> bytes:
    """Return the bytes of a safetensors file.

    Args:
        tensors: Name -> array; any layout in memory.
        metadata: JSON data, kept under the key ``nnit`` of the header.
        finite: Refuse NaN and infinity.
        half: Round them to bfloat16, all of which are float32.

    Raises:
        ValueError: a value that is not finite, or an element type that is not stored.
    """
    contiguous = {}
    for name, tensor in tensors.items():
        array = np.asarray(tensor, order="C")
        if array.dtype.name not in _DTYPES.values() or (half and array.dtype != np.float32):
            raise ValueError(f"tensor {name}: {array.dtype} cannot be stored")
        if finite and not is_sound(array):
            raise ValueError(
                f"tensor {name} holds NaN or infinity, or a number beyond {MAX_NUMBER}"
            )
        contiguous[name] = array
    about = {METADATA_KEY: canonical_json(metadata)}
    return _half_bytes(contiguous, about) if half else safetensors.numpy.save(contiguous, about)


def _half_bytes(tensors: Mapping[str, np.ndarray], about: dict[str, str]) -> bytes:
    import safetensors.torch  # numpy has no bfloat16; torch takes its time to import
    import torch

    halves = {name: torch.from_numpy(tensor).bfloat16() for name, tensor in tensors.items()}
    return safetensors.torch.save(halves, about)


def write_tensors(
    path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> None:
    """Write a safetensors file; the same content gives the same bytes.

    Raises:
        ValueError: as ``tensor_bytes``.
    """
    path.write_bytes(tensor_bytes(tensors, metadata))


def read_tensors(
    path: Path,
    expected: Mapping[str, ArraySpec] | None = None,
    *,
    finite: bool = True,
    shown: Path | None = None,
) -> TensorFile:
    """Read a safetensors file that ``write_tensors`` wrote; what is bfloat16 comes as float32.

    Args:
        path: The file.
        expected: Exactly these tensors, with these shapes and types; None for any.
        finite: Refuse NaN, infinity, and what is beyond ``MAX_NUMBER``.
        shown: What messages call the file, where that is not how it is opened.

    Raises:
        DamagedArtifactError: not safetensors, other tensors than expected, or not finite.
        ResourceError: it is larger than the machine's memory.
    """
    with damage_at(path, shown or path):
        return _read_tensors(path, expected, finite=finite)


def _read_tensors(
    path: Path, expected: Mapping[str, ArraySpec] | None, *, finite: bool
) -> TensorFile:
    try:
        size = path.stat().st_size
        require_memory(size, path)
        specs, metadata = _read_header(path, size)
        if expected is not None:
            _compare(specs, expected, path)
        half = any(spec.dtype == HALF for spec in specs.values())
        tensors = _read_halves(path, specs) if half else _read_all(path, specs)
    except NnitError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise DamagedArtifactError(f"{path}: cannot be read ({reason})") from None
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise DamagedArtifactError(f"{path}: not a safetensors file ({error})") from None
    for name, tensor in tensors.items():
        if finite and not is_sound(tensor):
            raise DamagedArtifactError(
                f"{path}: {name}: holds NaN or infinity, or a number beyond {MAX_NUMBER}"
            )
    return TensorFile(tensors, metadata)


def _read_all(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in names}


def _read_halves(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    with safe_open(path, framework="pt") as file:
        found = {name: file.get_tensor(name) for name in names}
    return {name: (t.float() if t.is_floating_point() else t).numpy() for name, t in found.items()}


def read_metadata(path: Path) -> dict[str, Any]:
    """Read what a safetensors file that ``write_tensors`` wrote says of itself, and no tensor.

    Raises:
        DamagedArtifactError: not such a file.
    """
    try:
        return _read_header(path, path.stat().st_size)[1]
    except OSError as error:
        reason = error.strerror or str(error)
        raise DamagedArtifactError(f"{path}: cannot be read ({reason})") from None


def _read_header(path: Path, size: int) -> tuple[dict[str, ArraySpec], dict[str, Any]]:
    """Parse the header strictly; the library would let a repeated name pass."""
    where = str(path)
    with open_regular(path) as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(size - 8, MAX_HEADER_BYTES):
            raise DamagedArtifactError(f"{where}: not a safetensors file")
        header = parse_record(dict[str, Any], parse_json(file.read(length), where), where)
    metadata = parse_record(_Metadata, header.pop("__metadata__", {}), f"{where}: __metadata__")
    about = f"{where}: __metadata__: {METADATA_KEY}"
    specs = {name: _spec(header[name], f"{where}: {name}") for name in sorted(header)}
    fields = parse_json(metadata.nnit.encode("utf-8", "replace"), about)
    return specs, parse_record(dict[str, Any], fields, about)


def _spec(value: object, where: str) -> ArraySpec:
    entry = parse_record(_Entry, value, where)
    spec = ArraySpec(entry.shape, _DTYPES[entry.dtype])
    item = 2 if spec.dtype == HALF else np.dtype(spec.dtype).itemsize
    size = math.prod(spec.shape) * item
    if entry.data_offsets[1] - entry.data_offsets[0] != size:
        raise DamagedArtifactError(f"{where}: data_offsets: must be a range of {size} bytes")
    return spec


def _compare(found: Mapping[str, ArraySpec], expected: Mapping[str, ArraySpec], path: Path) -> None:
    for name in sorted(found.keys() | expected.keys()):
        if name not in found:
            raise DamagedArtifactError(f"{path}: tensor {name!r} is missing")
        if name not in expected:
            raise DamagedArtifactError(f"{path}: found unknown tensor {name!r}")
        if found[name] != expected[name]:
            have, want = found[name], expected[name]
            raise DamagedArtifactError(
                f"{path}: {name}: found {have.dtype} {have.shape}, "
                f"expected {want.dtype} {want.shape}"
            )
