"""``nnit params``."""

from typing import Annotated

import typer

from nnit_cli.console import print_json, print_tables
from nnit_cli.options import DebugOption, JsonOption

HEAD = ("parameter", "default", "what it is")

EXAMPLE = "nnit params diffuse-train"


def params_command(
    section: Annotated[
        str | None, typer.Argument(help="One section alone, as in ghn_train.", show_default=False)
    ] = None,
    *,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """List the parameters of params.yaml: defaults, and what each is."""
    from stages.keys import described

    found = described(section)
    if json:
        print_json([one._asdict() for ones in found.values() for one in ones])
        return
    print_tables(
        [[HEAD, *((one.name, one.shown, one.text) for one in ones)] for ones in found.values()]
    )
