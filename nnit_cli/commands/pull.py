"""``nnit pull``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.console import print_ending, print_facts, print_json
from nnit_cli.options import DebugOption, JsonOption, out_option
from nnit_cli.places import HOME, free_output

EXAMPLE = "nnit pull me/robot --out artifacts/robot"


def pull_command(
    *,
    repo: Annotated[str, typer.Argument(help="OWNER/NAME.")],
    revision: Annotated[
        str, typer.Option("--revision", help="A commit, which stays what it is; a tag, a branch.")
    ] = "main",
    out: Annotated[Path | None, out_option("artifacts/NAME")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing output.")] = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Get a network that `nnit push` put on the Hugging Face Hub, as samples.

    It is checked as any artifact, and nothing of it is run. Written to artifacts/NAME, without
    --out.
    """
    from stages.pull import run

    default = HOME / repo.rpartition("/")[2]
    samples = out or (default if force else free_output(default))
    summary = asdict(run(repo, revision, samples, force=force))
    if json:
        outputs = {"samples": str(samples)}
        print_json({"command": "pull", "outputs": outputs, "summary": summary})
    else:
        print_facts({"samples": samples, **summary})
        print_ending(f"a network of {summary['architecture']}", f"nnit rollout {samples}")
