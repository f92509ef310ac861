"""``nnit align-report``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.options import OutOption, RunFlags, beside, param_option, with_run_flags
from nnit_cli.session import open_session


@with_run_flags
def align_report_command(
    run: RunFlags,
    *,
    zoos: Annotated[
        list[str], typer.Argument(help="LABEL=ZOO, one or more, as in cnn=artifacts/zoo.")
    ],
    demos: Annotated[
        Path | None,
        typer.Option("--demos", help="Demonstrations nobody trained on; default: beside the zoo."),
    ] = None,
    out: OutOption = None,
    states: Annotated[
        int | None, param_option("--states", help="States on which hidden units are compared.")
    ] = None,
    repeats: Annotated[
        int | None, param_option("--repeats", help="Compare shapes with at least so many networks.")
    ] = None,
    shapes: Annotated[
        int | None, param_option("--shapes", help="Compared shapes of a zoo, at most.")
    ] = None,
    pairs: Annotated[
        int | None, param_option("--pairs", help="Pairs of each shape, and across widths.")
    ] = None,
) -> None:
    """Say how far networks share the order of their units, and how smooth their weights are."""
    section = {"states": states, "repeats": repeats, "shapes": shapes, "pairs": pairs}
    session = open_session("align-report", run, section)

    from stages import align_report

    labelled = align_report.parse_labelled(zoos)
    first = next(iter(labelled.values()))
    inputs = align_report.Inputs(labelled, demos or beside(first, "demos"))
    outputs = align_report.Outputs(alignment=out or beside(first, "alignment"))
    session.run(align_report, inputs, outputs)
    session.print_table(outputs.alignment)
