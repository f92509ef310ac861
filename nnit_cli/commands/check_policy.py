"""``nnit check-policy``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit.errors import NnitError
from nnit_cli.console import print_json, print_line
from nnit_cli.options import DebugOption, JsonOption

EXAMPLE = "nnit check-policy artifacts/samples"


def check_policy_command(
    *,
    paths: Annotated[list[Path], typer.Argument(help="Sampled networks.")],
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Run sampled networks on the observations recorded with them, and compare their actions."""
    from dataclasses import asdict

    from stages.check_policy import run

    checked, faults = {}, []
    for path in paths:
        try:
            checked[str(path)] = run(path)
        except NnitError as error:  # the others are looked at all the same
            faults.append(error)
    if json:
        print_json({path: asdict(found) for path, found in checked.items()})
    else:
        for path, found in checked.items():
            what = "nothing to check, no pairs were recorded"
            if found.largest_difference is not None:
                largest = found.largest_difference
                what = f"{found.pairs} pairs, largest difference {largest:.2g}"
            print_line(f"{path}: {found.networks} networks, {what}")
    if faults:
        raise type(faults[-1])(*(line for error in faults for line in error.faults))
