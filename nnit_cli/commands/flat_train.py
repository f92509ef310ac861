"""``nnit flat-train``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.options import (
    CurveOption,
    DeviceOption,
    Given,
    LogOption,
    ResumeOption,
    RunFlags,
    out_option,
    with_flags,
)
from nnit_cli.places import beside
from nnit_cli.session import open_session

EXAMPLE = "nnit flat-train pick/zoo"


@with_flags("flat_train")
def flat_train_command(
    run: RunFlags,
    given: Given,
    *,
    zoo: Annotated[Path, typer.Argument(help="A zoo.")] = Path("artifacts/zoo"),
    out: Annotated[Path | None, out_option("flat, beside the zoo")] = None,
    curve: CurveOption = None,
    device: DeviceOption = "auto",
    resume: ResumeOption = False,
    log: LogOption = None,
) -> None:
    """Train the flat-vector baseline: an autoencoder of padded networks, and diffusion."""
    session = open_session(
        "flat-train", run, given["flat_train"], device=device, resume=resume, log=log
    )

    session.require(zoo=zoo)

    from stages import flat_train

    outputs = flat_train.Outputs(flat=session.place(out, beside(zoo, "flat")), curve=curve)
    session.run(flat_train, flat_train.Inputs(zoo=zoo), outputs)
