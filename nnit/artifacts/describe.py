"""What an artifact is, in numbers: the library side of ``nnit inspect``."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

from nnit.artifacts.alignment import ALIGNMENT_NAME
from nnit.artifacts.arrays import read_array
from nnit.artifacts.audit import AUDIT_NAME
from nnit.artifacts.canonical import JsonObject, parse_json
from nnit.artifacts.checks import damage_of, split_architectures
from nnit.artifacts.frontier import FRONTIER_NAME
from nnit.artifacts.interface import parse_interfaces
from nnit.artifacts.reading import Artifact, of_one_moment, open_artifact, read_bytes
from nnit.artifacts.rollouts import EVAL_NAME
from nnit.artifacts.samples import CONFIG_NAME
from nnit.mlp import Architecture, format_architecture

SHOWN_ARCHITECTURES = 20


def describe(artifact: Artifact) -> dict[str, Any]:
    """Return a summary as JSON data: origin, sizes, and what the kind has to say.

    Raises:
        DamagedArtifactError: the parts that are looked at are not what was written.
    """
    manifest = artifact.manifest
    parse_interfaces(artifact.attributes, several=artifact.several)
    return {
        "path": str(artifact.path),
        "kind": manifest.kind,
        "schema": manifest.schema,
        "digest": artifact.digest,
        "stage": manifest.stage,
        "params": manifest.params,
        "seed": manifest.seed,
        "parents": manifest.parents,
        "nnit_version": manifest.nnit_version,
        "versions": manifest.versions,
        "files": len(manifest.files),
        "bytes": manifest.num_bytes,
        "arrays": {
            name: {"shape": list(spec.shape), "dtype": spec.dtype}
            for name, spec in sorted(manifest.arrays.items())
        },
        "attributes": manifest.attributes,
        "content": _CONTENT[manifest.kind](artifact),
    }


@of_one_moment
def describe_path(path: Path) -> dict[str, Any]:
    """Return ``describe`` of the artifact at ``path``.

    Raises:
        NnitError: as ``open_artifact``.
    """
    return describe(open_artifact(path))


def _demos(artifact: Artifact) -> dict[str, Any]:
    episodes = artifact.spec("episode_ends").shape[0]
    success = read_array(artifact, "success_once", "bool", (episodes,))
    return {
        "episodes": episodes,
        "steps": artifact.spec("observations").shape[0],
        "success_once": float(success.mean()) if episodes else None,
    }


def _model(artifact: Artifact) -> dict[str, Any]:
    shapes = [spec.shape for spec in artifact.manifest.arrays.values()]
    parameters = sum(math.prod(shape) for shape in shapes)
    return {"tensors": len(shapes), "parameters": parameters, **_tasks(artifact)}


def _zoo(artifact: Artifact) -> dict[str, Any]:
    return {
        "parameters": artifact.spec("weights").shape[0],
        **_architectures(artifact),
    }


def _tokens(artifact: Artifact) -> dict[str, Any]:
    return {
        "weight_patches": artifact.spec("weight_patches").shape[0],
        "bias_patches": artifact.spec("bias_patches").shape[0],
        **_tasks(artifact),
        **_architectures(artifact),
    }


def _samples(artifact: Artifact) -> dict[str, Any]:
    architectures = []
    for name in sorted(artifact.manifest.files):
        if name.endswith(f"/{CONFIG_NAME}"):
            where = str(artifact.path / name)
            config = JsonObject(parse_json(read_bytes(artifact, name), where), where)
            architectures.append(config.integers("architecture", 1, 2**31))
    return _summary(architectures)


def _rollouts(artifact: Artifact) -> dict[str, Any]:
    where = str(artifact.path / EVAL_NAME)
    top = JsonObject(parse_json(read_bytes(artifact, EVAL_NAME), where), where)
    networks = len(top.items("per_network"))
    return {"networks": networks, "aggregated": top.object("aggregated").value}


def _frontier(artifact: Artifact) -> dict[str, Any]:
    where = str(artifact.path / FRONTIER_NAME)
    top = JsonObject(parse_json(read_bytes(artifact, FRONTIER_NAME), where), where)
    candidates = [JsonObject(entry, where) for entry in top.items("candidates")]
    return {
        "answer": top.text("answer"),
        "candidates": len(candidates),
        "episodes": sum(one.integer("episodes", 1) for one in candidates),
        "front": sum(one.boolean("on_front") for one in candidates),
    }


def _audit(artifact: Artifact) -> dict[str, Any]:
    where = str(artifact.path / AUDIT_NAME)
    top = JsonObject(parse_json(read_bytes(artifact, AUDIT_NAME), where), where)
    return {"networks": len(top.items("samples")), "architectures": len(top.items("shapes"))}


def _alignment(artifact: Artifact) -> dict[str, Any]:
    where = str(artifact.path / ALIGNMENT_NAME)
    zoos = JsonObject(parse_json(read_bytes(artifact, ALIGNMENT_NAME), where), where).items("zoos")
    return {"zoos": [JsonObject(zoo, f"{where}: zoos").text("label") for zoo in zoos]}


def _tasks(artifact: Artifact) -> dict[str, Any]:
    """Name the tasks where there are several."""
    interfaces = parse_interfaces(artifact.attributes, several=artifact.several)
    return {"tasks": [one.task for one in interfaces]} if artifact.several else {}


def _architectures(artifact: Artifact) -> dict[str, Any]:
    widths = read_array(artifact, "hidden_dims", "int32", (None,))
    offsets = read_array(artifact, "arch_offsets", "int64", (None,))
    with damage_of(artifact.path):
        return _summary(list(split_architectures(widths, offsets)))


def _summary(architectures: list[Architecture]) -> dict[str, Any]:
    counts = Counter(map(format_architecture, architectures))
    return {
        "networks": len(architectures),
        "distinct_architectures": len(counts),
        "depths": sorted({len(architecture) for architecture in architectures}),
        "architectures": dict(counts.most_common(SHOWN_ARCHITECTURES)),
    }


_CONTENT = {
    "demos": _demos,
    "ghn": _model,
    "zoo": _zoo,
    "tokens": _tokens,
    "generator": _model,
    "flat": _model,
    "samples": _samples,
    "rollouts": _rollouts,
    "frontier": _frontier,
    "audit": _audit,
    "alignment": _alignment,
}
