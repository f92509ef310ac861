"""``nnit frontier``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.flags import asked_task
from nnit_cli.options import (
    ChosenTaskOption,
    DataOption,
    DeviceOption,
    ExecutorOption,
    Given,
    ModelOption,
    ResumeOption,
    RunFlags,
    WorkersOption,
    out_option,
    with_flags,
)
from nnit_cli.places import beside_model
from nnit_cli.session import open_session, require_answer

EXAMPLE = "nnit frontier --task PickCube-v1 --max-params 20000"


@with_flags("frontier")
def frontier_command(
    run: RunFlags,
    given: Given,
    *,
    model: ModelOption = None,
    task: ChosenTaskOption = None,
    data: DataOption = None,
    max_params: Annotated[
        int | None, typer.Option("--max-params", min=1, help="Most weights and biases.")
    ] = None,
    max_macs: Annotated[
        int | None, typer.Option("--max-macs", min=1, help="Most multiplications a forward pass.")
    ] = None,
    depth: Annotated[
        int | None, typer.Option("--depth", min=1, help="Number of hidden layers.")
    ] = None,
    demos: Annotated[
        Path | None, typer.Option("--demos", help="Refuse to evaluate on seeds of these.")
    ] = None,
    out: Annotated[Path | None, out_option("frontier, beside the generator")] = None,
    require: Annotated[
        bool, typer.Option("--require", help="Exit with 7 where no network has --min-success.")
    ] = False,
    workers: WorkersOption = 0,
    executor: ExecutorOption = None,
    resume: ResumeOption = False,
    device: DeviceOption = "cpu",
) -> None:
    """Find the smallest network that does the job: size against success of many shapes."""
    session = open_session(
        "frontier",
        run,
        given["frontier"],
        data=data,
        device=device,
        workers=workers,
        executor=executor,
        resume=resume,
    )

    from nnit.generators.choice import choose_interface
    from nnit.generators.names import choose_model
    from nnit.patterns import ArchitectureBounds

    found = choose_model(model)
    session.require(generator=found.path, demos=demos)
    choose_interface(found.path, asked_task(task))

    from stages import frontier

    bounds = ArchitectureBounds(max_params, max_macs, depth)
    inputs = frontier.Inputs(found.path, bounds, demos, task)
    outputs = frontier.Outputs(frontier=session.place(out, beside_model(found, "frontier")))
    summary = session.run(frontier, inputs, outputs)
    require_answer(summary, required=require)
