"""JSON with one spelling for each value, and strict reading of JSON that others wrote."""

import json
import math
from collections.abc import Collection, Mapping
from numbers import Integral, Real
from typing import Any, NoReturn

from nnit.errors import DamagedArtifactError


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
        DamagedArtifactError: not UTF-8, not JSON, a repeated key, NaN or infinity.
    """
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique_pairs,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
        )
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise DamagedArtifactError(f"{where}: not valid JSON ({reason})") from None


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
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {repeated!r} appears twice")
    return result


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

    def integer(self, name: str, low: int | None = None, high: int | None = None) -> int:
        """Return a whole number within ``low`` to ``high``."""
        value = self._field(name)
        if not (_is_whole(value) and _within(value, low, high)):
            self.refuse(name, f"a whole number{_range(low, high)}")
        return value

    def number(self, name: str) -> float:
        """Return a finite number."""
        value = self._field(name)
        if not _is_number(value):
            self.refuse(name, "a number")
        return float(value)

    def numbers(self, name: str, count: int | None = None) -> tuple[float, ...]:
        """Return a list of finite numbers, ``count`` of them."""
        values = self.items(name)
        if not all(map(_is_number, values)) or (count is not None and len(values) != count):
            self.refuse(name, f"{'' if count is None else f'{count} '}numbers")
        return tuple(map(float, values))

    def integers(self, name: str, low: int, high: int) -> tuple[int, ...]:
        """Return a list of whole numbers, each within ``low`` to ``high``."""
        values = self.items(name)
        if not all(_is_whole(value) and _within(value, low, high) for value in values):
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
    return isinstance(value, float) or (_is_whole(value) and abs(value) < 2**1000)  # type: ignore[arg-type]


def _within(value: int, low: int | None, high: int | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _range(low: int | None, high: int | None) -> str:
    if low is not None and high is not None:
        return f" within {low} to {high}"
    return "" if low is None else f" of at least {low}"
