"""Read a generator artifact as a model that is ready to sample, for one of its tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnit.artifacts.model import StoredModel, read_model
from nnit.artifacts.records import parse_record
from nnit.artifacts.tokens import StoredStandardizer
from nnit.diffusion.adapters import Arrays, adapted, check_products
from nnit.diffusion.architecture import ArchitectureValues
from nnit.diffusion.transformer import (
    DiffusionTransformer,
    TaskPlace,
    TransformerConfig,
    places_of_tasks,
)
from nnit.errors import DamagedArtifactError, NnitError
from nnit.generators.choice import choose_task
from nnit.mlp import PolicyInterface
from nnit.tokens.token_set import Standardizer
from nnit.training import build_from_arrays

ADAPTERS = "adapters."  # before the number of one, in the names of its tensors


class TrainedTask(NamedTuple):
    """A task that a generator was trained on."""

    interface: PolicyInterface
    standardizer: Standardizer
    place: TaskPlace  # in the embeddings of the model
    values: ArchitectureValues  # depths and widths of its training networks
    adapter: int | None = None  # what is beside the model for it; None: it was trained first


@dataclass(frozen=True)
class TrainedGenerator:
    """A trained diffusion transformer with all its tasks."""

    model: DiffusionTransformer
    tasks: tuple[TrainedTask, ...]
    adapters: tuple[Arrays, ...]  # of tasks that were added: see ``nnit.diffusion.adapters``
    params: Mapping[str, Any]  # of its training
    digest: str  # of the artifact
    versions: Mapping[str, str]  # that it was made with


@dataclass(frozen=True)
class Generator:
    """A trained diffusion transformer and what its patches mean in one task."""

    model: DiffusionTransformer  # with what was trained beside it for the task
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


def load_generator(path: Path, device: str, task: str | None = None) -> Generator:
    """Read a generator for one of its tasks.

    Args:
        path: The artifact.
        device: Where the model goes.
        task: The task's id; needed where there are several.

    Raises:
        UsageError: it was not trained on the task, or on several and none was chosen.
        NnitError: missing, of another kind, damaged.
    """
    trained = read_generator(path)
    known = [one.interface.task for one in trained.tasks]
    return generator_of(trained, choose_task(path, known, task), device)


def generator_of(trained: TrainedGenerator, task: int, device: str) -> Generator:
    """Return a trained generator for one of its tasks, ready to sample.

    Args:
        trained: With all its tasks.
        task: The index of the task.
        device: Where the model goes.
    """
    chosen = trained.tasks[task]
    model = model_of(trained, chosen.adapter)
    model.to(device).eval().requires_grad_(requires_grad=False)
    return Generator(
        model,
        chosen.standardizer,
        chosen.interface,
        trained.digest,
        chosen.place,
        chosen.values,
        trained.versions,
    )


def moved(generator: Generator, device: str) -> Generator:
    """Return a generator whose model is on a device."""
    return replace(generator, model=generator.model.to(device))


def model_of(trained: TrainedGenerator, adapter: int | None) -> DiffusionTransformer:
    """Return the model for tasks with an adapter, or for those that were trained first."""
    return trained.model if adapter is None else adapted(trained.model, trained.adapters[adapter])


def read_generator(path: Path) -> TrainedGenerator:
    """Read a generator with all its tasks.

    Raises:
        NnitError: missing, of another kind, damaged.
    """
    stored, artifact = read_model(path, "generator")
    try:
        config = TransformerConfig(**stored.config)
        own, adapters = without_adapters(stored.tensors)
        model = build_from_arrays(lambda: DiffusionTransformer(config), own)
        for one in adapters:
            check_products(model, one)
        tasks = parse_tasks(path, stored, config, len(adapters))
    except NnitError:
        raise
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        first_line = str(error).splitlines()[0]
        raise DamagedArtifactError(
            f"{path}: not a generator that can be built: {first_line}"
        ) from None
    manifest = artifact.manifest
    return TrainedGenerator(
        model, tasks, tuple(adapters), manifest.params, artifact.digest, manifest.versions
    )


def without_adapters(tensors: Arrays) -> tuple[dict[str, np.ndarray], list[dict[str, np.ndarray]]]:
    """Return the tensors of a model, and those of each adapter.

    Raises:
        ValueError: not a number where that of an adapter stands.
    """
    own: dict[str, np.ndarray] = {}
    found: dict[int, dict[str, np.ndarray]] = {}
    for name, tensor in tensors.items():
        if not name.startswith(ADAPTERS):
            own[name] = tensor
            continue
        number, factor = name.removeprefix(ADAPTERS).split(".", 1)
        found.setdefault(int(number), {})[factor] = tensor
    return own, [found[number] for number in sorted(found)]


def with_adapters(own: Arrays, adapters: Sequence[Arrays]) -> dict[str, np.ndarray]:
    """Inverse of ``without_adapters``."""
    beside = {
        f"{ADAPTERS}{number}.{factor}": tensor
        for number, one in enumerate(adapters)
        for factor, tensor in one.items()
    }
    return {**own, **beside}


def tasks_attributes(tasks: Sequence[TrainedTask]) -> dict[str, Any]:
    """Return what a generator keeps of its tasks.

    One task keeps ``standardizer``, as always; several keep ``tasks``, in their order.
    """
    if len(tasks) == 1:
        return {"standardizer": tasks[0].standardizer._asdict()}
    listed = [
        {
            "branches": len(task.place.branches),
            **task.values._asdict(),
            "standardizer": task.standardizer._asdict(),
            **({} if task.adapter is None else {"adapter": task.adapter}),
        }
        for task in tasks
    ]
    return {"tasks": listed}


def parse_tasks(
    path: Path, stored: StoredModel, config: TransformerConfig, adapters: int
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
    used = [one.get("adapter") for one in listed]
    if {one for one in used if one is not None} != set(range(adapters)):
        raise ValueError(f"adapters {used} of tasks, but {adapters} of them")
    return tuple(
        TrainedTask(
            interface,
            parse_record(StoredStandardizer, one["standardizer"], f"{path}: standardizer"),
            place,
            parse_values(one, config),
            adapter,
        )
        for interface, one, place, adapter in zip(
            stored.interfaces, listed, places_of_tasks(num_branches), used, strict=True
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
