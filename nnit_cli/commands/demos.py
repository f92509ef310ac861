"""``nnit demos``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.options import (
    ArchOption,
    CountingRunFlags,
    DataOption,
    OutOption,
    TaskOption,
    WorkersOption,
    param_option,
    with_run_flags,
)
from nnit_cli.session import open_session, parse_architectures, refuse_flags


@with_run_flags
def demos_command(
    run: CountingRunFlags,
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
    out: OutOption = None,
    task: TaskOption = None,
    data: DataOption = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the examples into --data if it isn't there.")
    ] = False,
    episodes: Annotated[
        int | None, param_option("--episodes", "-n", help="Episodes to collect.")
    ] = None,
    noise: Annotated[
        float | None, param_option("--noise", help="Standard deviation of the action noise.")
    ] = None,
    input_dropout: Annotated[
        float | None,
        param_option("--input-dropout", help="Share of inputs that learning hides at random."),
    ] = None,
    first_seed: Annotated[
        int | None, param_option("--first-seed", help="Reset seed of the first episode.")
    ] = None,
    workers: WorkersOption = 0,
) -> None:
    """Collect observations and actions of a scripted expert, or labelled examples."""
    collected = {"episodes": episodes, "noise": noise, "first_seed": first_seed}
    others = {"teacher": teacher, "dagger_from": dagger_from, "add_to": add_to, "arch": arch}
    if trajectories:
        collecting = {**others, **collected, "task": task, "data": data}
        refuse_flags(collecting, (), "a run without --trajectories")
    section = {**collected, "input_dropout": input_dropout}
    session = open_session("demos", run, section, task=task, data=data, workers=workers)

    from stages import demos

    outputs = demos.Outputs(demos=out or Path("artifacts/demos"))
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
