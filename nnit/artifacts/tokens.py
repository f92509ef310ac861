"""Artifacts of kind ``tokens``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnit.artifacts.arrays import read_array, write_arrays
from nnit.artifacts.canonical import JsonObject
from nnit.artifacts.checks import (
    all_attributes,
    check_finite,
    check_offsets,
    check_shape,
    damage_of,
    flatten_architectures,
    split_architectures,
)
from nnit.artifacts.interface import parse_interface
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import publish
from nnit.artifacts.reading import Artifact, Check, open_artifact
from nnit.mlp import MAX_WIDTH
from nnit.tokens.patches import count_patches
from nnit.tokens.token_set import ROLES, Standardizer, TokenSet


def write_tokens(
    path: Path,
    tokens: TokenSet,
    provenance: Provenance,
    *,
    attributes: Mapping[str, Any] | None = None,
    force: bool = False,
) -> None:
    """Write the token sequences of a zoo.

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
    own = {
        "patch_size": int(tokens.patch_size),
        "standardizer": {
            name: [float(value) for value in values]
            for name, values in tokens.standardizer._asdict().items()
        },
    }
    attributes = all_attributes(tokens.interface, own, attributes)
    with publish(path, "tokens", provenance, attributes, force=force) as writer:
        write_arrays(writer, arrays)


def read_tokens(path: Path, *, check: Check = "small") -> tuple[TokenSet, Artifact]:
    """Read the token sequences of a zoo.

    Raises:
        NnitError: as ``open_artifact``, or values that contradict each other.
    """
    artifact = open_artifact(path, "tokens", check=check)
    fields = artifact.attributes
    patch = fields.integer("patch_size", 1, MAX_WIDTH)
    cells = {"weight_patches": (patch, patch), "bias_patches": (patch,)}
    with damage_of(path):
        widths = read_array(artifact, "hidden_dims", "int32", (None,))
        arch_offsets = read_array(artifact, "arch_offsets", "int64", (None,))
        arrays = {
            name: read_array(artifact, name, dtype, (None, *cells.get(name, ())))
            for name, dtype in _DTYPES.items()
        }
        tokens = TokenSet(
            patch_size=patch,
            architectures=split_architectures(widths, arch_offsets),
            **arrays,
            standardizer=_parse_standardizer(fields.object("standardizer")),
            interface=parse_interface(fields.object("interface")),
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


def _parse_standardizer(fields: JsonObject) -> Standardizer:
    fields.only(Standardizer._fields)
    values = {name: fields.numbers(name, len(ROLES)) for name in Standardizer._fields}
    for name in ("weight_std", "bias_std"):
        if not all(value > 0 for value in values[name]):
            fields.refuse(name, "positive numbers")
    return Standardizer(**values)


def _check(tokens: TokenSet) -> None:
    networks, patch = len(tokens), tokens.patch_size
    counts = [
        count_patches(tokens.interface.spec(architecture), patch)
        for architecture in tokens.architectures
    ]
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
