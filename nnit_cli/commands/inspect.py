"""``nnit inspect``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.console import print_facts, print_json, print_line, print_tables
from nnit_cli.options import DebugOption, JsonOption

EXAMPLE = "nnit inspect artifacts/rollouts"


def inspect_command(
    *,
    path: Annotated[
        Path, typer.Argument(help="An artifact, or a generator's name: its card is shown too.")
    ],
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say what an artifact is, where it came from and what it holds."""
    from stages.inspection import describe
    from stages.models import named_model, read_card

    model = named_model(path)
    description = describe(model.path if model else path)
    card = read_card(model) if model else ""
    if json:
        print_json({**description.data, **({"card": card} if card else {})})
        return
    print_facts(description.facts)
    if description.tables:
        print()
        print_tables(list(description.tables.values()))
    if card:
        print()
        for line in card.splitlines():
            print_line(line)
