"""``nnit flat-sample``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.options import (
    ArchOption,
    CountingRunFlags,
    DeviceOption,
    HeldOutOption,
    OutOption,
    beside,
    param_option,
    with_run_flags,
)
from nnit_cli.session import open_session, parse_architectures, wanted_architectures


@with_run_flags
def flat_sample_command(
    run: CountingRunFlags,
    *,
    arch: ArchOption = None,
    held_out: HeldOutOption = False,
    model: Annotated[Path, typer.Option("--model", help="The flat model to sample from.")] = Path(
        "artifacts/flat"
    ),
    out: OutOption = None,
    samples: Annotated[
        int | None, param_option("--samples", "-n", help="Networks for each architecture.")
    ] = None,
    steps: Annotated[int | None, param_option("--steps", help="Steps of the sampler.")] = None,
    device: DeviceOption = "auto",
) -> None:
    """Generate networks with the flat-vector baseline, none larger than it was trained on."""
    section = {"samples": samples, "steps": steps}
    session = open_session("flat-sample", run, section, device=device)
    listed = wanted_architectures(session, None, held_out=held_out)

    from stages import flat_sample

    inputs = flat_sample.Inputs(model, parse_architectures(arch), listed)
    session.run(
        flat_sample, inputs, flat_sample.Outputs(samples=out or beside(model, "flat-samples"))
    )
