"""``nnit verify``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit.errors import DamagedArtifactError, NnitError
from nnit_cli.console import print_json, print_line
from nnit_cli.options import DebugOption, JsonOption

EXAMPLE = "nnit verify artifacts/generator artifacts/samples"


def verify_command(
    *,
    paths: Annotated[list[Path], typer.Argument(help="Artifacts.")],
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Compare every byte of artifacts with what was written."""
    from nnit.artifacts.reading import verify

    faults: dict[str, list[str]] = {}
    worst: NnitError | None = None
    for path in paths:
        try:
            faults[str(path)] = verify(path)
        except NnitError as error:  # the others are looked at all the same
            faults[str(path)], worst = list(error.faults), error
    if json:
        print_json(faults)
    else:
        for path in (path for path, found in faults.items() if not found):
            print_line(f"{path}: whole")
    if any(faults.values()):
        kind = DamagedArtifactError if worst is None else type(worst)
        raise kind(*(fault for found in faults.values() for fault in found))
