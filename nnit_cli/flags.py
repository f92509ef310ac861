"""What flags and arguments say: from the words of a command line to what a stage takes."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnit.errors import UsageError
from nnit_cli.options import MERGE

if TYPE_CHECKING:
    from nnit.engine import Shard
    from nnit.mlp import Architecture
    from nnit.patterns import PartialArchitecture
    from stages.params import Params

MAX_SHARDS = 10_000
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


def parse_executor(text: str | None) -> str | None:
    """Return HOST:PORT of ``--executor dask://HOST:PORT``.

    Raises:
        UsageError: it is something else.
    """
    if text is None:
        return None
    scheme, _, address = text.partition("://")
    host, _, port = address.rpartition(":")
    if scheme != "dask" or not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UsageError(f"--executor {text}: expected dask://HOST:PORT, as in dask://node1:8786")
    return address


def parse_shard(text: str | None) -> "Shard | None":
    """Return the part of the work that ``--shard`` names.

    Raises:
        UsageError: it is none.
    """
    from nnit.engine import Shard

    if text is None or text == MERGE:
        return None
    number, _, count = text.partition("/")
    known = number.isdecimal() and count.isdecimal()
    if not known or not 1 <= int(number) <= int(count) <= MAX_SHARDS:
        raise UsageError(
            f"--shard {text}: expected I/N with I from 1 to N, as in 3/8; N is at most {MAX_SHARDS}"
        )
    return Shard(int(number), int(count))


def parse_architectures(
    texts: list[str] | None, flag: str = "--arch"
) -> "tuple[Architecture, ...]":
    """Return the architectures of a flag that may be repeated."""
    from nnit.mlp import parse_architecture

    return tuple(parse_architecture(text, flag) for text in texts or ())


def refuse_flags(given: Mapping[str, object], but: Collection[str], owner: str) -> None:
    """Refuse flags that another way of running a command has.

    Args:
        given: Values by parameter name; None where not given.
        but: Names that are fine.
        owner: The flag that they belong to.

    Raises:
        UsageError: one was given; a line for each.
    """
    wrong = [name for name, value in given.items() if value is not None and name not in but]
    if wrong:
        raise UsageError(*(f"--{name.replace('_', '-')}: is of {owner}" for name in wrong))


def parse_labels(texts: Sequence[str] | None, flag: str = "") -> dict[str, Path]:
    """Return what values ``LABEL=PATH`` say.

    Args:
        texts: The values.
        flag: Which they are of; empty of arguments.

    Raises:
        UsageError: a part is missing, or a label is given twice.
    """
    labels: dict[str, Path] = {}
    for text in texts or ():
        where = f"{flag} {text}".lstrip()
        label, _, path = text.partition("=")
        if not path or not LABEL.fullmatch(label):
            raise UsageError(f"{where}: give LABEL=PATH, as in nearest=artifacts/nearest")
        if label in labels:
            raise UsageError(f"{where}: the label {label} is given twice; give each its own")
        labels[label] = Path(path)
    return labels


def asked_task(named: str | None) -> str | None:
    """Return the id of the task that ``--task`` asks a generator for; the text may be a file.

    Raises:
        NnitError: a file that is not there or defines no task.
    """
    from stages.task_source import named_id

    return named_id(named)


def wanted_architectures(
    params: "Params", texts: list[str] | None, *, held_out: bool
) -> "tuple[Architecture, ...]":
    """Return the architectures that ``--arch`` and ``--held-out`` ask for.

    Raises:
        UsageError: a text is not an architecture.
    """
    listed = params.architectures.held_out.listed() if held_out else ()
    return (*parse_architectures(texts), *listed)


def wanted_patterns(
    params: "Params", texts: list[str] | None, *, held_out: bool, repeated: bool = False
) -> "tuple[PartialArchitecture | None, ...]":
    """Return what ``--arch``, ``--held-out`` and ``--repeated`` ask for, else one to generate.

    Raises:
        UsageError: a text is not an architecture.
    """
    from stages.patterns import parse_pattern

    listed = params.architectures.held_out.listed() if held_out else ()
    several = params.zoo_export.repeated if repeated else ()
    return (*map(parse_pattern, texts or ()), *listed, *several) or (None,)
