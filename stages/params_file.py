"""From ``params.yaml`` and command-line flags to checked parameters, or to all faults at once."""

import difflib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from nnit.errors import (
    DamagedArtifactError,
    MissingArtifactError,
    ParamsError,
    UsageError,
    shorten,
)
from nnit.faults import Location, faults_of, spell
from nnit.opening import read_bounded
from stages.params import Params, Section

DEFAULT_FILE = Path("params.yaml")
MAX_SIZE = 2**16  # bytes of a file, and about as many once its aliases are written out
MAX_NESTING = 32  # an alias counts with what it stands for
TOO_DEEP = "nested too deeply, or in itself"
MAX_DIGITS = 100  # of a number
SHOWN_FAULTS = 100
SHOWN_PROBLEM = 120  # characters of what ruamel says
TAG = "tag:yaml.org,2002:"
KNOWN_TAGS = {f"{TAG}{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map")}
MERGE = f"{TAG}merge"  # the key <<, whose value is keys to take over
SectionT = TypeVar("SectionT", bound=Section)
Places = dict[Location, tuple[int, int]]  # line and column, from 1, of each key and list item


class Part(NamedTuple):
    """A key or a value of a file."""

    location: Location
    mark: StringMark
    size: int  # about as many bytes
    fault: str | None


def load_params(path: Path | None = None) -> Params:
    """Read parameters; what the file leaves out keeps its default.

    Args:
        path: The file; None for ``params.yaml`` here where there is one, else the defaults.

    Raises:
        MissingArtifactError: ``path`` was given and is not there.
        ParamsError: no regular file, too large, not YAML, or with unknown keys or impossible
            values: a line for each fault, and up to ``SHOWN_FAULTS`` of them,
            ``params.yaml:LINE:COLUMN: section.key: what is wrong (got value)``.
    """
    if path is None and not DEFAULT_FILE.exists():
        return Params()
    path = path or DEFAULT_FILE
    text = _read_text(path)
    data, places = _parse(path, text)
    try:
        return Params.model_validate({} if data is None else data)
    except ValidationError as error:
        faults = faults_of(error, _unknown_key)
        found = sorted(
            ((_position(places, where), where, what) for where, what in faults),
            key=lambda fault: fault[0],
        )
        lines = [
            f"{path}:{line}:{column}: {spell(where)}{what}"
            for (line, column), where, what in found[:SHOWN_FAULTS]
        ]
        more = len(found) - SHOWN_FAULTS
        raise ParamsError(*lines, *[f"{path}: and {more} more"] * (more > 0)) from None


def override(section: SectionT, **flags: Any) -> SectionT:  # noqa: ANN401
    """Lay flags over a section; a flag that is None was not given.

    Raises:
        UsageError: a value is impossible; a line for each, naming the flag.
    """
    given = {key: value for key, value in flags.items() if value is not None}
    try:
        return type(section).model_validate({**section.model_dump(exclude_unset=True), **given})
    except ValidationError as error:
        lines = [
            f"--{str(location[0]).replace('_', '-')}: {message}"
            for location, message in faults_of(error, _unknown_key)
        ]
        raise UsageError(*lines) from None


def _read_text(path: Path) -> str:
    if str(path) == os.devnull:  # the shell's way to say: no file, not even params.yaml
        return ""
    try:
        return read_bounded(path, MAX_SIZE).decode()
    except MissingArtifactError:
        raise MissingArtifactError(f"{path}: no such parameter file") from None
    except DamagedArtifactError as error:
        raise ParamsError(*error.faults) from None
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path}: not UTF-8 text at byte {error.start}") from None


def _parse(path: Path, text: str) -> tuple[Any, Places]:
    """Return the file's data, and where it stands; its size is known before any is built."""
    yaml, places, size = YAML(typ="safe", pure=True), Places(), 0
    yaml.composer.warn_double_anchors = False
    with _yaml_faults(path):
        root = yaml.compose(text)
    if root is None:
        return None, places
    for part in _parts(yaml, root, ()):
        line, column = part.mark.line + 1, part.mark.column + 1
        if part.fault:
            raise ParamsError(f"{path}:{line}:{column}: {part.fault}")
        size += part.size
        if size > MAX_SIZE:
            raise ParamsError(f"{path}: larger than {MAX_SIZE} bytes with its aliases written out")
        places.setdefault(part.location, (line, column))
    with _yaml_faults(path):
        return yaml.constructor.construct_document(root), places


@contextmanager
def _yaml_faults(path: Path) -> Iterator[None]:
    """Report what ruamel finds.

    Raises:
        ParamsError: the text is not YAML, with its place where that is known.
    """
    try:
        yield
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ParamsError(f"{path}{at}: not YAML: {_first_line(error.problem)}") from None
    except RecursionError:
        raise ParamsError(f"{path}: {TOO_DEEP}") from None
    except (YAMLError, ValueError, LookupError) as error:  # the last two of numbers, as in 0x_
        raise ParamsError(f"{path}: not YAML: {_first_line(error)}") from None


def _parts(yaml: YAML, node: Node, location: Location, depth: int = 1) -> Iterator[Part]:
    """Yield each thing that a node holds, aliases written out; what follows a fault is no use."""
    fault = _node_fault(yaml, node, depth)
    length = len(node.value) if isinstance(node, ScalarNode) else 0
    yield Part(location, node.start_mark, 1 + length, fault)
    if isinstance(node, MappingNode):
        # What is taken over comes last: keys that stand here count before it.
        for key, value in sorted(node.value, key=lambda pair: pair[0].tag == MERGE):
            inside = location if key.tag == MERGE else (*location, str(key.value))
            fault = None if isinstance(key, ScalarNode) else "keys must be text"
            yield Part(inside, key.start_mark, 1 + len(key.value), fault)
            yield from _parts(yaml, value, inside, depth + 1)
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield from _parts(yaml, item, (*location, index), depth + 1)


def _node_fault(yaml: YAML, node: Node, depth: int) -> str | None:
    """Say what is wrong with a node alone: dates, sets and tags are nothing for parameters."""
    if depth > MAX_NESTING:
        return TOO_DEEP
    if node.tag in {f"{TAG}int", f"{TAG}float"} and len(node.value) > MAX_DIGITS:
        return f"a number of more than {MAX_DIGITS} digits"
    untagged = yaml.resolver.resolve(type(node), node.value, (True, False))
    if node.tag not in KNOWN_TAGS or node.tag not in {f"{TAG}str", str(untagged)}:
        return f"{shorten(node.tag.replace(TAG, '!!'))}: not a kind of value that parameters have"
    return None


def _first_line(problem: object) -> str:
    return shorten(str(problem).strip().splitlines()[0], to=SHOWN_PROBLEM)


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


def _position(places: Places, location: Location) -> tuple[int, int]:
    """Return line and column of a key or a list item, or of the nearest thing around it."""
    around = (location[:depth] for depth in range(len(location), 0, -1))
    return next((places[part] for part in around if part in places), places.get((), (1, 1)))
