"""``nnit inspect``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.console import print_facts, print_json, print_tables
from nnit_cli.options import DebugOption, JsonOption


def inspect_command(
    *,
    path: Annotated[Path, typer.Argument(help="An artifact.")],
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say what an artifact is, where it came from and what it holds."""
    from stages.inspection import describe

    description = describe(path)
    if json:
        print_json(description.data)
        return
    print_facts(description.facts)
    if description.tables:
        print()
        print_tables(description.tables)
