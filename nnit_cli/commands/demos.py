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
    recording: Annotated[
        Path | None,
        typer.Option("--recording", help="Take episodes of a robot: a .npz or a LeRobot dataset."),
    ] = None,
    take: Annotated[
        str | None,
        typer.Option("--take", metavar="START:END", help="Of a recording, these episodes alone."),
    ] = None,
    control_freq: Annotated[
        int | None,
        typer.Option(
            "--control-freq", min=1, max=10**6, help="Actions in a second, of a recorded .npz."
        ),
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
    """Collect observations and actions of a scripted expert, of a robot, or labelled examples."""
    of_recordings = {"take": take, "control_freq": control_freq}
    others = {"teacher": teacher, "dagger_from": dagger_from, "add_to": add_to, "arch": arch}
    fetched, split = {"download": download or None}, {"executor": executor, "shard": shard}
    collecting = {**others, **given["demos"], **fetched, "data": data, **split}
    if recording:
        owner = "a run without --recording"
        refuse_flags({**collecting, "trajectories": trajectories}, ("input_dropout",), owner)
    else:
        refuse_flags(of_recordings, (), "--recording")
    if trajectories:
        owner = "a run without --trajectories"
        refuse_flags({**collecting, "task": task}, ("input_dropout",), owner)
    if teacher or dagger_from or add_to:
        owner = "a run without --teacher, --dagger-from and --add-to"
        refuse_flags(fetched, (), owner)
    if not teacher and not dagger_from:
        refuse_flags({"arch": arch}, (), "--teacher and --dagger-from")
    session = open_session(
        "demos",
        run,
        given["demos"],
        task=None if recording else task,  # a recording's is none that there is
        data=data,
        workers=workers,
        executor=executor,
        shard=shard,
        resume=resume,
    )

    session.require(teacher=teacher, dagger_from=dagger_from, add_to=add_to)

    from stages import demos

    outputs = demos.Outputs(demos=session.place(out, HOME / "demos"))
    if recording:
        from stages import demos_recorded

        recorded = demos_recorded.Inputs(recording, task, take or ":", control_freq)
        session.run(demos_recorded, recorded, outputs)
        return
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
