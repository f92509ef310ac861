"""Checks that the kinds share: what holds of a value before writing and after reading."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nnit.artifacts.canonical import MAX_NUMBER
from nnit.artifacts.interface import StoredInterface, StoredInterfaces, interfaces_to_json
from nnit.artifacts.records import parse_record
from nnit.errors import DamagedArtifactError, NnitError, UsageError
from nnit.mlp import MAX_DEPTH, Architecture, PolicyInterface

MAX_BRANCHES = 10**4
MAX_STEPS = 10**9  # of an optimiser


@contextmanager
def damage_of(path: Path) -> Iterator[None]:
    """Report that a value read from ``path`` contradicts itself.

    Raises:
        DamagedArtifactError: instead of ``ValueError``, with the path.
    """
    try:
        yield
    except UsageError as error:
        raise DamagedArtifactError(f"{path}: {error}") from error
    except NnitError:
        raise
    except ValueError as error:
        raise DamagedArtifactError(f"{path}: {error}") from error


def all_attributes(
    interface: PolicyInterface, own: Mapping[str, Any], extra: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Join the attributes of a kind with those of the caller; ``shared_attributes`` of one task."""
    return shared_attributes((interface,), own, extra)


def shared_attributes(
    interfaces: Sequence[PolicyInterface], own: Mapping[str, Any], extra: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Join the attributes of a kind that may have several tasks with those of the caller.

    Raises:
        ValueError: the caller uses a name that the kind itself uses, or an interface is
            impossible.
    """
    reserved = {**interfaces_to_json(interfaces), **own}
    try:
        for name, type_ in (("interface", StoredInterface), ("interfaces", StoredInterfaces)):
            if name in reserved:
                parse_record(type_, reserved[name], f"attributes: {name}")
    except DamagedArtifactError as error:
        raise ValueError(str(error)) from None
    taken = {"interface", "interfaces", *own}
    clash = sorted(taken & (extra or {}).keys())
    if clash:
        raise ValueError(f"attribute {clash[0]!r} belongs to the format")
    return {**(extra or {}), **reserved}


def check_shape(name: str, array: np.ndarray, dtype: str, shape: tuple[int, ...]) -> None:
    """Make sure of an array's type and shape.

    Raises:
        ValueError: it has another one.
    """
    if array.shape != shape or array.dtype.name != dtype:
        raise ValueError(f"{name}: found {array.dtype} {array.shape}, expected {dtype} {shape}")


def is_sound(array: np.ndarray) -> bool:
    """Whether no number is NaN, infinite, or beyond ``MAX_NUMBER`` (which NaN is not within)."""
    if array.dtype.kind != "f":
        return True
    return not array.size or bool(abs(array.min()) <= MAX_NUMBER and abs(array.max()) <= MAX_NUMBER)


def check_finite(name: str, array: np.ndarray) -> None:
    """Make sure that numbers can be reckoned with.

    Raises:
        ValueError: one is NaN, infinite, or beyond ``MAX_NUMBER``.
    """
    if not is_sound(array):
        raise ValueError(f"{name}: holds NaN or infinity, or a number beyond {MAX_NUMBER}")


def check_within(name: str, array: np.ndarray, low: int, high: int) -> None:
    """Make sure of the range of whole numbers.

    Raises:
        ValueError: one is outside ``low`` to ``high``.
    """
    wrong = np.flatnonzero((array < low) | (array > high))
    if len(wrong):
        k = int(wrong[0])
        raise ValueError(f"{name}: entry {k}: found {array[k]}, expected {low} to {high}")


def check_offsets(name: str, offsets: np.ndarray, sizes: Sequence[int], total: int) -> None:
    """Make sure that ragged items of these sizes fill ``total`` rows, one after the other.

    Raises:
        ValueError: the offsets ``(len(sizes) + 1,)`` say something else.
    """
    expected = np.concatenate([[0], np.cumsum(np.asarray(sizes, np.int64), dtype=np.int64)])
    check_shape(name, offsets, "int64", expected.shape)
    if not np.array_equal(offsets, expected):
        k = int(np.argmax(offsets != expected))
        raise ValueError(f"{name}: entry {k}: found {offsets[k]}, expected {expected[k]}")
    if expected[-1] != total:
        raise ValueError(f"{name}: ends at {expected[-1]}, but there are {total} rows")


def flatten_architectures(
    architectures: Sequence[Architecture],
) -> tuple[np.ndarray, np.ndarray]:
    """Return the widths of all architectures ``(sum of depths,)`` and offsets ``(N + 1,)``."""
    widths = [width for architecture in architectures for width in architecture]
    ends = np.cumsum([0, *map(len, architectures)], dtype=np.int64)
    return np.asarray(widths, np.int32), ends


def split_architectures(widths: np.ndarray, offsets: np.ndarray) -> tuple[Architecture, ...]:
    """Inverse of ``flatten_architectures``.

    Raises:
        ValueError: the offsets do not cut the widths into 1 to ``MAX_DEPTH`` each.
    """
    depths = np.diff(offsets)
    good = len(offsets) > 0 and offsets[0] == 0 and offsets[-1] == len(widths)
    if not good or not ((depths >= 1) & (depths <= MAX_DEPTH)).all():
        raise ValueError("arch_offsets: do not cut the widths into architectures")
    return tuple(tuple(part.tolist()) for part in np.split(widths, offsets[1:-1]))[: len(depths)]
