"""``nnit sample``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.flags import asked_task, wanted_patterns
from nnit_cli.options import (
    ArchOption,
    ChosenTaskOption,
    DeviceOption,
    Given,
    HeldOutOption,
    ModelOption,
    RunFlags,
    out_option,
    with_flags,
)
from nnit_cli.places import beside_model
from nnit_cli.session import open_session

EXAMPLE = "nnit sample --task PickCube-v1 --arch 128,256,128 --samples 4"


@with_flags("sample")
def sample_command(
    run: RunFlags,
    given: Given,
    *,
    arch: ArchOption = None,
    held_out: HeldOutOption = False,
    repeated: Annotated[
        bool, typer.Option("--repeated", help="Every shape of zoo_export.repeated.")
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
    out: Annotated[Path | None, out_option("samples, beside the generator")] = None,
    demos: Annotated[
        Path | None, typer.Option("--demos", help="Demonstrations to choose the best by.")
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Generate networks of given shapes, of partly given ones (128,*,128), or of any."""
    session = open_session("sample", run, given["sample"], device=device)
    wanted = wanted_patterns(session.params, arch, held_out=held_out, repeated=repeated)

    from nnit.generators.choice import choose_interface
    from nnit.generators.names import choose_model
    from nnit.patterns import ArchitectureBounds

    found, task_id = choose_model(model), asked_task(task)
    session.require(generator=found.path, demos=demos)
    choose_interface(found.path, task_id)

    from stages import sample

    bounds = ArchitectureBounds(max_params, max_macs, depth)
    inputs = sample.Inputs(found.path, wanted, bounds, demos, task_id, held_out)
    place = session.place(out, beside_model(found, "samples"))
    session.run(sample, inputs, sample.Outputs(place))
