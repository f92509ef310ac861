"""``nnit merge``."""

from typing import Annotated

import typer

from nnit.errors import UsageError
from nnit_cli.app import SHARED, load
from nnit_cli.options import MERGE

EXAMPLE = "nnit merge zoo-export pick/ghn"


def merge_command(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="COMMAND [WORDS]...",
            help="What the shards were run with, without --shard: zoo-export artifacts/ghn, say.",
        ),
    ],
) -> None:
    """Put together what `--shard 1/N` to `--shard N/N` of a command have done."""
    name, *rest = words
    if name not in SHARED:
        raise UsageError(
            f"merge {name}: give the command that the shards ran, with its words, as in "
            f"`nnit merge zoo-export artifacts/ghn`; it is one of {', '.join(SHARED)}"
        )
    code = load(name).main(
        [*rest, "--shard", MERGE], prog_name=f"nnit {name}", standalone_mode=False
    )
    raise typer.Exit(code or 0)
