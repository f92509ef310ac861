"""The command line of the campaign."""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from nnit import __version__

from .trials import COLUMNS, failures_of, numbered, rows_of, run_trials

PARTS = ("damage", "kills", "fuzz", "resealed", "snapshot")
MEMORY_DISK = Path("/dev/shm")


def main(words: list[str] | None = None) -> int:
    """Run the campaign, or print the table of one; 1 if any attack succeeded."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument(
        "--out",
        type=Path,
        help="JSON of the counts; --part keeps others",
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the trials, for a sample")
    parser.add_argument("--seconds", type=float, default=1e9, help="start nothing afterwards")
    parser.add_argument("--seed", type=int, default=15)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--part", choices=PARTS, action="append", help="may be repeated")
    parser.add_argument("--only", type=int, help="run this trial of a part here, and say what came")
    parser.add_argument("--table", type=Path, help="print the table of this file, and do nothing")
    given = parser.parse_args(words)
    if given.table:
        print(table(json.loads(given.table.read_text())), end="")
        return 0
    scratch = MEMORY_DISK if os.access(MEMORY_DISK, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="nnit-campaign-", dir=scratch))
    try:
        parts = given.part or PARTS
        if given.only is not None:
            return show(parts[0], given.only, given.seed, folder)
        results = run(parts, given, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if given.out:
        if given.part and given.out.exists():
            results = joined(json.loads(given.out.read_text()), results, given.part)
        given.out.write_text(json.dumps(results, indent=1) + "\n")
    return 1 if results["failures"] else 0


def run(parts: tuple[str, ...], given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run parts one after the other and return all counts."""
    rows: list[dict[str, Any]] = []
    failures: list[dict[str, Any]] = []
    start = time.monotonic()
    for part in parts:
        trials = list(numbered(_attacks(part, folder), given.share))
        found = run_trials(
            trials, given.seed, folder, workers=given.workers, deadline=start + given.seconds
        )
        new = rows_of(trials, found)
        rows += [{"part": part, **row} for row in new]
        groups = failures_of(part, trials, found, given.seed)
        failures += [{"part": part, **group} for group in groups]
        for line in (*new, *groups, f"done after {time.monotonic() - start:.0f} s"):
            print(f"{part}: {line}", file=sys.stderr)
    return {
        "versions": {"nnit": __version__, "python": "{}.{}".format(*sys.version_info)},
        "seed": given.seed,
        "totals": {name: sum(row[name] for row in rows) for name in COLUMNS},
        "rows": rows,
        "failures": failures,
    }


def joined(earlier: dict[str, Any], results: dict[str, Any], again: list[str]) -> dict[str, Any]:
    """Return the counts of a campaign of which some parts were run again."""
    both = {}
    for name in ("rows", "failures"):
        kept = [one for one in earlier[name] if one["part"] not in again]
        both[name] = sorted([*kept, *results[name]], key=lambda one: PARTS.index(one["part"]))
    totals = {name: sum(row[name] for row in both["rows"]) for name in COLUMNS}
    return {**results, "totals": totals, **both}


def show(part: str, number: int, seed: int, folder: Path) -> int:
    """Run one trial and print what came of it."""
    trial = next(t for t in numbered(_attacks(part, folder)) if t.number == number)
    found = run_trials([trial], seed, folder, workers=1, deadline=float("inf"))
    print(f"{trial.attack.name}, number {trial.index}: {found[number] or 'withstood'}")
    return 1 if found[number] else 0


def table(results: dict[str, Any]) -> str:
    """Return the counts as a table for the documentation."""
    rows = [*results["rows"], {"attack": "**all**", **results["totals"]}]
    lines = [
        f"| attack | {' | '.join(name.replace('_', ' ') for name in COLUMNS)} |",
        f"|---|{'---:|' * len(COLUMNS)}",
    ]
    for row in rows:
        cells = " | ".join(f"{row[name]:,}" for name in COLUMNS)
        lines.append(f"| {row['attack']} | {cells} |")
    return "\n".join(lines) + "\n"


def _attacks(part: str, folder: Path) -> list[Any]:
    base = folder / f"{part}-base"
    base.mkdir()
    return import_module(f".{part}", __package__).attacks(base)


if __name__ == "__main__":
    sys.exit(main())
