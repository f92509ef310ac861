"""JSON with one spelling for each value, and strict reading of JSON that others wrote."""

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping
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


class JsonObject:
    """A JSON object from an untrusted file, read field by field.

    Every method names the file, the field, what was found and what was expected.

    Args:
        value: What ``parse_json`` returned.
        where: The file, and the field within it, for messages.

    Raises:
        DamagedArtifactError: the value is not an object.
    """

    def __init__(self, value: object, where: str) -> None:
        self.where = where
        if not isinstance(value, dict):
            raise DamagedArtifactError(f"{where}: found {_shown(value)}, expected an object")
        self.value: dict[str, Any] = value

    def only(self, names: Collection[str]) -> "JsonObject":
        """Return itself, after making sure that its keys are exactly ``names``."""
        missing = sorted(set(names) - set(self.value))
        unknown = sorted(set(self.value) - set(names))
        if missing:
            raise DamagedArtifactError(f"{self.where}: field {missing[0]!r} is missing")
        if unknown:
            raise DamagedArtifactError(f"{self.where}: found unknown field {unknown[0]!r}")
        return self

    def text(self, name: str) -> str:
        """Return a text field."""
        return self._typed(name, str, "text")

    def boolean(self, name: str) -> bool:
        """Return a field that is true or false."""
        return self._typed(name, bool, "true or false")

    def integer(self, name: str, low: int = -MAX_WHOLE, high: int = MAX_WHOLE) -> int:
        """Return a whole number within ``low`` to ``high``."""
        value = self._field(name)
        if not (_is_whole(value) and low <= value <= high):
            self.refuse(name, f"a whole number{_range(low, high)}")
        return value

    def number(self, name: str, low: float = -MAX_NUMBER, high: float = MAX_NUMBER) -> float:
        """Return a number within ``low`` to ``high``."""
        value = self._field(name)
        if not (_is_number(value) and low <= value <= high):
            self.refuse(name, f"a number{_range(low, high)}")
        return float(value)

    def numbers(self, name: str, count: int) -> tuple[float, ...]:
        """Return a list of ``count`` numbers within ``-MAX_NUMBER`` to ``MAX_NUMBER``."""
        values = self.items(name)
        fine = (_is_number(value) and abs(value) <= MAX_NUMBER for value in values)
        if len(values) != count or not all(fine):
            self.refuse(name, f"{count} numbers{_range(-MAX_NUMBER, MAX_NUMBER)}")
        return tuple(map(float, values))

    def integers(self, name: str, low: int, high: int) -> tuple[int, ...]:
        """Return a list of whole numbers, each within ``low`` to ``high``."""
        values = self.items(name)
        if not all(_is_whole(value) and low <= value <= high for value in values):
            self.refuse(name, f"whole numbers{_range(low, high)}")
        return tuple(values)

    def items(self, name: str) -> list[Any]:
        """Return a list field."""
        return self._typed(name, list, "a list")

    def object(self, name: str) -> "JsonObject":
        """Return a field that is itself an object."""
        return JsonObject(self._field(name), f"{self.where}: {name}")

    def refuse(self, name: str, expected: str) -> NoReturn:
        """Say that a field is wrong."""
        found = _shown(self.value[name])
        raise DamagedArtifactError(f"{self.where}: {name}: found {found}, expected {expected}")

    def _field(self, name: str) -> Any:  # noqa: ANN401  # JSON has no narrower type
        if name not in self.value:
            raise DamagedArtifactError(f"{self.where}: field {name!r} is missing")
        return self.value[name]

    def _typed(self, name: str, kind: type, expected: str) -> Any:  # noqa: ANN401
        value = self._field(name)
        if not isinstance(value, kind):
            self.refuse(name, expected)
        return value


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, float) or _is_whole(value)


def _shown(value: object) -> str:
    return _short(json.dumps(value))


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _range(low: float, high: float) -> str:
    if high in (MAX_WHOLE, MAX_NUMBER):
        return "" if low == -high else f" of at least {low}"
    return f" within {low} to {high}"
