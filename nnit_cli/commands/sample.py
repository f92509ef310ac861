"""``nnit sample``."""

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
from nnit_cli.session import open_session, wanted_patterns


@with_run_flags
def sample_command(
    run: CountingRunFlags,
    *,
    arch: ArchOption = None,
    held_out: HeldOutOption = False,
    max_params: Annotated[
        int | None, typer.Option("--max-params", min=1, help="Most weights and biases.")
    ] = None,
    max_macs: Annotated[
        int | None, typer.Option("--max-macs", min=1, help="Most multiplications a forward pass.")
    ] = None,
    depth: Annotated[
        int | None, typer.Option("--depth", min=1, help="Hidden layers, where they are generated.")
    ] = None,
    model: Annotated[
        Path, typer.Option("--model", envvar="NNIT_MODEL", help="The generator to sample from.")
    ] = Path("artifacts/generator"),
    out: OutOption = None,
    samples: Annotated[
        int | None, param_option("--samples", "-n", help="Networks for each architecture.")
    ] = None,
    steps: Annotated[int | None, param_option("--steps", help="Steps of the sampler.")] = None,
    device: DeviceOption = "auto",
) -> None:
    """Generate networks: of the architectures asked for, in part (128,*,128), or of any."""
    session = open_session("sample", run, {"samples": samples, "steps": steps}, device=device)
    wanted = wanted_patterns(session, arch, held_out=held_out)

    from nnit.diffusion.architecture import ArchitectureBounds
    from stages import sample

    bounds = ArchitectureBounds(max_params, max_macs, depth)
    inputs = sample.Inputs(generator=model, architectures=wanted, bounds=bounds)
    session.run(sample, inputs, sample.Outputs(samples=out or beside(model, "samples")))
