"""``nnit zoo-refine``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.options import (
    DeviceOption,
    OutOption,
    ResumeOption,
    RunFlags,
    WorkersOption,
    beside,
    param_option,
    with_run_flags,
)
from nnit_cli.session import open_session


@with_run_flags
def zoo_refine_command(
    run: RunFlags,
    *,
    generator: Annotated[Path, typer.Argument(help="A generator.")] = Path("artifacts/generator"),
    demos: Annotated[
        Path | None, typer.Option("--demos", help="Demonstrations; default: beside the generator.")
    ] = None,
    out: OutOption = None,
    networks: Annotated[
        int | None, param_option("--networks", help="As many as zoo-export's, if not given.")
    ] = None,
    steps: Annotated[
        int | None, param_option("--steps", help="Optimiser steps of each network.")
    ] = None,
    learning_rate: Annotated[
        float | None, param_option("--learning-rate", help="At the start.")
    ] = None,
    epsilon: Annotated[float | None, param_option("--epsilon", help="Adam's.")] = None,
    batch_size: Annotated[
        int | None, param_option("--batch-size", help="Transitions in a batch.")
    ] = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = 0,
    resume: ResumeOption = False,
) -> None:
    """Write a zoo of a generator's own samples, each trained on alone: for a further round."""
    section = {
        "networks": networks,
        "steps": steps,
        "learning_rate": learning_rate,
        "epsilon": epsilon,
        "batch_size": batch_size,
    }
    session = open_session(
        "zoo-refine", run, section, device=device, workers=workers, resume=resume
    )

    from stages import zoo_refine

    inputs = zoo_refine.Inputs(generator, demos or beside(generator, "demos"))
    session.run(zoo_refine, inputs, zoo_refine.Outputs(zoo=out or beside(generator, "zoo-refined")))
