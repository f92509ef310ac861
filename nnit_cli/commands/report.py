"""``nnit report``."""

from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from nnit_cli.console import print_ending, print_facts, print_json
from nnit_cli.options import DebugOption, JsonOption, out_option
from nnit_cli.places import beside

REPORT_NAME = "report.html"

EXAMPLE = "nnit report artifacts"


def report_command(
    *,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help=r"Artifacts, or folders of them. \[default: artifacts]"),
    ] = None,
    curve: Annotated[
        list[Path] | None,
        typer.Option("--curve", help="A loss curve of a training, as CSV. May be repeated."),
    ] = None,
    out: Annotated[
        Path | None,
        out_option("report.html, beside the first", "The file to write"),
    ] = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show artifacts on one HTML page: tables, figures, and what was made from what."""
    from stages.report import Inputs, write_report

    given = tuple(paths or [Path("artifacts")])
    report = out or beside(given[0], REPORT_NAME)
    summary = asdict(write_report(Inputs(given, tuple(curve or ())), report, force=True))
    if json:
        outputs = {"report": str(report)}
        print_json({"command": "report", "outputs": outputs, "summary": summary})
    else:
        print_facts({"report": report, **summary})
        result = f"artifacts on one page: {summary['artifacts']}, in {report}"
        print_ending(result, f"python -m webbrowser {quote(str(report))}")
