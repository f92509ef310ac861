"""``nnit zoo-export``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.options import (
    DeviceOption,
    ExecutorOption,
    Given,
    ResumeOption,
    RunFlags,
    ShardOption,
    WorkersOption,
    out_option,
    with_flags,
)
from nnit_cli.places import beside
from nnit_cli.session import open_session

EXAMPLE = "nnit zoo-export pick/ghn --networks 400"


@with_flags("zoo_export")
def zoo_export_command(
    run: RunFlags,
    given: Given,
    *,
    ghn: Annotated[Path, typer.Argument(help="A graph hypernetwork.")] = Path("artifacts/ghn"),
    demos: Annotated[
        Path | None, typer.Option("--demos", help="Demonstrations; default: beside the GHN.")
    ] = None,
    out: Annotated[Path | None, out_option("zoo, beside the GHN")] = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = 0,
    executor: ExecutorOption = None,
    shard: ShardOption = None,
    resume: ResumeOption = False,
) -> None:
    """Write a zoo of structurally aligned networks, each fine-tuned."""
    session = open_session(
        "zoo-export",
        run,
        given["zoo_export"],
        device=device,
        workers=workers,
        executor=executor,
        shard=shard,
        resume=resume,
    )

    demos = demos or beside(ghn, "demos")
    session.require(ghn=ghn, demos=demos)

    from stages import zoo_export

    inputs = zoo_export.Inputs(ghn=ghn, demos=demos)
    session.run(zoo_export, inputs, zoo_export.Outputs(zoo=session.place(out, beside(ghn, "zoo"))))
