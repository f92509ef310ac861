"""``nnit demos``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.options import (
    CountingRunFlags,
    DataOption,
    OutOption,
    TaskOption,
    WorkersOption,
    param_option,
    with_run_flags,
)
from nnit_cli.session import open_session


@with_run_flags
def demos_command(
    run: CountingRunFlags,
    *,
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
    first_seed: Annotated[
        int | None, param_option("--first-seed", help="Reset seed of the first episode.")
    ] = None,
    workers: WorkersOption = 0,
) -> None:
    """Collect observations and actions of a scripted expert, or labelled examples."""
    section = {"episodes": episodes, "noise": noise, "first_seed": first_seed}
    session = open_session("demos", run, section, task=task, data=data, workers=workers)

    from stages import demos

    outputs = demos.Outputs(demos=out or Path("artifacts/demos"))
    session.run(demos, demos.Inputs(download=download), outputs)
