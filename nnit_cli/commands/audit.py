"""``nnit audit``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.options import OutOption, RunFlags, beside, param_option, with_run_flags
from nnit_cli.session import open_session


@with_run_flags
def audit_command(
    run: RunFlags,
    *,
    samples: Annotated[Path, typer.Argument(help="Samples.")] = Path("artifacts/samples"),
    zoo: Annotated[
        Path | None, typer.Option("--zoo", help="What was learned from; default: beside them.")
    ] = None,
    demos: Annotated[
        Path | None,
        typer.Option("--demos", help="Demonstrations nobody trained on; default: beside them."),
    ] = None,
    rollouts: Annotated[
        Path | None, typer.Option("--rollouts", help="Rollouts of the samples.")
    ] = None,
    ghn: Annotated[
        Path | None, typer.Option("--ghn", help="Compare with this GHN, asked for each shape.")
    ] = None,
    out: OutOption = None,
    states: Annotated[
        int | None, param_option("--states", help="States on which actions are compared.")
    ] = None,
    repeats: Annotated[
        int | None,
        param_option("--repeats", help="Judge by shapes with so many networks in the zoo."),
    ] = None,
) -> None:
    """Say whether samples are novel, diverse and sound, and whether they lose less."""
    session = open_session("audit", run, {"states": states, "repeats": repeats})

    from stages import audit

    inputs = audit.Inputs(
        samples, zoo or beside(samples, "zoo"), demos or beside(samples, "demos"), rollouts, ghn
    )
    outputs = audit.Outputs(audit=out or beside(samples, "audit"))
    session.run(audit, inputs, outputs)
    session.print_table(outputs.audit)
