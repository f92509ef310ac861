"""``nnit sample``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.options import (
    ArchOption,
    ChosenTaskOption,
    CountingRunFlags,
    DeviceOption,
    Given,
    HeldOutOption,
    ModelOption,
    OutOption,
    with_flags,
)
from nnit_cli.places import beside_model
from nnit_cli.session import asked_task, open_session, wanted_patterns


@with_flags("sample")
def sample_command(
    run: CountingRunFlags,
    given: Given,
    *,
    arch: ArchOption = None,
    held_out: HeldOutOption = False,
    repeated: Annotated[
        bool, typer.Option("--repeated", help="Those that the zoo has several networks of.")
    ] = False,
    max_params: Annotated[
        int | None, typer.Option("--max-params", min=1, help="Most weights and biases.")
    ] = None,
    max_macs: Annotated[
        int | None, typer.Option("--max-macs", min=1, help="Most multiplications a forward pass.")
    ] = None,
    depth: Annotated[
        int | None, typer.Option("--depth", min=1, help="Hidden layers, where they are generated.")
    ] = None,
    model: ModelOption = None,
    task: ChosenTaskOption = None,
    out: OutOption = None,
    demos: Annotated[
        Path | None, typer.Option("--demos", help="Demonstrations to choose the best by.")
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Generate networks: of the architectures asked for, in part (128,*,128), or of any."""
    session = open_session("sample", run, given["sample"], device=device)
    wanted = wanted_patterns(session, arch, held_out=held_out, repeated=repeated)

    from nnit.diffusion.architecture import ArchitectureBounds
    from nnit.generators.names import choose_model
    from stages import sample

    found = choose_model(model)
    bounds = ArchitectureBounds(max_params, max_macs, depth)
    inputs = sample.Inputs(found.path, wanted, bounds, demos, asked_task(task))
    place = session.place(out, beside_model(found, "samples"))
    session.run(sample, inputs, sample.Outputs(place))
