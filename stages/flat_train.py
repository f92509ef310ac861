"""Stage ``flat-train``: train the flat-vector baseline on the networks of a zoo.

Reads:   zoo      kind "zoo",  schema 1
Writes:  flat     kind "flat", schema 1
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from nnit.artifacts.manifest import Provenance
from nnit.artifacts.model import write_model
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.state import State, clear_state
from nnit.artifacts.zoo import read_zoo
from nnit.diffusion.ema import Ema
from nnit.flat.model import FlatConfig, FlatModel, build_flat
from nnit.flat.training import (
    FlatStep,
    FlatTrainingSettings,
    FlatZoo,
    encode_zoo,
    train_autoencoder,
    train_denoiser,
)
from nnit.progress import Progress, silent
from nnit.seeding import derive_seed
from nnit.tokens.standardizer import fit_standardizer
from nnit.training import (
    BFLOAT16,
    build_optimizer,
    load_training_arrays,
    model_arrays,
    precision_of,
    prepare_torch,
    training_arrays,
)
from nnit.zoo.members import ModelZoo
from stages.checkpoints import Run, find_state, follow, run_key
from stages.curves import write_curve
from stages.lineage import refuse_leak
from stages.params import FlatTrainParams, Params, RunOptions

AUTOENCODER_PREFIX, DENOISER_PREFIX, EMA_PREFIX = "autoencoder/", "denoiser/", "ema/"
WEIGHT_DECAY = 0.0


@dataclass(frozen=True)
class Inputs:
    """What the model learns from."""

    zoo: Path


@dataclass(frozen=True)
class Outputs:
    """Where the model goes, and its loss curve (CSV) if wanted."""

    flat: Path
    curve: Path | None = None


@dataclass(frozen=True)
class Summary:
    """The numbers for the terminal and for ``metrics/flat_train.json``."""

    autoencoder_steps: int
    steps: int  # of the diffusion
    reconstruction_error: float  # of all training networks, in squared standardised units
    loss: float  # of the diffusion, mean of the last part of the curve
    autoencoder_parameters: int
    denoiser_parameters: int
    entries: int  # of a padded vector
    networks: int


@dataclass(frozen=True)
class Training:
    """A model with all that its training changes."""

    model: FlatModel
    ema: Ema  # of the denoiser
    autoencoder_optimizer: torch.optim.Optimizer
    denoiser_optimizer: torch.optim.Optimizer

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything that the next step depends on, by name."""
        parts = {
            AUTOENCODER_PREFIX: training_arrays(self.model.autoencoder, self.autoencoder_optimizer),
            DENOISER_PREFIX: training_arrays(self.model.denoiser, self.denoiser_optimizer),
            EMA_PREFIX: self.ema.arrays(),
        }
        return {prefix + name: a for prefix, part in parts.items() for name, a in part.items()}

    def restore(self, state: State) -> None:
        """Inverse of ``arrays``."""
        pairs = {
            AUTOENCODER_PREFIX: (self.model.autoencoder, self.autoencoder_optimizer),
            DENOISER_PREFIX: (self.model.denoiser, self.denoiser_optimizer),
        }
        for prefix, (part, optimizer) in pairs.items():
            arrays = {
                name.removeprefix(prefix): array
                for name, array in state.tensors.items()
                if name.startswith(prefix)
            }
            load_training_arrays(part, optimizer, arrays)
        for name, tensor in self.ema.parameters.items():
            tensor.copy_(torch.from_numpy(state.tensors[EMA_PREFIX + name]))


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Train the autoencoder, then the diffusion of its latents; both count as steps of one run.

    Raises:
        LeakError: a training network has a held-out architecture, or one may have been trained on
            by what wrote it.
        NnitError: a missing or damaged input, an output that can't be written, or the run was
            stopped (its state is saved).
    """
    check_output_free(outputs.flat, force=options.force, kind="flat")
    zoo, parent = read_zoo(inputs.zoo)
    trained = [k for k, member in enumerate(zoo.members) if member.split == "train"]
    architectures = [zoo.members[k].hidden_dims for k in trained]
    made_with = parent.manifest.params
    refuse_leak(inputs.zoo, architectures, made_with, params.architectures, "nnit zoo-export")
    section = params.flat_train
    precision = precision_of(section.precision, options.device)
    used = {"precision": precision}
    decides = section.model_dump(mode="json", exclude={"checkpoint_every"}) | used
    parents = {"zoo": parent.digest}
    run_ = Run(
        outputs.flat, run_key("flat-train", decides, options.seed, parents), options, decides
    )
    state = find_state(run_)

    prepare_torch()
    seed = derive_seed(options.seed, "flat-train")
    config = flat_config(zoo, trained, section)
    training = begin(build_flat(config, derive_seed(seed, "initial")).to(options.device), section)
    if state is not None:
        training.restore(state)
    start, total = state.step if state else 0, section.autoencoder_steps + section.steps
    networks = FlatZoo(zoo, tuple(trained), fit_standardizer(zoo), config.largest)
    settings = FlatTrainingSettings(
        autoencoder_steps=section.autoencoder_steps,
        steps=section.steps,
        batch_size=section.batch_size,
        latent_batch_size=section.latent_batch_size,
        learning_rate=section.learning_rate,
        seed=seed,
        autocast=precision == BFLOAT16,
    )
    progress.start("flat-train", total, start)
    curve = follow(
        train(training, networks, settings, options.device, start),
        run_,
        progress,
        total=total,
        every=section.checkpoint_every,
        arrays=training.arrays,
        state=state,
        logged=("learning_rate",),
        counted="networks",
    )
    model = training.model
    latents, error = encode_zoo(model, networks, section.batch_size, device=options.device)
    model.fit_latents(latents)

    tensors = model_arrays(model)
    tensors.update({f"denoiser.{name}": array for name, array in training.ema.arrays().items()})
    attributes = {
        "loss_curve": curve,
        "reconstruction_error": error,
        "standardizer": networks.standardizer._asdict(),
    }
    write_model(
        outputs.flat,
        "flat",
        config.as_dict(),
        tensors,
        (zoo.interface,),
        attributes,
        Provenance("flat-train", decides, options.seed, parents),
        force=options.force,
    )
    clear_state(outputs.flat)
    write_curve(outputs.curve, curve)
    return Summary(
        autoencoder_steps=section.autoencoder_steps,
        steps=section.steps,
        reconstruction_error=error,
        loss=curve[-1][1],
        autoencoder_parameters=count_parameters(model.autoencoder),
        denoiser_parameters=count_parameters(model.denoiser),
        entries=config.largest.num_parameters,
        networks=len(networks),
    )


def flat_config(zoo: ModelZoo, trained: list[int], section: FlatTrainParams) -> FlatConfig:
    """Return the configuration: the largest width and depth are those of the training networks."""
    architectures = [zoo.members[k].hidden_dims for k in trained]
    return FlatConfig(
        zoo.interface.obs_dim,
        zoo.interface.act_dim,
        widest=max(width for widths in architectures for width in widths),
        deepest=max(len(widths) for widths in architectures),
        latents=section.latents,
        width=section.width,
        depth=section.depth,
    )


def begin(model: FlatModel, section: FlatTrainParams) -> Training:
    """Return a training that has not taken a step."""
    return Training(
        model,
        Ema(model.denoiser, section.ema_decay),
        build_optimizer(model.autoencoder, WEIGHT_DECAY),
        build_optimizer(model.denoiser, WEIGHT_DECAY),
    )


def train(
    training: Training,
    networks: FlatZoo,
    settings: FlatTrainingSettings,
    device: str,
    start: int,
) -> Iterator[FlatStep]:
    """Take the steps from ``start`` on: those of the autoencoder, then those of the diffusion.

    The latents are measured again where the diffusion is resumed: the autoencoder that gives
    them does not change any more.
    """
    model, first = training.model, settings.autoencoder_steps
    yield from train_autoencoder(
        model, training.autoencoder_optimizer, networks, settings, device=device, start=start
    )
    latents, _ = encode_zoo(model, networks, settings.batch_size, device=device)
    yield from train_denoiser(
        model,
        training.ema,
        training.denoiser_optimizer,
        model.fit_latents(latents),
        networks.condition().to(device),
        settings,
        start=max(0, start - first),
    )


def count_parameters(module: torch.nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())
