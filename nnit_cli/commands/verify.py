"""``nnit verify``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit.errors import DamagedArtifactError
from nnit_cli.console import print_json
from nnit_cli.options import DebugOption, JsonOption


def verify_command(
    *,
    paths: Annotated[list[Path], typer.Argument(help="Artifacts.")],
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Compare every byte of artifacts with what was written."""
    from nnit.artifacts.reading import verify

    faults = {str(path): verify(path) for path in paths}
    if json:
        print_json(faults)
    else:
        print("".join(f"{path}: whole\n" for path, found in faults.items() if not found), end="")
    if any(faults.values()):
        raise DamagedArtifactError(*(fault for found in faults.values() for fault in found))
