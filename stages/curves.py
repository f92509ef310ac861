"""Loss curves as CSV files, for DVC's plots."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from nnit.artifacts.loose import write_loose

_HEADS = (b"step,loss", b"step,return")
_ROW = re.compile(rb"[0-9]+,[-+.0-9a-z]+")


def write_curve(path: Path | None, curve: Sequence[tuple[int, float]], name: str = "loss") -> None:
    """Write rows of a step and its loss, or what is named; nothing where no file is wanted.

    Raises:
        UsageError: something else than a curve is there.
        ResourceError: no disk or no permission.
    """
    if path is None:
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", name])
    writer.writerows((step, f"{loss:.6g}") for step, loss in curve)
    write_loose(path, text.getvalue().encode(), is_curve)


def is_curve(data: bytes) -> bool:
    """Whether a file is one that ``write_curve`` wrote."""
    head, *rows = data.split(b"\n")
    return head in _HEADS and all(map(_ROW.fullmatch, rows[:-1])) and rows[-1:] == [b""]
