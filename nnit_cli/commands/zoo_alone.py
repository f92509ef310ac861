"""``nnit zoo-alone``."""

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
def zoo_alone_command(
    run: RunFlags,
    *,
    demos: Annotated[Path, typer.Argument(help="Demonstrations.")] = Path("artifacts/demos"),
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
    device: DeviceOption = "auto",
    workers: WorkersOption = 0,
    resume: ResumeOption = False,
) -> None:
    """Write the unaligned zoo: zoo-export's architectures, each initialised and cloned alone."""
    section = {"networks": networks, "steps": steps, "learning_rate": learning_rate}
    session = open_session("zoo-alone", run, section, device=device, workers=workers, resume=resume)

    from stages import zoo_alone

    outputs = zoo_alone.Outputs(zoo=out or beside(demos, "zoo-alone"))
    session.run(zoo_alone, zoo_alone.Inputs(demos=demos), outputs)
