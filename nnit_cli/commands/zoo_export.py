"""``nnit zoo-export``."""

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
from nnit_cli.session import open_session, parse_architectures


@with_run_flags
def zoo_export_command(
    run: RunFlags,
    *,
    ghn: Annotated[Path, typer.Argument(help="A graph hypernetwork.")] = Path("artifacts/ghn"),
    demos: Annotated[
        Path | None, typer.Option("--demos", help="Demonstrations; default: beside the GHN.")
    ] = None,
    out: OutOption = None,
    branches: Annotated[
        int | None, param_option("--branches", help="Copies of the GHN trained on apart.")
    ] = None,
    branch_noise: Annotated[
        float | None, param_option("--branch-noise", help="On the codes of units at its start.")
    ] = None,
    branch_steps: Annotated[
        int | None, param_option("--branch-steps", help="Optimiser steps of each branch.")
    ] = None,
    branch_learning_rate: Annotated[
        float | None, param_option("--branch-learning-rate", help="Peak of its schedule.")
    ] = None,
    networks: Annotated[
        int | None, param_option("--networks", help="Networks of architectures that are drawn.")
    ] = None,
    repeated: Annotated[
        list[str] | None,
        param_option("--repeated", help="An architecture to write several times. May be repeated."),
    ] = None,
    repeats: Annotated[
        int | None, param_option("--repeats", help="Networks of each repeated architecture.")
    ] = None,
    fine_tune_steps: Annotated[
        int | None, param_option("--fine-tune-steps", help="Optimiser steps of each network.")
    ] = None,
    fine_tune_learning_rate: Annotated[
        float | None, param_option("--fine-tune-learning-rate", help="At the start.")
    ] = None,
    fine_tune_epsilon: Annotated[
        float | None, param_option("--fine-tune-epsilon", help="Adam's.")
    ] = None,
    batch_size: Annotated[
        int | None, param_option("--batch-size", help="Transitions in a batch.")
    ] = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = 0,
    resume: ResumeOption = False,
) -> None:
    """Write a zoo of structurally aligned networks, each fine-tuned."""
    section = {
        "branches": branches,
        "branch_noise": branch_noise,
        "branch_steps": branch_steps,
        "branch_learning_rate": branch_learning_rate,
        "networks": networks,
        "repeated": parse_architectures(repeated, "--repeated") or None,
        "repeats": repeats,
        "fine_tune_steps": fine_tune_steps,
        "fine_tune_learning_rate": fine_tune_learning_rate,
        "fine_tune_epsilon": fine_tune_epsilon,
        "batch_size": batch_size,
    }
    session = open_session(
        "zoo-export", run, section, device=device, workers=workers, resume=resume
    )

    from stages import zoo_export

    inputs = zoo_export.Inputs(ghn=ghn, demos=demos or beside(ghn, "demos"))
    session.run(zoo_export, inputs, zoo_export.Outputs(zoo=out or beside(ghn, "zoo")))
