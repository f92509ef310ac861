"""``nnit zoo-alone``."""

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

EXAMPLE = "nnit zoo-alone pick/demos --networks 100"


@with_flags("zoo_alone")
def zoo_alone_command(
    run: RunFlags,
    given: Given,
    *,
    demos: Annotated[Path, typer.Argument(help="Demonstrations.")] = Path("artifacts/demos"),
    out: Annotated[Path | None, out_option("zoo-alone, beside the demonstrations")] = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = 0,
    executor: ExecutorOption = None,
    shard: ShardOption = None,
    resume: ResumeOption = False,
) -> None:
    """Write the unaligned zoo: zoo-export's architectures, each initialised and cloned alone."""
    session = open_session(
        "zoo-alone",
        run,
        given["zoo_alone"],
        device=device,
        workers=workers,
        executor=executor,
        shard=shard,
        resume=resume,
    )

    session.require(demos=demos)

    from stages import zoo_alone

    outputs = zoo_alone.Outputs(zoo=session.place(out, beside(demos, "zoo-alone")))
    session.run(zoo_alone, zoo_alone.Inputs(demos=demos), outputs)
