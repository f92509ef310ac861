"""Stage ``ghn-train``: train a graph hypernetwork by behaviour cloning.

Reads:   demos    kind "demos", schema 1
Writes:  ghn      kind "ghn",   schema 1
"""

from dataclasses import dataclass
from pathlib import Path

from nnit.architectures import sample_architecture
from nnit.artifacts.demos import read_demos
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.model import write_model
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.state import clear_state
from nnit.cloning import cloning_data
from nnit.ghn.model import GhnConfig, build_ghn
from nnit.ghn.training import GhnTrainingSettings, build_ghn_optimizer, train_ghn
from nnit.progress import Progress, silent
from nnit.seeding import derive_seed
from nnit.training import (
    BFLOAT16,
    load_training_arrays,
    model_arrays,
    precision_of,
    prepare_torch,
    training_arrays,
)
from stages.checkpoints import Run, find_state, follow, run_key
from stages.curves import write_curve
from stages.params import Params, RunOptions

WEIGHT_DECAY = 0.01


@dataclass(frozen=True)
class Inputs:
    """What the hypernetwork learns from."""

    demos: Path


@dataclass(frozen=True)
class Outputs:
    """Where the hypernetwork goes, and its loss curve (CSV) if wanted."""

    ghn: Path
    curve: Path | None = None


@dataclass(frozen=True)
class Summary:
    """The numbers for the terminal and for ``metrics/ghn_train.json``."""

    steps: int
    loss: float  # cloning loss, mean of the last part of the curve
    parameters: int


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Train over architectures drawn from the training range, never a held-out one.

    Raises:
        NnitError: a missing or damaged input, an output that can't be written, or the run was
            stopped (its state is saved).
    """
    check_output_free(outputs.ghn, force=options.force, kind="ghn")
    demos, parent = read_demos(inputs.demos)
    section, training_range = params.ghn_train, params.architectures.training_range()
    # Small products of many different shapes gain nothing from bfloat16 on a CPU.
    on_cpu = options.device == "cpu" and section.precision == "auto"
    precision = "float32" if on_cpu else precision_of(section.precision, options.device)
    decides = {
        **section.model_dump(mode="json", exclude={"checkpoint_every"}),
        "precision": precision,
        "architectures": params.architectures.model_dump(mode="json"),
    }
    parents = {"demos": parent.digest}
    run_ = Run(outputs.ghn, run_key("ghn-train", decides, options.seed, parents), options, decides)
    state = find_state(run_)

    prepare_torch()
    interface = demos.interface
    seed = derive_seed(options.seed, "ghn-train")
    ghn = build_ghn(
        GhnConfig(decoder=section.decoder, units=params.architectures.widths_max),
        interface.obs_dim,
        interface.act_dim,
        derive_seed(seed, "initial"),
    ).to(options.device)
    optimizer = build_ghn_optimizer(ghn, WEIGHT_DECAY)
    if state is not None:
        load_training_arrays(ghn, optimizer, state.tensors)
    start = state.step if state else 0
    progress.start("ghn-train", section.steps, start)
    steps = train_ghn(
        ghn,
        optimizer,
        cloning_data(demos, options.device),
        interface,
        lambda generator: sample_architecture(generator, training_range),
        GhnTrainingSettings(
            steps=section.steps,
            architectures_per_step=section.architectures_per_step,
            batch_size=section.batch_size,
            learning_rate=section.learning_rate,
            seed=seed,
            autocast=precision == BFLOAT16,
        ),
        ranks=options.ranks,
        start=start,
    )
    curve = follow(
        steps,
        run_,
        progress,
        total=section.steps,
        every=section.checkpoint_every,
        arrays=lambda: training_arrays(ghn, optimizer),
        state=state,
        logged=("learning_rate",),
        counted="transitions",
    )

    if options.ranks.is_first:
        write_model(
            outputs.ghn,
            "ghn",
            ghn.config.as_dict(),
            model_arrays(ghn),
            (interface,),
            {"loss_curve": curve},
            Provenance("ghn-train", decides, options.seed, parents),
            force=options.force,
        )
        clear_state(outputs.ghn)
        write_curve(outputs.curve, curve)
    return Summary(
        steps=section.steps,
        loss=curve[-1][1],
        parameters=sum(parameter.numel() for parameter in ghn.parameters()),
    )
