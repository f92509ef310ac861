"""``nnit tokenize``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.options import Given, RunFlags, out_option, with_flags
from nnit_cli.places import beside
from nnit_cli.session import open_session

EXAMPLE = "nnit tokenize pick/zoo"


@with_flags("tokenize")
def tokenize_command(
    run: RunFlags,
    given: Given,
    *,
    zoos: Annotated[
        list[Path] | None,
        typer.Argument(help=r"A zoo, or one of each task. \[default: artifacts/zoo]"),
    ] = None,
    shuffle_units: Annotated[
        bool,
        typer.Option(
            "--shuffle-units",
            help="First put the hidden units of each network in an order of its own: what "
            "generators learn without alignment, from networks that do the same.",
        ),
    ] = False,
    out: Annotated[Path | None, out_option("tokens, beside the zoo")] = None,
) -> None:
    """Cut every network of a zoo, or of several, into patch tokens and architecture tokens."""
    session = open_session("tokenize", run, given["tokenize"])

    zoo, *further = zoos or [Path("artifacts/zoo")]
    session.require(zoo=[zoo, *further])

    from stages import tokenize

    inputs = tokenize.Inputs(zoo, tuple(further), shuffle_units)
    place = session.place(out, beside(zoo, "tokens"))
    session.run(tokenize, inputs, tokenize.Outputs(place))
