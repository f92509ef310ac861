"""JSON that others wrote as records: each field checked by its declared type, nothing trusted."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    Strict,
    TypeAdapter,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from nnit.artifacts.canonical import MAX_NUMBER, MAX_WHOLE
from nnit.errors import DamagedArtifactError
from nnit.faults import faults_of, spell
from nnit.mlp import MAX_DEPTH, MAX_WIDTH

TINY = 1e-30  # what is divided by is larger
SHOWN_FAULTS = 5
MAX_KEYS = 1000  # of an object; a fault takes far more memory than what is at fault

Item = TypeVar("Item")
Read = TypeVar("Read")
Flag = Annotated[bool, Strict()]
Whole = Annotated[int, Strict(), Field(ge=-MAX_WHOLE, le=MAX_WHOLE)]
Natural = Annotated[int, Strict(), Field(ge=0, le=MAX_WHOLE)]
Extent = Annotated[int, Strict(), Field(ge=0, le=2**62)]  # of an axis, or bytes
Width = Annotated[int, Strict(), Field(ge=1, le=MAX_WIDTH)]
Number = Annotated[float, Strict(), Field(ge=-MAX_NUMBER, le=MAX_NUMBER)]
Positive = Annotated[float, Strict(), Field(gt=TINY, le=MAX_NUMBER)]
Share = Annotated[float, Strict(), Field(ge=0, le=1)]
Items = Annotated[tuple[Item, ...], Field(fail_fast=True)]
Widths = Annotated[Items[Width], Field(max_length=MAX_DEPTH)]
HiddenDims = Annotated[Widths, Field(min_length=1)]


class Record(BaseModel):
    """An object whose fields are all there, and no others."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _few_keys(cls, value: object) -> object:
        if isinstance(value, dict) and len(value) > MAX_KEYS:  # each may be a fault
            raise ValueError(f"must have at most {MAX_KEYS} keys")
        return value


@dataclass(frozen=True)
class Stored:
    """Says in an annotation that a named tuple is stored as an object.

    Args:
        model: Its fields with their bounds, and maybe others; without, they follow from the types
            of the named tuple: numbers, text, booleans, named tuples, tuples of any length of
            these, or one of these or None.
    """

    model: type[Record] | None = None

    def __get_pydantic_core_schema__(
        self, source: type[tuple[Any, ...]], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return how pydantic reads the object and makes the named tuple."""
        schema = handler.generate_schema(self.model or _model_of(source))
        return core_schema.no_info_after_validator_function(
            lambda record: to_tuple(source, record), schema
        )


def satisfying(test: Callable[[Any], object], words: str) -> AfterValidator:
    """Return, for an annotation, what refuses values that a test is false of."""

    def check(value: Item) -> Item:
        if not test(value):
            raise ValueError(f"must be {words}")
        return value

    return AfterValidator(check)


def to_tuple(type_: type[Read], record: Record) -> Read:
    """Make a named tuple of a record that has its fields, and maybe others."""
    names = type_._fields  # type: ignore[attr-defined]
    return type_(*(getattr(record, name) for name in names))


def record_to_json(value: object) -> Any:  # noqa: ANN401  # JSON has no narrower type
    """Turn a named tuple, and those within it, into JSON objects; other tuples into lists."""
    if isinstance(value, tuple):
        names = getattr(value, "_fields", None)
        if names is None:
            return [record_to_json(item) for item in value]
        return {name: record_to_json(getattr(value, name)) for name in names}
    return value


def parse_record(type_: Any, value: object, where: str) -> Any:  # noqa: ANN401
    """Read a record that somebody wrote, trusting nothing.

    Args:
        type_: A ``Record``, a named tuple as ``Stored`` takes it, or whatever pydantic knows.
        value: What ``parse_json`` returned.
        where: What to call the value in messages.

    Raises:
        DamagedArtifactError: a field is missing, unknown, or not of its type; a line for each of
            the first ``SHOWN_FAULTS``.
    """
    try:
        return _adapter(type_).validate_python(value)
    except ValidationError as error:
        faults = faults_of(error)
        lines = [f"{where}: {spell(place, ': ')}{what}" for place, what in faults[:SHOWN_FAULTS]]
        more = len(faults) - SHOWN_FAULTS
        raise DamagedArtifactError(*lines, *[f"{where}: and {more} more"] * (more > 0)) from None


@cache
def _adapter(type_: Any) -> TypeAdapter[Any]:  # noqa: ANN401
    return TypeAdapter(_strict(type_))


@cache
def _model_of(type_: type[tuple[Any, ...]]) -> type[Record]:
    hints = get_type_hints(type_, include_extras=True)
    defaults = type_._field_defaults  # type: ignore[attr-defined]
    fields: dict[str, Any] = {
        name: (_strict(hint), defaults.get(name, ...)) for name, hint in hints.items()
    }
    return create_model(type_.__name__, __base__=Record, **fields)


def _strict(hint: Any) -> Any:  # noqa: ANN401
    """Return a type of a named tuple with the bounds that hold everywhere."""
    origin, parts = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and hasattr(hint, "_fields"):
        return Annotated[hint, Stored()]
    if origin is tuple:
        return Items[_strict(parts[0])]
    if type(None) in parts:
        return _strict(parts[0]) | None
    return {int: Whole, float: Number, bool: Flag}.get(hint, hint)
