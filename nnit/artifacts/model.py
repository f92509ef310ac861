"""Artifacts of kind ``ghn``, ``generator``, ``flat``: a model's configuration and its tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnit.artifacts.checks import shared_attributes
from nnit.artifacts.interface import interfaces_of
from nnit.artifacts.manifest import HALF, KINDS, MANIFEST_NAME, ArraySpec, Provenance
from nnit.artifacts.publish import publish
from nnit.artifacts.reading import Artifact, Check, of_one_moment, open_artifact
from nnit.artifacts.weights import read_tensors, tensor_bytes
from nnit.errors import DamagedArtifactError
from nnit.mlp import PolicyInterface

MODEL_KINDS = ("ghn", "generator", "flat")
TENSORS_NAME = "model.safetensors"
FORMAT_ATTRIBUTES = ("config", "interface", "interfaces")


@dataclass(frozen=True)
class StoredModel:
    """What it takes to build a model again, without knowing its class."""

    config: dict[str, Any]  # arguments of the model's class, as JSON data
    tensors: dict[str, np.ndarray]  # float32, whatever is stored; named as in its state dict
    interfaces: tuple[PolicyInterface, ...]  # one of each task
    attributes: dict[str, Any]  # what the writer added

    @property
    def interface(self) -> PolicyInterface:
        """The interface of the only task.

        Raises:
            ValueError: there are several.
        """
        (interface,) = self.interfaces
        return interface


def write_model(
    path: Path,
    kind: str,
    config: Mapping[str, Any],
    tensors: Mapping[str, np.ndarray],
    interfaces: Sequence[PolicyInterface],
    attributes: Mapping[str, Any],
    provenance: Provenance,
    *,
    half: bool = False,
    force: bool = False,
) -> None:
    """Write a trained model.

    Args:
        path: The folder to make.
        kind: One of ``MODEL_KINDS``.
        config: Arguments of the model's class, as JSON data.
        tensors: Name -> float32 array; no NaN or infinity.
        interfaces: What surrounds the policies that the model writes, one of each task; only a
            generator may have several, and has schema 2 then.
        attributes: Further JSON data for the manifest, such as standardising statistics.
        provenance: What it was made from.
        half: Store bfloat16, in half the space; only a generator may be, and has schema 3 then.
        force: Replace a model of the same kind that is there already.

    Raises:
        ValueError: another kind, a tensor that is not float32 or not finite, or several tasks.
        NnitError: as ``publish``.
    """
    if kind not in MODEL_KINDS:
        raise ValueError(f"kind {kind!r} is none of {', '.join(MODEL_KINDS)}")
    for name, tensor in tensors.items():
        if tensor.dtype.name != "float32":
            raise ValueError(f"tensor {name}: found {tensor.dtype}, expected float32")
    if half and not KINDS[kind].half:
        raise ValueError(f"kind {kind!r} is not stored as {HALF}")
    data = tensor_bytes(tensors, {"kind": kind}, half=half)
    if len(interfaces) > 1 and not KINDS[kind].several:
        raise ValueError(f"kind {kind!r} has one task, not {len(interfaces)}")
    attributes = shared_attributes(interfaces, {"config": dict(config)}, attributes)
    with publish(path, kind, provenance, attributes, force=force) as writer:
        writer.write_file(TENSORS_NAME, data)
        for name, tensor in tensors.items():
            writer.arrays[name] = ArraySpec(tuple(tensor.shape), HALF if half else "float32")


@of_one_moment
def read_model(path: Path, kind: str, *, check: Check = "small") -> tuple[StoredModel, Artifact]:
    """Read a trained model; whoever builds it checks the configuration.

    Raises:
        NnitError: as ``open_artifact``, or tensors that are not those of the manifest.
    """
    artifact = open_artifact(path, kind, check=check)
    attributes = artifact.manifest.attributes
    specs, shown = artifact.manifest.arrays, artifact.path / TENSORS_NAME
    _check_types(artifact)
    tensors = read_tensors(artifact.file(TENSORS_NAME), specs, shown=shown).tensors
    model = StoredModel(
        config=artifact.attribute("config", dict[str, Any]),
        tensors=tensors,
        interfaces=interfaces_of(artifact),
        attributes={k: v for k, v in attributes.items() if k not in FORMAT_ATTRIBUTES},
    )
    return model, artifact


def _check_types(artifact: Artifact) -> None:
    """Make sure that all tensors are of the type that the schema has.

    Raises:
        DamagedArtifactError: one is of another.
    """
    kind, schema = artifact.manifest.kind, artifact.manifest.schema
    expected = HALF if schema == KINDS[kind].half else "float32"
    for name, spec in artifact.manifest.arrays.items():
        if spec.dtype != expected:
            raise DamagedArtifactError(
                f"{artifact.path / MANIFEST_NAME}: arrays: {name}: found {spec.dtype}, expected "
                f"{expected} in schema {schema}"
            )
