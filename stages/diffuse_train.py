"""Stage ``diffuse-train``: train the diffusion transformer on token sequences.

Reads:   tokens      kind "tokens",    schema 1
Writes:  generator   kind "generator", schema 1
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from nnit.architectures import refuse_held_out
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.model import write_model
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.state import State, clear_state
from nnit.artifacts.tokens import read_tokens
from nnit.diffusion.ema import Ema
from nnit.diffusion.training import (
    DiffusionTrainingSettings,
    network_tokens,
    train_diffusion,
)
from nnit.diffusion.transformer import DiffusionTransformer, TransformerConfig, build_transformer
from nnit.progress import Progress, silent
from nnit.seeding import derive_seed
from nnit.training import (
    build_optimizer,
    load_training_arrays,
    prepare_torch,
    training_arrays,
    use_bfloat16,
)
from stages.checkpoints import Run, find_state, follow, run_key
from stages.curves import write_curve
from stages.params import Params, RunOptions

EMA_PREFIX = "ema/"


@dataclass(frozen=True)
class Inputs:
    """What the generator learns from."""

    tokens: Path


@dataclass(frozen=True)
class Outputs:
    """Where the generator goes, and its loss curve (CSV) if wanted."""

    generator: Path
    curve: Path | None = None


@dataclass(frozen=True)
class Summary:
    """The numbers for the terminal and for ``metrics/diffuse_train.json``."""

    steps: int
    loss: float  # mean of the last part of the curve
    parameters: int
    networks: int


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Train the generator; its averaged (EMA) weights are what is written.

    Raises:
        LeakError: a training network has a held-out architecture.
        NnitError: a missing or damaged input, an output that can't be written, or the run was
            stopped (its state is saved).
    """
    check_output_free(outputs.generator, force=options.force, kind="generator")
    tokens, parent = read_tokens(inputs.tokens)
    training_range = params.architectures.training_range()
    refuse_held_out(tokens.architectures, training_range, str(inputs.tokens))
    section = params.diffuse_train
    decides = section.model_dump(mode="json", exclude={"checkpoint_every"})
    parents = {"tokens": parent.digest}
    key = run_key("diffuse-train", decides, options.seed, parents)
    run_ = Run(outputs.generator, key, options)
    state = find_state(run_, progress)

    prepare_torch()
    seed = derive_seed(options.seed, "diffuse-train")
    config = TransformerConfig(
        tokens.patch_size,
        tuple(sorted({len(widths) for widths in tokens.architectures})),
        tuple(sorted({width for widths in tokens.architectures for width in widths})),
        section.width,
        section.depth,
        section.heads,
        num_branches=int(tokens.branches.max()) + 1,
    )
    model = build_transformer(config, derive_seed(seed, "initial")).to(options.device)
    optimizer, ema = build_optimizer(model, 0.0), Ema(model, section.ema_decay)
    if state is not None:
        restore(model, optimizer, ema, state)
    start = state.step if state else 0
    progress.start("diffuse-train", section.steps, start)
    steps = train_diffusion(
        model,
        ema,
        optimizer,
        [network_tokens(tokens, k) for k in range(len(tokens))],
        tokens.architectures,
        tokens.branches.tolist(),
        DiffusionTrainingSettings(
            steps=section.steps,
            tokens_per_batch=section.tokens_per_batch,
            learning_rate=section.learning_rate,
            seed=seed,
            autocast=use_bfloat16(section.precision, options.device),
        ),
        device=options.device,
        start=start,
    )
    curve = follow(
        steps,
        run_,
        progress,
        total=section.steps,
        every=section.checkpoint_every,
        arrays=lambda: {**training_arrays(model, optimizer), **ema_arrays(ema, EMA_PREFIX)},
        state=state,
    )

    attributes = {
        "loss_curve": curve,
        "patch_size": tokens.patch_size,
        "standardizer": tokens.standardizer._asdict(),
    }
    write_model(
        outputs.generator,
        "generator",
        config.as_dict(),
        ema_arrays(ema, ""),
        tokens.interface,
        attributes,
        Provenance("diffuse-train", decides, options.seed, parents),
        force=options.force,
    )
    clear_state(outputs.generator)
    write_curve(outputs.curve, curve)
    return Summary(
        steps=section.steps,
        loss=curve[-1][1],
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        networks=len(tokens),
    )


def ema_arrays(ema: Ema, prefix: str) -> dict[str, np.ndarray]:
    """Return the averaged parameters by name."""
    return {
        prefix + name: tensor.detach().cpu().numpy().copy()
        for name, tensor in ema.parameters.items()
    }


def restore(
    model: DiffusionTransformer, optimizer: torch.optim.Optimizer, ema: Ema, state: State
) -> None:
    """Bring model, optimiser and average back to where the state was saved."""
    load_training_arrays(model, optimizer, state.tensors)
    for name, tensor in ema.parameters.items():
        tensor.copy_(torch.from_numpy(state.tensors[EMA_PREFIX + name]))
