"""Artifacts of kind ``zoo``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nnit.artifacts.arrays import read_array, write_arrays
from nnit.artifacts.checks import (
    MAX_BRANCHES,
    MAX_STEPS,
    all_attributes,
    check_finite,
    check_offsets,
    check_shape,
    check_within,
    damage_of,
    flatten_architectures,
    split_architectures,
)
from nnit.artifacts.interface import interface_of
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import publish
from nnit.artifacts.reading import Artifact, Check, of_one_moment, open_artifact
from nnit.zoo.members import ModelZoo, ZooMember


def write_zoo(
    path: Path,
    zoo: ModelZoo,
    provenance: Provenance,
    *,
    attributes: Mapping[str, Any] | None = None,
    force: bool = False,
) -> None:
    """Write a model zoo.

    Args:
        path: The folder to make.
        zoo: What to write; only ``success`` may be NaN.
        provenance: What it was made from.
        attributes: Further JSON data for the manifest.
        force: Replace a zoo that is there already.

    Raises:
        ValueError: offsets that contradict the architectures, NaN or infinity.
        NnitError: as ``publish``.
    """
    _check(zoo)
    members = zoo.members
    widths, arch_offsets = flatten_architectures([m.hidden_dims for m in members])
    splits = sorted({member.split for member in members})
    arrays = {
        "weights": zoo.weights,
        "offsets": zoo.offsets,
        "hidden_dims": widths,
        "arch_offsets": arch_offsets,
        "branch": np.array([m.branch for m in members], np.int32),
        "fine_tune_steps": np.array([m.fine_tune_steps for m in members], np.int64),
        "loss": np.array([m.loss for m in members], np.float64),
        "success": np.array([m.success for m in members], np.float64),
        "split": np.array([splits.index(m.split) for m in members], np.int32),
    }
    attributes = all_attributes(zoo.interface, {"splits": splits}, attributes)
    with publish(path, "zoo", provenance, attributes, force=force) as writer:
        write_arrays(writer, arrays)


@of_one_moment
def read_zoo(path: Path, *, check: Check = "small") -> tuple[ModelZoo, Artifact]:
    """Read a model zoo.

    Raises:
        NnitError: as ``open_artifact``, or values that contradict each other.
    """
    artifact = open_artifact(path, "zoo", check=check)
    interface = interface_of(artifact)
    with damage_of(path):
        members = _read_members(artifact)
        zoo = ModelZoo(
            members,
            read_array(artifact, "weights", "float32", (None,)),
            read_array(artifact, "offsets", "int64", (len(members) + 1,)),
            interface,
        )
        _check(zoo)
    return zoo, artifact


def _read_members(artifact: Artifact) -> tuple[ZooMember, ...]:
    offsets = read_array(artifact, "arch_offsets", "int64", (None,))
    widths = read_array(artifact, "hidden_dims", "int32", (None,))
    architectures = split_architectures(widths, offsets)
    splits = artifact.attribute("splits", tuple[str, ...])
    codes = _column(artifact, "split", "int32", len(architectures))
    if not all(0 <= code < len(splits) for code in codes):
        raise ValueError(f"split: codes beyond the {len(splits)} names")
    columns = zip(
        architectures,
        _column(artifact, "branch", "int32", len(architectures)),
        _column(artifact, "fine_tune_steps", "int64", len(architectures)),
        _column(artifact, "loss", "float64", len(architectures)),
        _column(artifact, "success", "float64", len(architectures)),
        [splits[code] for code in codes],
        strict=True,
    )
    return tuple(ZooMember(*row) for row in columns)


def _column(artifact: Artifact, name: str, dtype: str, length: int) -> list[Any]:
    return read_array(artifact, name, dtype, (length,)).tolist()


def _check(zoo: ModelZoo) -> None:
    sizes = [zoo.spec(k).num_parameters for k in range(len(zoo))]
    check_shape("weights", zoo.weights, "float32", (len(zoo.weights),))
    check_offsets("offsets", zoo.offsets, sizes, len(zoo.weights))
    check_finite("weights", zoo.weights)
    losses = np.array([m.loss for m in zoo.members])
    check_finite("loss", losses)
    if (losses < 0).any():
        raise ValueError("loss: found a negative one")
    check_within("branch", np.array([m.branch for m in zoo.members]), 0, MAX_BRANCHES)
    steps = np.array([m.fine_tune_steps for m in zoo.members])
    check_within("fine_tune_steps", steps, 0, MAX_STEPS)
    if any(not (m.success != m.success or 0 <= m.success <= 1) for m in zoo.members):
        raise ValueError("success: not within 0 to 1")
