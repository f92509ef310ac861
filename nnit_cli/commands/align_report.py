"""``nnit align-report``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.flags import parse_labels
from nnit_cli.options import Given, RunFlags, out_option, with_flags
from nnit_cli.places import beside
from nnit_cli.session import open_session

EXAMPLE = "nnit align-report aligned=pick/zoo alone=pick/zoo-alone --demos pick/fresh"


@with_flags("align_report")
def align_report_command(
    run: RunFlags,
    given: Given,
    *,
    zoos: Annotated[
        list[str], typer.Argument(help="LABEL=ZOO, one or more, as in cnn=artifacts/zoo.")
    ],
    demos: Annotated[
        Path | None,
        typer.Option("--demos", help="Demonstrations nobody trained on; default: beside the zoo."),
    ] = None,
    out: Annotated[Path | None, out_option("alignment, beside the first zoo")] = None,
) -> None:
    """Say how far networks share the order of their units, and how smooth their weights are."""
    session = open_session("align-report", run, given["align_report"])

    labelled = parse_labels(zoos)
    first = next(iter(labelled.values()))
    demos = demos or beside(first, "demos")
    session.require(zoo=[*labelled.values()], demos=demos)

    from stages import align_report

    inputs = align_report.Inputs(labelled, demos)
    outputs = align_report.Outputs(alignment=session.place(out, beside(first, "alignment")))
    session.run(align_report, inputs, outputs)
