"""``nnit rollout``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.console import LineProgress
from nnit_cli.flags import parse_architectures, parse_labels
from nnit_cli.options import (
    ArchOption,
    DataOption,
    ExecutorOption,
    Given,
    NamedTaskOption,
    ResumeOption,
    RunFlags,
    ShardOption,
    WorkersOption,
    out_option,
    with_flags,
)
from nnit_cli.places import HOME, beside, newer_sibling
from nnit_cli.session import open_session, require_success
from nnit_cli.signals import stop_request

EXAMPLE = "nnit rollout artifacts/samples --episodes 20"
USUAL = HOME / "samples"


@with_flags("rollout")
def rollout_command(
    run: RunFlags,
    given: Given,
    *,
    networks: Annotated[
        Path, typer.Argument(help="Samples, a zoo, or a graph hypernetwork with --arch.")
    ] = USUAL,
    arch: ArchOption = None,
    ghn: Annotated[
        Path | None,
        typer.Option("--ghn", help="Compare with this GHN, asked for each shape without branches."),
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
    out: Annotated[Path | None, out_option("rollouts, beside the networks")] = None,
    min_success: Annotated[
        float | None,
        typer.Option("--min-success", min=0, max=1, help="Exit with 7 below this mean success."),
    ] = None,
    video: Annotated[
        bool, typer.Option("--video", help="Film each network's first episode: videos/NAME.mp4.")
    ] = False,
    workers: WorkersOption = 0,
    executor: ExecutorOption = None,
    shard: ShardOption = None,
    resume: ResumeOption = False,
) -> None:
    """Run networks in the simulator and report their success with intervals."""
    session = open_session(
        "rollout",
        run,
        given["rollout"],
        data=data,
        workers=workers,
        executor=executor,
        shard=shard,
        resume=resume,
    )

    labelled, shapes = parse_labels(also, "--also"), parse_architectures(arch)
    session.require(networks=networks, ghn=ghn, demos=demos, loss_demos=loss_demos)
    if networks == USUAL and not run.quiet:
        note_newer(networks)

    from stages import rollout

    inputs = rollout.Inputs(networks, ghn, demos, shapes, labelled, loss_demos, task)
    outputs = rollout.Outputs(session.place(out, beside(networks, "rollouts")), video)
    summary = session.run(rollout, inputs, outputs)
    require_success(summary, min_success)


def note_newer(networks: Path) -> None:
    """Say that ``nnit sample`` has made others since, which nobody named."""
    if newer := newer_sibling(networks):
        line = f"rollout: {networks}: {newer} is newer; name it to run those networks"
        LineProgress(stop_request, sys.stderr).note(line)
