"""``nnit push``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.console import print_ending, print_facts, print_json
from nnit_cli.options import DebugOption, JsonOption

EXAMPLE = "nnit push artifacts/exports/network-0000 me/robot"


def push_command(
    *,
    folder: Annotated[Path, typer.Argument(help="A folder that `nnit export --hf` wrote.")],
    repo: Annotated[str, typer.Argument(help="OWNER/NAME; made where it isn't there.")],
    private: Annotated[
        bool, typer.Option("--private", help="Of a new repository: for its owner alone.")
    ] = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Put a network on the Hugging Face Hub.

    Who you are is what `hf auth login` or HF_TOKEN says; HF_ENDPOINT names another hub.
    """
    from stages.push import run

    summary = asdict(run(folder, repo, private=private))
    if json:
        print_json({"command": "push", "summary": summary})
    else:
        print_facts(summary)
        print_ending(f"it is at {summary['url']}", f"nnit pull {summary['repo']}")
