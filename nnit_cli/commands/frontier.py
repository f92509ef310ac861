"""``nnit frontier``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.options import (
    ChosenTaskOption,
    DataOption,
    DeviceOption,
    ModelOption,
    OutOption,
    ResumeOption,
    RunFlags,
    WorkersOption,
    param_option,
    with_run_flags,
)
from nnit_cli.session import beside_model, open_session, require_answer


@with_run_flags
def frontier_command(
    run: RunFlags,
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
    depth: Annotated[int | None, typer.Option("--depth", min=1, help="Hidden layers.")] = None,
    demos: Annotated[
        Path | None, typer.Option("--demos", help="Refuse to evaluate on seeds of these.")
    ] = None,
    out: OutOption = None,
    require: Annotated[
        bool, typer.Option("--require", help="Exit with 7 where no network has --min-success.")
    ] = False,
    shapes: Annotated[
        int | None, param_option("--shapes", help="Architectures that are tried.")
    ] = None,
    spread: Annotated[
        str | None, param_option("--spread", help="stratified (even in log size) or generated.")
    ] = None,
    steps: Annotated[int | None, param_option("--steps", help="Steps of the sampler.")] = None,
    first_episodes: Annotated[
        int | None, param_option("--first-episodes", help="Episodes of a round.")
    ] = None,
    race_episodes: Annotated[
        int | None, param_option("--race-episodes", help="Episodes of what is not dominated.")
    ] = None,
    episodes: Annotated[
        int | None, param_option("--episodes", help="Episodes of a shape of the front.")
    ] = None,
    confirm_episodes: Annotated[
        int | None, param_option("--confirm-episodes", help="Fresh episodes of the front; 0: none.")
    ] = None,
    first_seed: Annotated[
        int | None, param_option("--first-seed", help="Reset seed of the first episode.")
    ] = None,
    alpha: Annotated[
        float | None, param_option("--alpha", help="Chance that a shape of the front is dropped.")
    ] = None,
    tolerance: Annotated[
        float | None, param_option("--tolerance", help="Lead that a smaller shape needs.")
    ] = None,
    floor: Annotated[
        float | None, param_option("--floor", help="Success at which the front begins.")
    ] = None,
    min_success: Annotated[
        float | None, param_option("--min-success", help="Lower bound that is wanted.")
    ] = None,
    workers: WorkersOption = 0,
    resume: ResumeOption = False,
    device: DeviceOption = "cpu",
) -> None:
    """Find the smallest network that does the job: size against success of many shapes."""
    section = {
        "shapes": shapes,
        "spread": spread,
        "steps": steps,
        "first_episodes": first_episodes,
        "race_episodes": race_episodes,
        "episodes": episodes,
        "confirm_episodes": confirm_episodes,
        "first_seed": first_seed,
        "alpha": alpha,
        "tolerance": tolerance,
        "floor": floor,
        "min_success": min_success,
    }
    session = open_session(
        "frontier",
        run,
        section,
        data=data,
        device=device,
        workers=workers,
        resume=resume,
    )

    from nnit.diffusion.architecture import ArchitectureBounds
    from nnit.generators.names import choose_model
    from stages import frontier

    found = choose_model(model)
    bounds = ArchitectureBounds(max_params, max_macs, depth)
    inputs = frontier.Inputs(found.path, bounds, demos, task)
    outputs = frontier.Outputs(frontier=out or beside_model(found, "frontier"))
    summary = session.run(frontier, inputs, outputs)
    session.print_table(outputs.frontier)
    require_answer(summary, required=require)
