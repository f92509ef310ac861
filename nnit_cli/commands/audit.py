"""``nnit audit``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.options import Given, RunFlags, out_option, with_flags
from nnit_cli.places import beside
from nnit_cli.session import open_session

EXAMPLE = "nnit audit pick/samples --demos pick/fresh"


@with_flags("audit")
def audit_command(
    run: RunFlags,
    given: Given,
    *,
    samples: Annotated[Path, typer.Argument(help="Samples.")] = Path("artifacts/samples"),
    zoo: Annotated[
        Path | None,
        typer.Option("--zoo", help="What the generator learned from; default: zoo, beside."),
    ] = None,
    demos: Annotated[
        Path | None,
        typer.Option("--demos", help="Demonstrations nobody trained on; default: beside them."),
    ] = None,
    rollouts: Annotated[
        Path | None, typer.Option("--rollouts", help="Rollouts of the samples.")
    ] = None,
    ghn: Annotated[
        Path | None,
        typer.Option("--ghn", help="Compare with this GHN, asked for each shape without branches."),
    ] = None,
    out: Annotated[Path | None, out_option("audit, beside the samples")] = None,
) -> None:
    """Say whether samples are novel, diverse and sound, and compare their loss with the zoo's."""
    session = open_session("audit", run, given["audit"])

    zoo, demos = zoo or beside(samples, "zoo"), demos or beside(samples, "demos")
    session.require(samples=samples, zoo=zoo, demos=demos, rollouts=rollouts, ghn=ghn)

    from stages import audit

    inputs = audit.Inputs(samples, zoo, demos, rollouts, ghn)
    outputs = audit.Outputs(audit=session.place(out, beside(samples, "audit")))
    session.run(audit, inputs, outputs)
