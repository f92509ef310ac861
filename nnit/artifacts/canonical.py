"""JSON with one spelling for each value, and strict reading of JSON that others wrote."""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, NoReturn

from nnit.errors import DamagedArtifactError

MAX_NESTING = 64  # of objects and lists in a file; ours have less than ten
MAX_WHOLE = 2**63 - 1  # of a number without a fraction, up and down
FREE_VALUES = 2**20  # so many may be packed as tightly as they can be
MAX_NUMBER = 1e30  # of any number: sums and squares of such stay finite
BYTES_A_VALUE = 12  # of more than that; the densest of our files, eval.json, has 18

_FIRST_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def normalise(value: object) -> Any:  # noqa: ANN401  # JSON has no narrower type
    """Return ``value`` as plain JSON data: dicts with text keys, lists, text, numbers, None.

    Raises:
        TypeError: a value that JSON has no word for, such as an array.
        ValueError: NaN or infinity.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        if not math.isfinite(value):
            raise ValueError(f"{value} cannot be written as JSON")
        return float(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"JSON key {key!r} is not text")
        return {key: normalise(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [normalise(item) for item in value]
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def canonical_json(value: object) -> str:
    """Write ``value`` on one line: keys sorted, ASCII, floats that read back exactly."""
    return json.dumps(normalise(value), separators=(",", ":"), allow_nan=False)


def canonical_file(value: object) -> bytes:
    """Write ``value`` as the bytes of a file that people read too: indented, newline at the end."""
    return (json.dumps(normalise(value), indent=1, allow_nan=False) + "\n").encode("ascii")


def parse_json(data: bytes, where: str) -> object:
    """Read JSON from an untrusted file.

    Args:
        data: The file's bytes.
        where: What to call the file in messages.

    Raises:
        DamagedArtifactError: not UTF-8, not JSON, a repeated key, NaN or infinity, half a
            surrogate pair, nested too deeply, or values packed so tightly that they would take
            far more memory than the file has bytes.
    """
    values = sum(map(data.count, (b",", b"[", b"{")))
    if values > max(FREE_VALUES, len(data) // BYTES_A_VALUE):
        raise DamagedArtifactError(f"{where}: has {values} values in {len(data)} bytes")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique_pairs,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
        )
        if _FIRST_SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        reason = _short(str(error).splitlines()[0])
        raise DamagedArtifactError(f"{where}: not valid JSON ({reason})") from None
    if _is_nested_deeper(value, MAX_NESTING):
        raise DamagedArtifactError(f"{where}: nested deeper than {MAX_NESTING} levels")
    return value


def parse_canonical(data: bytes, where: str) -> object:
    """Read JSON whose bytes must be those of ``canonical_file``.

    Raises:
        DamagedArtifactError: as ``parse_json``, or the bytes differ in any way.
    """
    value = parse_json(data, where)
    try:
        same = canonical_file(value) == data
    except RecursionError:
        same = False
    if not same:
        raise DamagedArtifactError(f"{where}: its bytes are not those that nnit writes")
    return value


def _unique_pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        [(repeated, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"key {repeated!r} appears twice")
    return result


def _is_nested_deeper(value: object, levels: int) -> bool:
    inside: list[object] = [value]
    for _ in range(levels):
        inside = [
            inner
            for item in inside
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return any(isinstance(item, dict | list) for item in inside)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _finite_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is out of range")
    return number


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
