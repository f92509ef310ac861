"""``nnit tokenize``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.options import OutOption, RunFlags, beside, param_option, with_run_flags
from nnit_cli.session import open_session


@with_run_flags
def tokenize_command(
    run: RunFlags,
    *,
    zoos: Annotated[
        list[Path] | None,
        typer.Argument(help="A zoo, or one of each task. [default: artifacts/zoo]"),
    ] = None,
    out: OutOption = None,
    patch: Annotated[int | None, param_option("--patch", help="Side of a weight patch.")] = None,
    branches: Annotated[
        bool | None,
        param_option("--branches/--no-branches", help="Say which branch wrote a network."),
    ] = None,
) -> None:
    """Cut every network of a zoo, or of several, into patch tokens and architecture tokens."""
    session = open_session("tokenize", run, {"patch": patch, "branches": branches})

    from stages import tokenize

    zoo, *further = zoos or [Path("artifacts/zoo")]
    inputs = tokenize.Inputs(zoo=zoo, further=tuple(further))
    session.run(tokenize, inputs, tokenize.Outputs(tokens=out or beside(zoo, "tokens")))
