"""``nnit zoo-refine``."""

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

EXAMPLE = "nnit zoo-refine pick/generator --seed 1"


@with_flags("zoo_refine")
def zoo_refine_command(
    run: RunFlags,
    given: Given,
    *,
    generator: Annotated[Path, typer.Argument(help="A generator.")] = Path("artifacts/generator"),
    demos: Annotated[
        Path | None, typer.Option("--demos", help="Demonstrations; default: beside the generator.")
    ] = None,
    out: Annotated[Path | None, out_option("zoo-refined, beside the generator")] = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = 0,
    executor: ExecutorOption = None,
    shard: ShardOption = None,
    resume: ResumeOption = False,
) -> None:
    """Write a zoo of a generator's own samples, each trained on alone: for a further round."""
    session = open_session(
        "zoo-refine",
        run,
        given["zoo_refine"],
        device=device,
        workers=workers,
        executor=executor,
        shard=shard,
        resume=resume,
    )

    demos = demos or beside(generator, "demos")
    session.require(generator=generator, demos=demos)

    from stages import zoo_refine

    inputs = zoo_refine.Inputs(generator, demos)
    place = session.place(out, beside(generator, "zoo-refined"))
    session.run(zoo_refine, inputs, zoo_refine.Outputs(place))
