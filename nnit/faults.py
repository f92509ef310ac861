"""What pydantic has against a value, in this project's words: where it is, and what it must be."""

import json
from collections.abc import Callable

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nnit.errors import shorten

PLAIN_WORDS = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "too_short": "must not be empty",
    "too_long": "must have at most {max_length} items",
    "model_type": "must be a section of keys",
    "dict_type": "must be a section of keys",
    "dataclass_type": "must be a section of keys",
    "invalid_key": "keys must be text",
}
Location = tuple[str | int, ...]  # keys and indices from the top of a file
Fault = tuple[Location, str]


class RulesError(ValueError):
    """Faults that several keys make together, each with where it lies below them."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(message for _, message in faults))
        self.faults = faults


def faults_of(
    error: ValidationError, unknown: Callable[[Location], str] = lambda _: "is unknown"
) -> list[Fault]:
    """Return what is wrong, each with where.

    Args:
        error: What pydantic raised.
        unknown: What to say of a key that should not be there.
    """
    faults: list[Fault] = []
    for details in error.errors(include_url=False):
        location, cause = details["loc"], details.get("ctx", {}).get("error")
        if isinstance(cause, RulesError):
            faults += [((*location, *inner), message) for inner, message in cause.faults]
        elif details["type"] == "extra_forbidden":
            faults.append((location, unknown(location)))
        else:
            faults.append((location, _message(details)))
    # A fault deeper inside accounts for one around it: a list left short by a bad item.
    explained = {location[:depth] for location, _ in faults for depth in range(len(location))}
    return [fault for fault in faults if fault[0] not in explained]


def spell(location: Location, joint: str = ".") -> str:
    """Write a location as ``section.key[2]: ``; the top of a file has no name."""
    text = "".join(
        f"[{part}]" if isinstance(part, int) else f"{joint}{shorten(part)}" for part in location
    )
    return f"{text.removeprefix(joint)}: " if text else ""


def _message(details: ErrorDetails) -> str:
    if details["type"] == "missing":
        return "is missing"
    words = PLAIN_WORDS.get(details["type"], "").format(**details.get("ctx", {})) or (
        details["msg"].removeprefix("Value error, ").replace("Input should", "must")
    )
    return f"{words} (got {_shown(details['input'])})"


def _shown(value: object) -> str:
    return shorten(json.dumps(value, default=str, ensure_ascii=False))
