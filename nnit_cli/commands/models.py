"""``nnit models`` and ``nnit models validate``."""

from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

import typer

from nnit.errors import DamagedArtifactError
from nnit_cli.console import print_json, print_line, print_tables
from nnit_cli.options import DebugOption, JsonOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages.models import Listed

FEW_TASKS = 3  # of a row; `nnit inspect` names all
HEAD = ("model", "version", "from", "tasks", "success", "widths", "depths", "MiB")

EXAMPLE = "nnit models --folder build"


def models_command(
    context: typer.Context,
    *,
    folder: Annotated[
        Path, typer.Option("--folder", help="List the generators in and below it.")
    ] = Path(),
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """List the generators that there are: in folders, installed, in the cache."""
    if context.invoked_subcommand:
        return
    from stages.models import list_models

    found = list_models(folder)
    if json:
        print_json([as_data(one) for one in found])
    elif found:
        print_tables([[HEAD, *map(as_row, found)]])
    else:
        print_line(f"{folder}: no generators here, and none is installed")
    refuse_faults(found)


def validate_command(*, json: JsonOption = False, debug: DebugOption = False) -> None:
    """Check installed generators: every byte, and the versions that they need."""
    from stages.models import validate

    found = validate()
    if json:
        print_json([as_data(one) for one in found])
    else:
        for one in (one for one in found if not one.fault):
            print_line(f"{one.model.name}@{one.model.version}: whole, and fits")
        if not found:
            print_line("no generator is installed")
    refuse_faults(found)


def as_row(one: "Listed") -> tuple[str, ...]:
    """Return what people see of a generator."""
    model = one.model
    name = str(model.path) if model.origin == "folder" else model.name
    if one.fault:
        return (name, model.version, model.origin, "can't be read", "", "", "", "")
    spans = (f"{low}-{high}" for low, high in (one.widths, one.depths))
    mebibytes = f"{one.num_bytes / 2**20:.1f}"
    success = f"{fmean(one.success.values()):.3f}" if one.success else "-"
    tasks = ", ".join(one.tasks) if len(one.tasks) <= FEW_TASKS else f"{len(one.tasks)} tasks"
    return (name, model.version, model.origin, tasks, success, *spans, mebibytes)


def as_data(one: "Listed") -> dict[str, object]:
    """Return what programs see of a generator."""
    model = one.model
    return {
        "name": model.name,
        "version": model.version,
        "from": model.origin,
        "path": str(model.path),
        "tasks": list(one.tasks),
        "widths": list(one.widths),
        "depths": list(one.depths),
        "bytes": one.num_bytes,
        "success": one.success,
        "fault": one.fault,
    }


def refuse_faults(found: "Sequence[Listed]") -> None:
    """End with the faults of the generators that can't be used.

    Raises:
        DamagedArtifactError: there are some; a line for each.
    """
    faults = [one.fault for one in found if one.fault]
    if faults:
        raise DamagedArtifactError(*faults)
