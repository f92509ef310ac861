"""``nnit demos``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.flags import parse_architectures, refuse_flags
from nnit_cli.options import (
    ArchOption,
    DataOption,
    ExecutorOption,
    Given,
    ResumeOption,
    RunFlags,
    ShardOption,
    TaskOption,
    WorkersOption,
    out_option,
    with_flags,
)
from nnit_cli.places import HOME
from nnit_cli.session import open_session

EXAMPLE = "nnit demos --task PickCube-v1 --episodes 300 --out pick/demos"


@with_flags("demos")
def demos_command(
    run: RunFlags,
    given: Given,
    *,
    teacher: Annotated[
        Path | None,
        typer.Option("--teacher", help="Learn from a network of these instead of the expert."),
    ] = None,
    dagger_from: Annotated[
        Path | None,
        typer.Option("--dagger-from", help="Let these networks act, and the expert correct them."),
    ] = None,
    add_to: Annotated[
        Path | None, typer.Option("--add-to", help="Put these demonstrations first.")
    ] = None,
    arch: ArchOption = None,
    trajectories: Annotated[
        Path | None,
        typer.Option("--trajectories", help="Take the episodes of a ManiSkill .h5 and its .json."),
    ] = None,
    out: Annotated[Path | None, out_option("artifacts/demos")] = None,
    task: TaskOption = None,
    data: DataOption = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the examples into --data if it isn't there.")
    ] = False,
    workers: WorkersOption = 0,
    executor: ExecutorOption = None,
    shard: ShardOption = None,
    resume: ResumeOption = False,
) -> None:
    """Collect observations and actions of a scripted expert, or labelled examples."""
    others = {"teacher": teacher, "dagger_from": dagger_from, "add_to": add_to, "arch": arch}
    if trajectories:
        collecting = {
            **others,
            **given["demos"],
            "task": task,
            "data": data,
            "executor": executor,
            "shard": shard,
        }
        refuse_flags(collecting, ("input_dropout",), "a run without --trajectories")
    session = open_session(
        "demos",
        run,
        given["demos"],
        task=task,
        data=data,
        workers=workers,
        executor=executor,
        shard=shard,
        resume=resume,
    )

    session.require(teacher=teacher, dagger_from=dagger_from, add_to=add_to)

    from stages import demos

    outputs = demos.Outputs(demos=session.place(out, HOME / "demos"))
    if trajectories:
        from stages import demos_files

        session.run(demos_files, demos_files.Inputs(trajectories), outputs)
        return
    if teacher or dagger_from or add_to:
        from stages import demos_from

        inputs = demos_from.Inputs(teacher, dagger_from, add_to, parse_architectures(arch))
        demos_from.check_inputs(inputs)
        session.run(demos_from, inputs, outputs)
        return
    session.run(demos, demos.Inputs(download=download), outputs)
