"""Artifacts of kind ``samples``: generated networks, each in a folder that works without nnit."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from nnit.artifacts.canonical import canonical_file
from nnit.artifacts.checks import all_attributes, check_shape, damage_of
from nnit.artifacts.interface import interface_of, interface_to_json
from nnit.artifacts.manifest import ArraySpec, Provenance
from nnit.artifacts.policies import (
    NetworkRecord,
    RecordedNetwork,
    policy_to_json,
    versions_made_with,
)
from nnit.artifacts.publish import publish
from nnit.artifacts.reading import Artifact, Check, of_one_moment, open_artifact, read_record
from nnit.artifacts.records import Natural, to_tuple
from nnit.artifacts.weights import read_tensors, tensor_bytes
from nnit.errors import DamagedArtifactError
from nnit.mlp import LayerWeights, MlpSpec, Network, PolicyInterface, join_layers, split_layers
from nnit.policy_record import PolicyRecord, record_policy
from nnit.tasks.layouts import setting_of

CONFIG_NAME = "config.json"
TENSORS_NAME = "model.safetensors"
MAX_NETWORKS = 10**6


class Sample(NamedTuple):
    """One generated network."""

    network: Network
    seed: int  # of the command that generated it
    sample_index: int  # among the samples of that command
    record: PolicyRecord | None = None  # None: of schema 1, of a frontier, or not made yet


@dataclass(frozen=True)
class SampleSet:
    """Generated networks for one task."""

    samples: tuple[Sample, ...]
    interface: PolicyInterface

    def __len__(self) -> int:
        return len(self.samples)


def network_folder(k: int) -> str:
    """Return the name of the folder of network ``k``."""
    return f"network-{k:04d}"


def write_samples(
    path: Path,
    samples: SampleSet,
    provenance: Provenance,
    *,
    versions: Mapping[str, str] | None = None,
    attributes: Mapping[str, Any] | None = None,
    force: bool = False,
) -> None:
    """Write generated networks, two files for each; those that have no record get one.

    Args:
        path: The folder to make.
        samples: What to write; no NaN or infinity.
        provenance: What it was made from.
        versions: Those in the manifest of what the networks were made from.
        attributes: Further JSON data for the manifest.
        force: Replace samples that are there already.

    Raises:
        ValueError: weights of the wrong length or type, NaN or infinity.
        NnitError: as ``publish``.
    """
    interface = samples.interface
    setting, made_with = setting_of(interface), versions_made_with(versions or {})
    own = {"networks": len(samples)}
    attributes = all_attributes(interface, own, attributes)
    with publish(path, "samples", provenance, attributes, force=force) as writer:
        for k, sample in enumerate(samples.samples):
            record = sample.record or record_policy(sample.network, interface, setting, made_with)
            for name, data in network_files(k, sample._replace(record=record), interface).items():
                writer.write_file(name, data)


@of_one_moment
def read_samples(path: Path, *, check: Check = "small") -> tuple[SampleSet, Artifact]:
    """Read generated networks.

    Raises:
        NnitError: as ``open_artifact``, or networks that contradict their configuration.
    """
    artifact = open_artifact(path, "samples", check=check)
    interface, files = interface_of(artifact), len(artifact.manifest.files)
    count = artifact.attribute("networks", Annotated[Natural, Field(le=MAX_NETWORKS)])
    if files != 2 * count:
        raise DamagedArtifactError(f"{path}: {count} networks, but {files} files, not two each")
    recorded = artifact.manifest.schema > 1
    with damage_of(path):
        samples = tuple(
            read_network(artifact, k, interface, recorded=recorded) for k in range(count)
        )
    return SampleSet(samples, interface), artifact


def network_files(k: int, sample: Sample, interface: PolicyInterface) -> dict[str, bytes]:
    """Return the files of network ``k``: its configuration and its tensors.

    Raises:
        ValueError: weights of the wrong length or type, NaN or infinity.
    """
    config, folder = _config(sample, interface), network_folder(k)
    record = {} if sample.record is None else policy_to_json(sample.record)
    metadata = config | {name: value for name, value in record.items() if name != "pairs"}
    return {
        f"{folder}/{CONFIG_NAME}": canonical_file(config | record),
        f"{folder}/{TENSORS_NAME}": tensor_bytes(_tensors(sample.network, interface), metadata),
    }


def read_network(
    artifact: Artifact, k: int, interface: PolicyInterface, *, recorded: bool = False
) -> Sample:
    """Read network ``k`` of an artifact of this or another kind.

    Args:
        artifact: The artifact.
        k: Which network.
        interface: What surrounds it, as the manifest says.
        recorded: Whether it has to say where it belongs and what it answers; else it must not.

    Raises:
        DamagedArtifactError: it contradicts its configuration or the interface.
    """
    name = f"{network_folder(k)}/{CONFIG_NAME}"
    config = read_record(artifact, name, RecordedNetwork if recorded else NetworkRecord)
    if to_tuple(PolicyInterface, config) != interface:
        where = artifact.path / name
        raise DamagedArtifactError(f"{where}: another interface than in the manifest")
    spec = interface.spec(config.architecture)
    file = f"{network_folder(k)}/{TENSORS_NAME}"
    shown = artifact.path / file
    tensors = read_tensors(artifact.file(file), _expected(spec), shown=shown).tensors
    layers = [
        LayerWeights(tensors[f"{2 * i}.weight"], tensors[f"{2 * i}.bias"])
        for i in range(len(spec.layers))
    ]
    network = Network(config.architecture, join_layers(layers))
    record = config.policy() if isinstance(config, RecordedNetwork) else None
    return Sample(network, config.seed, config.sample_index, record)


def _config(sample: Sample, interface: PolicyInterface) -> dict[str, Any]:
    return {
        **interface_to_json(interface),
        "architecture": list(sample.network.hidden_dims),
        "seed": sample.seed,
        "sample_index": sample.sample_index,
    }


def _tensors(network: Network, interface: PolicyInterface) -> dict[str, np.ndarray]:
    spec = interface.spec(network.hidden_dims)
    check_shape("weights", network.weights, "float32", (spec.num_parameters,))
    tensors = {}
    for position, layer in enumerate(split_layers(spec, network.weights)):
        tensors[f"{2 * position}.weight"] = layer.weight  # activations take the odd places
        tensors[f"{2 * position}.bias"] = layer.bias
    return tensors


def _expected(spec: MlpSpec) -> dict[str, ArraySpec]:
    expected = {}
    for position, layer in enumerate(spec.layers):
        shape = (layer.fan_out, layer.fan_in)
        expected[f"{2 * position}.weight"] = ArraySpec(shape, "float32")
        expected[f"{2 * position}.bias"] = ArraySpec(shape[:1], "float32")
    return expected
