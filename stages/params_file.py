"""From ``params.yaml`` and command-line flags to checked parameters, or to all faults at once."""

import difflib
import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from nnit.errors import MissingArtifactError, ParamsError, UsageError, shorten
from stages.params import Location, Params, RulesError, Section

DEFAULT_FILE = Path("params.yaml")
PLAIN_WORDS = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "too_short": "must not be empty",
    "model_type": "must be a section of keys",
    "invalid_key": "keys must be text",
}
SectionT = TypeVar("SectionT", bound=Section)
Fault = tuple[Location, str]


def load_params(path: Path | None = None) -> Params:
    """Read parameters; what the file leaves out keeps its default.

    Args:
        path: The file; None for ``params.yaml`` here where there is one, else the defaults.

    Raises:
        MissingArtifactError: ``path`` was given and is not there.
        ParamsError: the file is not YAML, or has unknown keys or impossible values: a line for
            each fault, ``params.yaml:LINE:COLUMN: section.key: what is wrong (got value)``.
    """
    if path is None and not DEFAULT_FILE.exists():
        return Params()
    path = path or DEFAULT_FILE
    text = _read_text(path)
    data, root = _parse(path, text)
    try:
        return Params.model_validate({} if data is None else data)
    except ValidationError as error:
        found = sorted(
            ((_position(root, where), where, what) for where, what in _faults(error)),
            key=lambda fault: fault[0],
        )
        lines = [
            f"{path}:{line}:{column}: {_dotted(where)}{what}"
            for (line, column), where, what in found
        ]
        raise ParamsError(*lines) from None


def override(section: SectionT, **flags: Any) -> SectionT:  # noqa: ANN401
    """Lay flags over a section; a flag that is None was not given.

    Raises:
        UsageError: a value is impossible; a line for each, naming the flag.
    """
    given = {key: value for key, value in flags.items() if value is not None}
    try:
        return type(section).model_validate({**section.model_dump(), **given})
    except ValidationError as error:
        lines = [
            f"--{str(location[0]).replace('_', '-')}: {message}"
            for location, message in _faults(error)
        ]
        raise UsageError(*lines) from None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingArtifactError(f"{path}: no such parameter file") from None
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path}: not UTF-8 text at byte {error.start}") from None
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read: {error.strerror}") from None


def _parse(path: Path, text: str) -> tuple[Any, Node | None]:
    """Return the file's data, and its nodes, which know their lines and columns."""
    yaml = YAML(typ="safe", pure=True)
    try:
        return yaml.load(text), yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ParamsError(f"{path}{at}: not YAML: {_first_line(error.problem)}") from None
    except YAMLError as error:
        raise ParamsError(f"{path}: not YAML: {_first_line(error)}") from None
    except RecursionError:
        raise ParamsError(f"{path}: nested too deeply") from None


def _first_line(problem: object) -> str:
    return str(problem).strip().splitlines()[0]


def _faults(error: ValidationError) -> list[Fault]:
    faults: list[Fault] = []
    for details in error.errors(include_url=False):
        location, cause = details["loc"], details.get("ctx", {}).get("error")
        if isinstance(cause, RulesError):
            faults += [((*location, *inner), message) for inner, message in cause.faults]
        else:
            faults.append((location, _message(details)))
    return [fault for fault in faults if not _explained_inside(fault[0], faults)]


def _explained_inside(location: Location, faults: list[Fault]) -> bool:
    """Whether a fault deeper inside accounts for the one here: a list left short by a bad item."""
    depth = len(location)
    return any(len(other) > depth and other[:depth] == location for other, _ in faults)


def _message(details: ErrorDetails) -> str:
    if details["type"] == "extra_forbidden":
        return _unknown_key(details["loc"])
    words = PLAIN_WORDS.get(details["type"]) or (
        details["msg"].removeprefix("Value error, ").replace("Input should", "must")
    )
    return f"{words} (got {_shown(details['input'])})"


def _unknown_key(location: Location) -> str:
    """Name what the key may have meant, or all keys there are."""
    known = list(_section_at(location[:-1]).model_fields)
    close = difflib.get_close_matches(str(location[-1]).replace("-", "_"), known, n=1)
    if close:
        return f"unknown key, did you mean {close[0]}?"
    return f"unknown key, known are {', '.join(known)}"


def _section_at(location: Location) -> type[Section]:
    section: type[Section] = Params
    for key in location:
        annotation = section.model_fields[str(key)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, Section)):
            break
        section = annotation
    return section


def _shown(value: object) -> str:
    return shorten(json.dumps(value, default=str, ensure_ascii=False))


def _dotted(location: Location) -> str:
    """Write a location as ``section.key[2]: ``; the top of the file has no name."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return f"{text.removeprefix('.')}: " if text else ""


def _position(node: Node | None, location: Location) -> tuple[int, int]:
    """Return line and column of a key or a list item, or of the nearest thing around it."""
    mark = node.start_mark if node else None
    for part in location:
        if isinstance(node, MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
        elif isinstance(node, SequenceNode) and isinstance(part, int):
            found = [(item, item) for item in node.value[part : part + 1]]
        else:
            found = []
        if not found:
            break
        mark, node = found[0][0].start_mark, found[0][1]
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
