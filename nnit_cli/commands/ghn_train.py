"""``nnit ghn-train``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.options import (
    CurveOption,
    DeviceOption,
    OutOption,
    ResumeOption,
    RunFlags,
    TaskOption,
    WorkersOption,
    beside,
    param_option,
    with_run_flags,
)
from nnit_cli.session import open_session, refuse_flags


class Objective(StrEnum):
    """What the hypernetwork learns by."""

    CLONING = "cloning"
    PPO = "ppo"


@with_run_flags
def ghn_train_command(
    run: RunFlags,
    *,
    demos: Annotated[
        Path, typer.Argument(help="Demonstrations; not needed for --objective ppo.")
    ] = Path("artifacts/demos"),
    objective: Annotated[
        Objective, typer.Option("--objective", help="Learn from demonstrations, or by PPO.")
    ] = Objective.CLONING,
    task: TaskOption = None,
    out: OutOption = None,
    curve: CurveOption = None,
    steps: Annotated[int | None, param_option("--steps", help="Optimiser steps.")] = None,
    architectures_per_step: Annotated[
        int | None, param_option("--architectures-per-step", help="Architectures in a step.")
    ] = None,
    batch_size: Annotated[
        int | None, param_option("--batch-size", help="Transitions for each architecture.")
    ] = None,
    learning_rate: Annotated[
        float | None, param_option("--learning-rate", help="Peak of the schedule.")
    ] = None,
    decoder: Annotated[
        str | None, param_option("--decoder", help="carrier, cnn or pointwise.")
    ] = None,
    checkpoint_every: Annotated[
        int | None, param_option("--checkpoint-every", help="Steps between checkpoints.")
    ] = None,
    precision: Annotated[
        str | None, param_option("--precision", help="auto, float32 or bfloat16.")
    ] = None,
    iterations: Annotated[
        int | None, param_option("--iterations", help="Of ppo: times to explore and learn.")
    ] = None,
    sim_backend: Annotated[
        str | None, param_option("--sim-backend", help="Of ppo: physx_cpu or physx_cuda.")
    ] = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = 0,
    resume: ResumeOption = False,
) -> None:
    """Train the graph hypernetwork over many architectures at once."""
    section = {
        "steps": steps,
        "architectures_per_step": architectures_per_step,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "decoder": decoder,
        "checkpoint_every": checkpoint_every,
        "precision": precision,
    }
    if objective is Objective.PPO:
        refuse_flags(section, ("learning_rate", "decoder"), "--objective cloning")
        own = {
            "iterations": iterations,
            "learning_rate": learning_rate,
            "sim_backend": sim_backend,
        }
        session = open_session(
            "ghn-train",
            run,
            {"decoder": decoder},
            {"ppo": own},
            task=task,
            device=device,
            workers=workers,
            resume=resume,
            section_name="ppo",
        )

        from stages import ghn_ppo

        learnt = ghn_ppo.Outputs(ghn=out or beside(demos, "ghn"), curve=curve)
        session.run(ghn_ppo, ghn_ppo.Inputs(), learnt)
        return
    of_ppo = {"iterations": iterations, "task": task, "sim_backend": sim_backend}
    refuse_flags(of_ppo, (), "--objective ppo")
    session = open_session("ghn-train", run, section, device=device, resume=resume)

    from stages import ghn_train

    outputs = ghn_train.Outputs(ghn=out or beside(demos, "ghn"), curve=curve)
    session.run(ghn_train, ghn_train.Inputs(demos=demos), outputs)
