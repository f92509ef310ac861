"""``nnit flat-train``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit_cli.options import (
    CurveOption,
    DeviceOption,
    OutOption,
    ResumeOption,
    RunFlags,
    beside,
    param_option,
    with_run_flags,
)
from nnit_cli.session import open_session


@with_run_flags
def flat_train_command(
    run: RunFlags,
    *,
    zoo: Annotated[Path, typer.Argument(help="A zoo.")] = Path("artifacts/zoo"),
    out: OutOption = None,
    curve: CurveOption = None,
    autoencoder_steps: Annotated[
        int | None, param_option("--autoencoder-steps", help="Before the diffusion.")
    ] = None,
    steps: Annotated[
        int | None, param_option("--steps", help="Optimiser steps of the diffusion.")
    ] = None,
    latents: Annotated[
        int | None, param_option("--latents", help="Numbers that stand for a network.")
    ] = None,
    width: Annotated[int | None, param_option("--width", help="Width of the denoiser.")] = None,
    depth: Annotated[int | None, param_option("--depth", help="Blocks of the denoiser.")] = None,
    batch_size: Annotated[
        int | None, param_option("--batch-size", help="Networks, of the autoencoder.")
    ] = None,
    latent_batch_size: Annotated[
        int | None, param_option("--latent-batch-size", help="Networks, of the diffusion.")
    ] = None,
    learning_rate: Annotated[
        float | None, param_option("--learning-rate", help="Peak of both schedules.")
    ] = None,
    ema_decay: Annotated[
        float | None, param_option("--ema-decay", help="Decay of the weight average.")
    ] = None,
    checkpoint_every: Annotated[
        int | None, param_option("--checkpoint-every", help="Steps between checkpoints.")
    ] = None,
    precision: Annotated[
        str | None, param_option("--precision", help="auto, float32 or bfloat16.")
    ] = None,
    device: DeviceOption = "auto",
    resume: ResumeOption = False,
) -> None:
    """Train the flat-vector baseline: an autoencoder of padded networks, and diffusion."""
    section = {
        "autoencoder_steps": autoencoder_steps,
        "steps": steps,
        "latents": latents,
        "width": width,
        "depth": depth,
        "batch_size": batch_size,
        "latent_batch_size": latent_batch_size,
        "learning_rate": learning_rate,
        "ema_decay": ema_decay,
        "checkpoint_every": checkpoint_every,
        "precision": precision,
    }
    session = open_session("flat-train", run, section, device=device, resume=resume)

    from stages import flat_train

    outputs = flat_train.Outputs(flat=out or beside(zoo, "flat"), curve=curve)
    session.run(flat_train, flat_train.Inputs(zoo=zoo), outputs)
