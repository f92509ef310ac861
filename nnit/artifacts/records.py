"""Named tuples as JSON and back, every field checked by its declared type."""

import types
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from nnit.artifacts.canonical import MAX_NUMBER, MAX_WHOLE
from nnit.errors import DamagedArtifactError

Record = TypeVar("Record")


def record_to_json(value: object) -> Any:  # noqa: ANN401  # JSON has no narrower type
    """Turn a named tuple, and those within it, into JSON objects; other tuples into lists."""
    if isinstance(value, tuple):
        names = getattr(value, "_fields", None)
        if names is None:
            return [record_to_json(item) for item in value]
        return {name: record_to_json(getattr(value, name)) for name in names}
    return value


def parse_record(type_: type[Record], value: object, where: str) -> Record:
    """Inverse of ``record_to_json``, trusting nothing.

    Args:
        type_: A named tuple whose fields are numbers, text, booleans, named tuples, tuples of any
            length of these, or one of these or None.
        value: What ``parse_json`` returned.
        where: What to call the value in messages.

    Raises:
        DamagedArtifactError: a field is missing, unknown, or not of its type.
    """
    names = type_._fields  # type: ignore[attr-defined]
    if not isinstance(value, dict) or set(value) != set(names):
        _refuse(value, f"an object with the fields {', '.join(names)}", where)
    hints = get_type_hints(type_)
    return type_(*(_parse(hints[name], value[name], f"{where}: {name}") for name in names))


def _parse(hint: Any, value: object, where: str) -> Any:  # noqa: ANN401
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (inner,) = (part for part in parts if part is not type(None))
        return None if value is None else _parse(inner, value, where)
    if origin is tuple:
        return _parse_items(parts, value, where)
    if hasattr(hint, "_fields"):
        return parse_record(hint, value, where)
    if hint is float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            _refuse(value, "a number", where)
        if not abs(value) <= MAX_NUMBER:
            _refuse(value, f"a number of at most {MAX_NUMBER}", where)
        return float(value)
    wrong = hint is int and (isinstance(value, bool) or not _is_near(value))
    if not isinstance(value, hint) or wrong:
        _refuse(value, {int: "a whole number", str: "text", bool: "true or false"}[hint], where)
    return value


def _is_near(value: object) -> bool:
    return isinstance(value, int) and abs(value) <= MAX_WHOLE


def _parse_items(parts: Sequence[Any], value: object, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        _refuse(value, "a list", where)
    if len(parts) == 2 and parts[1] is Ellipsis:
        parts = [parts[0]] * len(value)
    if len(parts) != len(value):
        _refuse(value, f"{len(parts)} items", where)
    return tuple(
        _parse(part, item, f"{where}[{k}]")
        for k, (part, item) in enumerate(zip(parts, value, strict=True))
    )


def _refuse(value: object, expected: str, where: str) -> NoReturn:
    found = repr(value)
    found = found if len(found) <= 60 else found[:57] + "..."
    raise DamagedArtifactError(f"{where}: found {found}, expected {expected}")
