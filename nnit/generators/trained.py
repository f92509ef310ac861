"""Read a generator artifact as a model that is ready to sample, for one of its tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nnit.artifacts.canonical import JsonObject
from nnit.artifacts.model import StoredModel, read_model
from nnit.artifacts.tokens import parse_standardizer
from nnit.diffusion.architecture import ArchitectureValues
from nnit.diffusion.transformer import (
    DiffusionTransformer,
    TaskPlace,
    TransformerConfig,
    places_of_tasks,
)
from nnit.errors import DamagedArtifactError, NnitError
from nnit.mlp import PolicyInterface
from nnit.tokens.token_set import Standardizer, TokenSet
from nnit.training import build_from_arrays


class TrainedTask(NamedTuple):
    """A task that a generator was trained on."""

    interface: PolicyInterface
    standardizer: Standardizer
    place: TaskPlace  # in the embeddings of the model
    values: ArchitectureValues  # depths and widths of its training networks


@dataclass(frozen=True)
class TrainedGenerator:
    """A trained diffusion transformer with all its tasks."""

    model: DiffusionTransformer
    tasks: tuple[TrainedTask, ...]
    params: Mapping[str, Any]  # of its training
    digest: str  # of the artifact
    versions: Mapping[str, str]  # that it was made with


@dataclass(frozen=True)
class Generator:
    """A trained diffusion transformer and what its patches mean in one task."""

    model: DiffusionTransformer
    standardizer: Standardizer
    interface: PolicyInterface
    digest: str  # of the artifact
    place: TaskPlace  # of the task in the embeddings of the model
    values: ArchitectureValues  # depths and widths of the task's training networks
    versions: Mapping[str, str]  # that the artifact was made with

    @property
    def patch_size(self) -> int:
        """Side of a weight patch."""
        return self.model.config.patch_size

    @property
    def choice(self) -> dict[str, str]:
        """What chose the task, as part of what decides an output: nothing where there is one."""
        return {"task": self.interface.task} if self.model.config.num_tasks else {}


def generator_of(trained: TrainedGenerator, task: int, device: str) -> Generator:
    """Return a trained generator for one of its tasks, ready to sample.

    Args:
        trained: With all its tasks.
        task: The index of the task.
        device: Where the model goes.
    """
    chosen = trained.tasks[task]
    trained.model.to(device).eval().requires_grad_(requires_grad=False)
    return Generator(
        trained.model,
        chosen.standardizer,
        chosen.interface,
        trained.digest,
        chosen.place,
        chosen.values,
        trained.versions,
    )


def read_generator(path: Path) -> TrainedGenerator:
    """Read a generator with all its tasks.

    Raises:
        NnitError: missing, of another kind, damaged.
    """
    stored, artifact = read_model(path, "generator")
    try:
        config = TransformerConfig(**stored.config)
        model = build_from_arrays(lambda: DiffusionTransformer(config), stored.tensors)
        tasks = parse_tasks(path, stored, config)
    except NnitError:
        raise
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        first_line = str(error).splitlines()[0]
        raise DamagedArtifactError(
            f"{path}: not a generator that can be built: {first_line}"
        ) from None
    manifest = artifact.manifest
    return TrainedGenerator(model, tasks, manifest.params, artifact.digest, manifest.versions)


def tasks_attributes(tokens: TokenSet, values: Sequence[ArchitectureValues]) -> dict[str, Any]:
    """Return what a generator that was trained on these tokens keeps of its tasks.

    One task keeps ``standardizer``, as always; several keep ``tasks``, in the order of the
    interfaces.

    Args:
        tokens: Of all tasks.
        values: Depths and widths of each task's training networks.
    """
    listed = [one._asdict() for one in tokens.standardizers]
    if len(listed) == 1:
        return {"standardizer": listed[0]}
    tasks = [
        {
            "branches": tokens.num_branches(task),
            **values[task]._asdict(),
            "standardizer": standardizer,
        }
        for task, standardizer in enumerate(listed)
    ]
    return {"tasks": tasks}


def parse_tasks(
    path: Path, stored: StoredModel, config: TransformerConfig
) -> tuple[TrainedTask, ...]:
    """Return the tasks of a stored generator.

    Raises:
        DamagedArtifactError: impossible statistics.
        ValueError: what it says of its tasks contradicts itself.
        KeyError: something is missing.
        TypeError: something is no number or list.
    """
    fields, count = stored.attributes, len(stored.interfaces)
    if config.num_tasks != (count if count > 1 else 0):
        raise ValueError(f"{config.num_tasks} tasks, but {count} interfaces")
    everything = {
        "branches": config.num_branches,
        "depths": config.arch_depths,
        "widths": config.arch_widths,
    }
    listed = fields["tasks"] if count > 1 else [{**everything, **fields}]
    num_branches = [one["branches"] for one in listed]
    if min(num_branches) < 0 or sum(num_branches) != config.num_branches:
        raise ValueError(f"branches {num_branches}, but {config.num_branches} rows")
    return tuple(
        TrainedTask(
            interface,
            parse_standardizer(JsonObject(one["standardizer"], f"{path}: standardizer")),
            place,
            parse_values(one, config),
        )
        for interface, one, place in zip(
            stored.interfaces, listed, places_of_tasks(num_branches), strict=True
        )
    )


def parse_values(fields: Mapping[str, Any], config: TransformerConfig) -> ArchitectureValues:
    """Return the depths and widths of a task's training networks.

    Raises:
        ValueError: there is none, or one that the transformer has no logit of.
        KeyError: they are missing.
    """
    values = ArchitectureValues(tuple(fields["depths"]), tuple(fields["widths"]))
    if not values.depths or not set(values.depths) <= set(config.arch_depths):
        raise ValueError(f"depths {values.depths}, but logits of {config.arch_depths}")
    if not values.widths or not set(values.widths) <= set(config.arch_widths):
        raise ValueError(f"widths {values.widths}, but logits of {config.arch_widths}")
    return values
