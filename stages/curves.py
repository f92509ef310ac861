"""Loss curves as CSV files, for DVC's plots."""

import csv
from collections.abc import Sequence
from pathlib import Path


def write_curve(path: Path | None, curve: Sequence[tuple[int, float]], name: str = "loss") -> None:
    """Write rows of a step and its loss, or what is named; nothing where no file is wanted."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["step", name])
        writer.writerows((step, f"{loss:.6g}") for step, loss in curve)
