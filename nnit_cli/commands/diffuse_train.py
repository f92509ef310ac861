"""``nnit diffuse-train``."""

from pathlib import Path
from typing import Annotated

import typer

from nnit.errors import UsageError
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


def parse_weights(texts: list[str] | None) -> dict[str, int] | None:
    """Return the weight of each task of a flag that may be repeated; None where it isn't given.

    Raises:
        UsageError: one is not ``TASK=NUMBER``.
    """
    weights = {}
    for text in texts or ():
        task, _, number = text.rpartition("=")
        if not task or not number.isdecimal():
            raise UsageError(f"--weights {text}: expected TASK=NUMBER, as in PickCube-v1=2")
        weights[task] = int(number)
    return weights or None


@with_run_flags
def diffuse_train_command(
    run: RunFlags,
    *,
    tokens: Annotated[Path, typer.Argument(help="Tokens.")] = Path("artifacts/tokens"),
    parent: Annotated[
        str | None,
        typer.Option("--from", help="Go on from this generator, a folder or a name."),
    ] = None,
    demos: Annotated[
        list[Path] | None,
        typer.Option("--demos", help="What is predicted also clones these; one of each task."),
    ] = None,
    out: OutOption = None,
    curve: CurveOption = None,
    steps: Annotated[int | None, param_option("--steps", help="Optimiser steps.")] = None,
    width: Annotated[int | None, param_option("--width", help="Width of a token.")] = None,
    depth: Annotated[int | None, param_option("--depth", help="Transformer blocks.")] = None,
    heads: Annotated[int | None, param_option("--heads", help="Attention heads.")] = None,
    rank: Annotated[int | None, param_option("--rank", help="Numbers in a unit's code.")] = None,
    typical_rank: Annotated[
        int | None, param_option("--typical-rank", help="Of a layer, in a smaller file; 0: whole.")
    ] = None,
    learning_rate: Annotated[
        float | None, param_option("--learning-rate", help="Peak of the schedule.")
    ] = None,
    tokens_per_batch: Annotated[
        int | None, param_option("--tokens-per-batch", help="Tokens, padding included.")
    ] = None,
    ema_decay: Annotated[
        float | None, param_option("--ema-decay", help="Decay of the weight average.")
    ] = None,
    cloning_share: Annotated[
        float | None, param_option("--cloning-share", help="Weight of the cloning loss.")
    ] = None,
    cloning_batch_size: Annotated[
        int | None, param_option("--cloning-batch-size", help="Transitions for each network.")
    ] = None,
    weights: Annotated[
        list[str] | None,
        param_option("--weights", help="TASK=2: it comes twice as often. May be repeated."),
    ] = None,
    objective: Annotated[
        str | None, param_option("--objective", help="diffusion, or regression as a control.")
    ] = None,
    mixed_share: Annotated[
        float | None, param_option("--mixed-share", help="Of networks moved between branches.")
    ] = None,
    adapter_rank: Annotated[
        int | None, param_option("--adapter-rank", help="Of what a further task has; 0: none.")
    ] = None,
    checkpoint_every: Annotated[
        int | None, param_option("--checkpoint-every", help="Steps between checkpoints.")
    ] = None,
    precision: Annotated[
        str | None, param_option("--precision", help="auto, float32 or bfloat16.")
    ] = None,
    storage: Annotated[
        str | None, param_option("--storage", help="float32, or bfloat16 in half the space.")
    ] = None,
    device: DeviceOption = "auto",
    resume: ResumeOption = False,
) -> None:
    """Train the diffusion transformer that generates networks."""
    section = {
        "steps": steps,
        "width": width,
        "depth": depth,
        "heads": heads,
        "rank": rank,
        "typical_rank": typical_rank,
        "learning_rate": learning_rate,
        "tokens_per_batch": tokens_per_batch,
        "ema_decay": ema_decay,
        "cloning_share": cloning_share,
        "cloning_batch_size": cloning_batch_size,
        "weights": parse_weights(weights),
        "objective": objective,
        "mixed_share": mixed_share,
        "adapter_rank": adapter_rank,
        "checkpoint_every": checkpoint_every,
        "precision": precision,
        "storage": storage,
    }
    session = open_session("diffuse-train", run, section, device=device, resume=resume)

    from nnit.generators.names import choose_model
    from stages import diffuse_train

    outputs = diffuse_train.Outputs(generator=out or beside(tokens, "generator"), curve=curve)
    inputs = diffuse_train.Inputs(
        tokens, None if parent is None else choose_model(parent).path, tuple(demos or ())
    )
    session.run(diffuse_train, inputs, outputs)
