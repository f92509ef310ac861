"""What an artifact is, in numbers: the library side of ``nnit inspect``."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

from nnit.alignment.report import Alignment
from nnit.artifacts.alignment import ALIGNMENT_NAME
from nnit.artifacts.arrays import read_array
from nnit.artifacts.audit import AUDIT_NAME
from nnit.artifacts.checks import damage_of, split_architectures
from nnit.artifacts.frontier import FRONTIER_NAME, FrontierFile
from nnit.artifacts.interface import interfaces_of
from nnit.artifacts.reading import Artifact, of_one_moment, open_artifact, read_record
from nnit.artifacts.records import HiddenDims, Record
from nnit.artifacts.rollouts import EVAL_NAME, VIDEOS, EvalFile
from nnit.artifacts.samples import CONFIG_NAME
from nnit.audit.report import Audit
from nnit.mlp import Architecture, format_architecture

SHOWN_ARCHITECTURES = 20


def describe(artifact: Artifact) -> dict[str, Any]:
    """Return a summary as JSON data: origin, sizes, and what the kind has to say.

    Raises:
        DamagedArtifactError: the parts that are looked at are not what was written.
    """
    manifest = artifact.manifest
    return {
        "path": str(artifact.path),
        "kind": manifest.kind,
        "schema": manifest.schema,
        "digest": artifact.digest,
        "tasks": [one.task for one in interfaces_of(artifact)],
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
        "content": _CONTENT[manifest.kind](artifact) if manifest.kind in _CONTENT else {},
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


class StoredNetwork(Record, extra="ignore"):
    """What the configuration of one network says first."""

    architecture: HiddenDims
    sample_index: int = 0


def stored_network(artifact: Artifact, name: str) -> StoredNetwork:
    """Read what a network of samples or of a frontier says of itself.

    Raises:
        DamagedArtifactError: there is none of that name, or it is not what was written.
    """
    return read_record(artifact, f"{name}/{CONFIG_NAME}", StoredNetwork, skim=True)


def _samples(artifact: Artifact) -> dict[str, Any]:
    names = (name for name in artifact.manifest.files if name.endswith(f"/{CONFIG_NAME}"))
    shapes = (read_record(artifact, name, StoredNetwork, skim=True) for name in sorted(names))
    return _summary([shape.architecture for shape in shapes])


def _rollouts(artifact: Artifact) -> dict[str, Any]:
    found = read_record(artifact, EVAL_NAME, EvalFile, skim=True)
    films = sorted(name for name in artifact.manifest.files if name.startswith(f"{VIDEOS}/"))
    networks = len(found.per_network)
    return {
        "networks": networks,
        **({"films": [Path(name).name for name in films]} if films else {}),
        "aggregated": found.aggregated,
    }


def _frontier(artifact: Artifact) -> dict[str, Any]:
    found = read_record(artifact, FRONTIER_NAME, FrontierFile, skim=True)
    return {
        "answer": found.answer,
        "candidates": len(found.candidates),
        "episodes": sum(len(one.outcomes) for one in found.candidates),
        "front": sum(one.on_front for one in found.candidates),
    }


def _audit(artifact: Artifact) -> dict[str, Any]:
    found = read_record(artifact, AUDIT_NAME, Audit, skim=True)
    return {"networks": len(found.samples), "architectures": len(found.shapes)}


def _alignment(artifact: Artifact) -> dict[str, Any]:
    found = read_record(artifact, ALIGNMENT_NAME, Alignment, skim=True)
    return {"zoos": [zoo.label for zoo in found.zoos]}


def _tasks(artifact: Artifact) -> dict[str, Any]:
    """Name the tasks where there are several."""
    tasks = [one.task for one in interfaces_of(artifact)]
    return {"tasks": tasks} if artifact.several else {}


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
