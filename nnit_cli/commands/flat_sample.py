"""``nnit flat-sample``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.flags import parse_architectures, wanted_architectures
from nnit_cli.options import (
    ArchOption,
    DeviceOption,
    Given,
    HeldOutOption,
    RunFlags,
    out_option,
    with_flags,
)
from nnit_cli.places import beside
from nnit_cli.session import open_session

EXAMPLE = "nnit flat-sample --model pick/flat --arch 64,64"


@with_flags("flat_sample")
def flat_sample_command(
    run: RunFlags,
    given: Given,
    *,
    arch: ArchOption = None,
    held_out: HeldOutOption = False,
    model: Annotated[Path, typer.Option("--model", help="The flat model to sample from.")] = Path(
        "artifacts/flat"
    ),
    out: Annotated[Path | None, out_option("flat-samples, beside the model")] = None,
    device: DeviceOption = "auto",
) -> None:
    """Generate networks with the flat-vector baseline, none larger than it was trained on."""
    session = open_session("flat-sample", run, given["flat_sample"], device=device)
    listed = wanted_architectures(session.params, None, held_out=held_out)

    wanted = parse_architectures(arch)
    session.require(flat=model)

    from stages import flat_sample

    inputs = flat_sample.Inputs(model, wanted, listed)
    place = session.place(out, beside(model, "flat-samples"))
    session.run(flat_sample, inputs, flat_sample.Outputs(place))
