"""``nnit rollout``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.options import (
    ArchOption,
    DataOption,
    NamedTaskOption,
    OutOption,
    ResumeOption,
    RunFlags,
    WorkersOption,
    beside,
    param_option,
    with_run_flags,
)
from nnit_cli.session import open_session, parse_architectures, parse_labels, require_success


@with_run_flags
def rollout_command(
    run: RunFlags,
    *,
    networks: Annotated[
        Path, typer.Argument(help="Samples, a zoo, or a graph hypernetwork with --arch.")
    ] = Path("artifacts/samples"),
    arch: ArchOption = None,
    ghn: Annotated[
        Path | None, typer.Option("--ghn", help="Compare with this GHN, asked for each shape.")
    ] = None,
    demos: Annotated[
        Path | None, typer.Option("--demos", help="Compare with networks cloned from these.")
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option("--also", help="LABEL=PATH: compare with these networks. May be repeated."),
    ] = None,
    loss_demos: Annotated[
        Path | None,
        typer.Option("--loss-demos", help="Measure cloning losses on these other demonstrations."),
    ] = None,
    task: NamedTaskOption = None,
    data: DataOption = None,
    out: OutOption = None,
    min_success: Annotated[
        float | None,
        typer.Option("--min-success", min=0, max=1, help="Exit with 7 below this mean success."),
    ] = None,
    episodes: Annotated[
        int | None, param_option("--episodes", help="Episodes for each network.")
    ] = None,
    first_seed: Annotated[
        int | None, param_option("--first-seed", help="Reset seed of the first episode.")
    ] = None,
    sim_backend: Annotated[
        str | None, param_option("--sim-backend", help="physx_cpu or physx_cuda.")
    ] = None,
    trajectories: Annotated[
        bool | None,
        param_option("--trajectories/--no-trajectories", help="Keep episodes step by step."),
    ] = None,
    video: Annotated[
        bool, typer.Option("--video", help="Film each network's first episode: videos/NAME.mp4.")
    ] = False,
    ghn_baseline: Annotated[
        bool | None, param_option("--ghn-baseline/--no-ghn-baseline", help="Given --ghn.")
    ] = None,
    cloned_baseline: Annotated[
        bool | None, param_option("--cloned-baseline/--no-cloned-baseline", help="Given --demos.")
    ] = None,
    constant_baseline: Annotated[
        bool | None,
        param_option("--constant-baseline/--no-constant-baseline", help="Given --demos."),
    ] = None,
    clone_steps: Annotated[
        int | None, param_option("--clone-steps", help="Optimiser steps of a cloned network.")
    ] = None,
    workers: WorkersOption = 0,
    resume: ResumeOption = False,
) -> None:
    """Run networks in the simulator and report their success with intervals."""
    section = {
        "episodes": episodes,
        "first_seed": first_seed,
        "sim_backend": sim_backend,
        "trajectories": trajectories,
        "ghn_baseline": ghn_baseline,
        "cloned_baseline": cloned_baseline,
        "constant_baseline": constant_baseline,
        "clone_steps": clone_steps,
    }
    session = open_session("rollout", run, section, data=data, workers=workers, resume=resume)

    from stages import rollout

    inputs = rollout.Inputs(
        networks, ghn, demos, parse_architectures(arch), parse_labels(also), loss_demos, task
    )
    outputs = rollout.Outputs(out or beside(networks, "rollouts"), video)
    summary = session.run(rollout, inputs, outputs)
    session.print_table(outputs.rollouts)
    require_success(summary, min_success)
