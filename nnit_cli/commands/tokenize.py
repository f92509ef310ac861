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
    zoo: Annotated[Path, typer.Argument(help="A zoo.")] = Path("artifacts/zoo"),
    out: OutOption = None,
    patch: Annotated[int | None, param_option("--patch", help="Side of a weight patch.")] = None,
) -> None:
    """Cut every network of a zoo into patch tokens and architecture tokens."""
    session = open_session("tokenize", run, {"patch": patch})

    from stages import tokenize

    session.run(
        tokenize, tokenize.Inputs(zoo=zoo), tokenize.Outputs(tokens=out or beside(zoo, "tokens"))
    )
