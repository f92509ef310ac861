"""The parameters one by one, for flags and for people: name, what it is, and its default."""

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from pydantic.fields import FieldInfo

from nnit.errors import UsageError
from stages.params import Params, Section


class Key(NamedTuple):
    """A parameter, for its flag."""

    section: str
    name: str
    kind: type  # int, float, bool, str; tuple and dict of what is written several times
    text: str  # what it is
    default: Any
    short: str | None  # another name of its flag
    choices: tuple[str, ...] = ()  # all that it may be, where they are few


def keys_of(sections: Sequence[str]) -> list[Key]:
    """Return the parameters of sections such as ``zoo_export``; of ``ppo.iterations``, one."""
    found = []
    for name in sections:
        section, _, only = name.partition(".")
        for key, field in section_type(section).model_fields.items():
            if only in ("", key):
                extra = field.json_schema_extra
                short = str(extra["short"]) if isinstance(extra, dict) else None
                text = field.description or ""
                kind, choices = _kind_of(field)
                found.append(Key(section, key, kind, text, field.default, short, choices))
    return found


def section_type(name: str) -> type[Section]:
    """Return the model of a section."""
    kind = Params.model_fields[name].annotation
    assert isinstance(kind, type)
    assert issubclass(kind, Section)
    return kind


class Described(NamedTuple):
    """A parameter, for people."""

    name: str  # as in architectures.held_out.wider
    default: Any  # plain data, as params.yaml has it
    text: str

    @property
    def shown(self) -> str:
        """The default: architectures as flags take them, all else as params.yaml has it."""
        if self.default and isinstance(self.default, list) and isinstance(self.default[0], list):
            return " ".join(",".join(map(str, dims)) for dims in self.default)
        return self.default if isinstance(self.default, str) else json.dumps(self.default)


def described(section: str | None = None) -> dict[str, list[Described]]:
    """Return the parameters of each section; those that are in none are under "".

    Args:
        section: One alone, as in ``ghn_train`` or ``ghn-train``; by default all.

    Raises:
        UsageError: there is no such section.
    """
    found: dict[str, list[Described]] = {}
    for one in _described(Params()):
        first = one.name.partition(".")[0]
        found.setdefault("" if first == one.name else first, []).append(one)
    if section is None:
        return found
    name = section.replace("-", "_")
    if name not in found or not name:
        raise UsageError(f"{section}: no such section; there are {', '.join(filter(None, found))}")
    return {name: found[name]}


def _described(values: Section, prefix: str = "") -> Iterator[Described]:
    for key, field in type(values).model_fields.items():
        value = getattr(values, key)
        if isinstance(value, Section):
            yield from _described(value, f"{prefix}{key}.")
        else:
            default = values.model_dump(mode="json", include={key})[key]
            yield Described(f"{prefix}{key}", default, field.description or "")


def _kind_of(field: FieldInfo) -> tuple[type, tuple[str, ...]]:
    """Return the type of what a field is, null aside, and its values where they are listed."""
    kind: Any = field.annotation
    while get_origin(kind) is Annotated or type(None) in get_args(kind):
        kind = next(one for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is Literal:
        return str, get_args(kind)
    return get_origin(kind) or kind, ()
