"""Artifacts of kind ``tokens``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from nnit.artifacts.arrays import read_array, write_arrays
from nnit.artifacts.checks import (
    MAX_BRANCHES,
    check_finite,
    check_offsets,
    check_shape,
    check_within,
    damage_of,
    flatten_architectures,
    shared_attributes,
    split_architectures,
)
from nnit.artifacts.interface import interfaces_of
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import publish
from nnit.artifacts.reading import Artifact, Check, of_one_moment, open_artifact
from nnit.artifacts.records import Items, Number, Positive, Record, Stored, Width
from nnit.tokens.patches import count_patches
from nnit.tokens.token_set import Standardizer, TokenSet


class _Statistics(Record):
    weight_mean: tuple[Number, Number, Number]  # in the order of ROLES
    weight_std: tuple[Positive, Positive, Positive]
    bias_mean: tuple[Number, Number, Number]
    bias_std: tuple[Positive, Positive, Positive]


StoredStandardizer = Annotated[Standardizer, Stored(_Statistics)]


def write_tokens(
    path: Path,
    tokens: TokenSet,
    provenance: Provenance,
    *,
    attributes: Mapping[str, Any] | None = None,
    force: bool = False,
) -> None:
    """Write token sequences, of one task as ever and of several in schema 2.

    Args:
        path: The folder to make.
        tokens: What to write.
        provenance: What it was made from.
        attributes: Further JSON data for the manifest.
        force: Replace tokens that are there already.

    Raises:
        ValueError: offsets that contradict the architectures, NaN or infinity.
        NnitError: as ``publish``.
    """
    _check(tokens)
    widths, arch_offsets = flatten_architectures(tokens.architectures)
    arrays = {name: getattr(tokens, name) for name in _DTYPES}
    arrays |= {"hidden_dims": widths, "arch_offsets": arch_offsets}
    if len(tokens.interfaces) > 1:
        arrays["tasks"] = tokens.tasks
    own = {"patch_size": int(tokens.patch_size), **standardizers_to_json(tokens.standardizers)}
    attributes = shared_attributes(tokens.interfaces, own, attributes)
    with publish(path, "tokens", provenance, attributes, force=force) as writer:
        write_arrays(writer, arrays)


@of_one_moment
def read_tokens(path: Path, *, check: Check = "small") -> tuple[TokenSet, Artifact]:
    """Read token sequences.

    Raises:
        NnitError: as ``open_artifact``, or values that contradict each other.
    """
    artifact = open_artifact(path, "tokens", check=check)
    several = artifact.several
    patch = artifact.attribute("patch_size", Width)
    cells = {"weight_patches": (patch, patch), "bias_patches": (patch,)}
    with damage_of(path):
        widths = read_array(artifact, "hidden_dims", "int32", (None,))
        arch_offsets = read_array(artifact, "arch_offsets", "int64", (None,))
        arrays = {
            name: read_array(artifact, name, dtype, (None, *cells.get(name, ())))
            for name, dtype in _DTYPES.items()
        }
        architectures = split_architectures(widths, arch_offsets)
        count = len(architectures)
        tokens = TokenSet(
            patch_size=patch,
            architectures=architectures,
            **arrays,
            tasks=(
                read_array(artifact, "tasks", "int32", (count,))
                if several
                else np.zeros(count, np.int32)
            ),
            standardizers=(
                artifact.attribute("standardizers", Items[StoredStandardizer])
                if several
                else (artifact.attribute("standardizer", StoredStandardizer),)
            ),
            interfaces=interfaces_of(artifact),
        )
        _check(tokens)
    return tokens, artifact


_DTYPES = {
    "weight_patches": "float32",
    "weight_offsets": "int64",
    "bias_patches": "float32",
    "bias_offsets": "int64",
    "branches": "int32",
    "losses": "float32",
}


def standardizers_to_json(standardizers: Sequence[Standardizer]) -> dict[str, Any]:
    """Return the attributes: ``standardizer`` of one task, ``standardizers`` of several."""
    listed = [
        {name: [float(value) for value in values] for name, values in one._asdict().items()}
        for one in standardizers
    ]
    return {"standardizer": listed[0]} if len(listed) == 1 else {"standardizers": listed}


def _check(tokens: TokenSet) -> None:
    networks, patch, num_tasks = len(tokens), tokens.patch_size, len(tokens.interfaces)
    check_shape("tasks", tokens.tasks, "int32", (networks,))
    if num_tasks > 1 and set(tokens.tasks.tolist()) != set(range(num_tasks)):
        raise ValueError(f"tasks: not each of {num_tasks} tasks, and no other")
    if len(tokens.standardizers) != num_tasks:
        raise ValueError(f"standardizers: {len(tokens.standardizers)} for {num_tasks} tasks")
    counts = [count_patches(tokens.spec(k), patch) for k in range(networks)]
    weights, biases = [weight for weight, _ in counts], [bias for _, bias in counts]
    check_offsets("weight_offsets", tokens.weight_offsets, weights, len(tokens.weight_patches))
    check_offsets("bias_offsets", tokens.bias_offsets, biases, len(tokens.bias_patches))
    shapes = {
        "weight_patches": (len(tokens.weight_patches), patch, patch),
        "bias_patches": (len(tokens.bias_patches), patch),
        "branches": (networks,),
        "losses": (networks,),
    }
    for name, shape in shapes.items():
        check_shape(name, getattr(tokens, name), _DTYPES[name], shape)
        check_finite(name, getattr(tokens, name))
    check_within("branches", tokens.branches, 0, MAX_BRANCHES)
    if (tokens.losses < 0).any():
        raise ValueError("losses: found a negative one")
