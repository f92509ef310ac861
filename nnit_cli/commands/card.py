"""``nnit card``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.console import print_ending, print_facts, print_json
from nnit_cli.options import DebugOption, JsonOption, ModelOption, out_option
from nnit_cli.places import beside_model

EXAMPLE = "nnit card arm-results --model arm/generator"


def card_command(
    *,
    results: Annotated[
        list[Path], typer.Argument(help="Samples and their rollouts, or folders with them.")
    ],
    model: ModelOption = None,
    name: Annotated[
        str | None, typer.Option("--name", help="The model's name; default: its folder's.")
    ] = None,
    out: Annotated[
        Path | None,
        out_option("card.md, beside the generator", "The file to write"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a generator's card: what it was trained on, how well it does, how that was found."""
    from nnit.generators.names import CARD, choose_model
    from stages.card import Inputs, write_card

    found = choose_model(model)
    card = out or beside_model(found, CARD)
    inputs = Inputs(found.path, tuple(results), name or found.name)
    summary = asdict(write_card(inputs, card, force=force))
    if json:
        print_json({"command": "card", "outputs": {"card": str(card)}, "summary": summary})
    else:
        print_facts({"card": card, **summary})
        print_ending("", f"nnit inspect {found.path.parent}" if card == found.card else "")
