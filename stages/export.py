"""``nnit export``: networks as files for other tools.

Reads:   networks   kinds "samples", "frontier" (the networks of its front) and "zoo"
Writes:  for each network NAME.onnx, NAME.pt2, NAME.h, or a folder NAME for a model hub
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnit.artifacts.frontier import read_frontier
from nnit.artifacts.hub_folder import CARD_NAME, IS_EARLIER, hub_files
from nnit.artifacts.loose import IsEarlier, fault_of_file, write_loose
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.policies import versions_made_with
from nnit.artifacts.reading import Artifact, open_artifact
from nnit.artifacts.samples import Sample, network_folder, read_samples
from nnit.artifacts.zoo import read_zoo
from nnit.errors import OutputExistsError, QualityGateError, UsageError
from nnit.export.c_compiler import COMPILER, has_compiler, run_header
from nnit.export.c_header import header_text, is_header
from nnit.export.card import card_text, is_card
from nnit.export.onnx_graph import is_onnx, onnx_answers, onnx_bytes
from nnit.export.policy import (
    TOLERANCE,
    Answers,
    ExportedPolicy,
    largest_difference,
    observations_for,
    torch_answers,
    torch_module,
)
from nnit.export.torch_program import is_program, program_answers, program_bytes
from nnit.mlp import PolicyInterface
from nnit.policy_record import record_policy
from nnit.tasks.layouts import setting_of

EXTRA = "pip install 'nnit[export]'"
SHOWN_NAMES = 3


@dataclass(frozen=True)
class Inputs:
    """Which networks."""

    networks: Path
    names: tuple[str, ...] = ()  # of those in the artifact; none: all


@dataclass(frozen=True)
class Outputs:
    """Where they go, and as what."""

    folder: Path
    formats: tuple[str, ...]  # of FORMATS


@dataclass(frozen=True)
class Exported:
    """One file, or one folder for a hub."""

    network: str
    path: Path
    bytes: int
    weight_bytes: int  # what weights, biases and the scaling of observations take in memory
    difference: float | None  # as of Checked, and the rest too
    latency_us: float | None
    note: str


class Checked(NamedTuple):
    """What came of running an export beside torch."""

    difference: float | None = None  # at most, beside the largest number that torch answers, or 1
    latency_us: float | None = None  # processor time of one observation, compiled
    note: str = ""  # why there is no figure


class Loaded(NamedTuple):
    """A network with all that an export says of it."""

    policy: ExportedPolicy
    sample: Sample
    artifact: Artifact  # that it comes from


class Format(NamedTuple):
    """One way to write a network."""

    parts: Mapping[str, IsEarlier]  # what follows the network's name -> is a file one of ours
    encode: Callable[[Loaded], Mapping[str, bytes]]  # the same names -> what they hold
    check: Callable[[ExportedPolicy, bytes], Checked]  # of the first of them


def run(
    inputs: Inputs, outputs: Outputs, *, check: bool = False, force: bool = False
) -> list[Exported]:
    """Write networks in each of some formats; return what was written, network by network.

    Args:
        inputs: Which networks.
        outputs: Where, and as what.
        check: Compare each file with torch, where what runs it is installed.
        force: Replace files of an earlier export.

    Raises:
        UsageError: no network of a name, no format, or a package that is not installed.
        OutputExistsError: a file is there and ``force`` is off.
        NnitError: missing, of another kind, damaged; a file that can't be written.
    """
    require_packages(outputs.formats)
    networks = read_networks(inputs)
    formats = [FORMATS[name] for name in outputs.formats]
    places = {
        place_of(outputs.folder, one, part): is_earlier
        for one in networks
        for form in formats
        for part, is_earlier in form.parts.items()
    }
    require_free(places, force=force)
    return [write(one, form, outputs.folder, check=check) for one in networks for form in formats]


def require_agreement(written: Sequence[Exported]) -> None:
    """Hold the differences of a check against what rounding explains.

    Raises:
        QualityGateError: one is larger; a line for each.
    """
    faults = [
        f"--check: {one.path}: differs from torch by {one.difference:.2g}, more than {TOLERANCE}"
        for one in written
        if one.difference is not None and one.difference > TOLERANCE
    ]
    if faults:
        raise QualityGateError(*faults)


def require_packages(formats: Sequence[str]) -> None:
    """Make sure that what writes the formats is installed.

    Raises:
        UsageError: it is not, or no format is named.
    """
    if not formats:
        raise UsageError(f"give at least one of {', '.join(f'--{name}' for name in FORMATS)}")
    if "onnx" in formats and find_spec("onnx") is None:
        raise UsageError(f"--onnx: the package onnx is not installed; {EXTRA}")


def read_networks(inputs: Inputs) -> list[Loaded]:
    """Read the networks that are asked for.

    Raises:
        UsageError: no network of that name.
        NnitError: missing, of another kind, damaged.
    """
    samples, interface, artifact = read_samples_of(inputs.networks)
    named = {network_folder(k): sample for k, sample in enumerate(samples)}
    unknown = [name for name in inputs.names if name not in named]
    if unknown or not named:
        there = f"{', '.join(list(named)[:SHOWN_NAMES])}{', …' * (len(named) > SHOWN_NAMES)}"
        asked = f"--network {unknown[0]}: " if unknown else ""
        raise UsageError(f"{asked}{inputs.networks} has {there or 'no networks'}")
    setting = setting_of(interface)
    versions = versions_made_with(artifact.manifest.versions)
    loaded = []
    for name in dict.fromkeys(inputs.names or named):
        sample = named[name]
        record = sample.record or record_policy(sample.network, interface, setting, versions)
        policy = ExportedPolicy(name, sample.network, interface, record.setting)
        loaded.append(Loaded(policy, sample._replace(record=record), artifact))
    return loaded


def read_samples_of(path: Path) -> tuple[Sequence[Sample], PolicyInterface, Artifact]:
    """Read networks of any kind of artifact that holds them as they are.

    Raises:
        NnitError: missing, of another kind, damaged.
    """
    kind = open_artifact(path, "samples", "frontier", "zoo", check="sizes").manifest.kind
    if kind == "samples":
        samples, artifact = read_samples(path)
        return samples.samples, samples.interface, artifact
    if kind == "frontier":
        front, artifact = read_frontier(path)
        return front.networks, front.interface, artifact
    zoo, artifact = read_zoo(path)
    seed = artifact.manifest.seed
    return [Sample(zoo.network(k), seed, k) for k in range(len(zoo))], zoo.interface, artifact


def place_of(folder: Path, one: Loaded, part: str) -> Path:
    """Return where a part of a network's export goes, such as ``.onnx`` or ``/config.json``."""
    return Path(f"{folder / one.policy.name}{part}")


def require_free(places: Mapping[Path, IsEarlier], *, force: bool) -> None:
    """Make sure, before any work, that every file can be written.

    Raises:
        UsageError: something else is there, or it is no place for a file; a line for each.
        OutputExistsError: a file is there and ``force`` is off.
    """
    faults = [
        f"{path}: {fault}"
        for path, is_earlier in places.items()
        if (fault := fault_of_file(path, is_earlier))
    ]
    if faults:
        raise UsageError(*faults)
    there = [path for path in places if path.exists()]
    if there and not force:
        raise OutputExistsError(
            f"{there[0]}: exists already; replace it with --force, or choose --out"
        )


def write(one: Loaded, form: Format, folder: Path, *, check: bool) -> Exported:
    """Write one network in one format.

    Raises:
        ResourceError: no disk or no permission, or a compiler that fails.
        UsageError: somebody else's file has come to be there.
    """
    files = form.encode(one)
    for part, is_earlier in form.parts.items():
        write_loose(place_of(folder, one, part), files[part], is_earlier)
    first, *others = form.parts
    path = place_of(folder, one, "" if others else first)
    size = sum(map(len, files.values()))
    checked = form.check(one.policy, files[first]) if check else Checked()
    return Exported(one.policy.name, path, size, one.policy.num_bytes, **checked._asdict())


def check_onnx(policy: ExportedPolicy, data: bytes) -> Checked:
    """Compare a model of ONNX with torch."""
    if find_spec("onnxruntime") is None:
        return Checked(note=f"not checked: no onnxruntime here; {EXTRA}")
    observations = observations_for(policy)
    return Checked(difference(policy, observations, onnx_answers(data, observations)))


def check_program(policy: ExportedPolicy, data: bytes) -> Checked:
    """Compare a program of ``torch.export`` with torch."""
    observations = observations_for(policy)
    return Checked(difference(policy, observations, program_answers(data, observations)))


def check_header(policy: ExportedPolicy, data: bytes) -> Checked:
    """Compile a header, compare what it answers with torch, and take its time."""
    if not has_compiler():
        return Checked(note=f"not checked: no C compiler here ({COMPILER})")
    observations = observations_for(policy)
    compiled = run_header(policy, data.decode(), observations)
    apart = difference(policy, observations, compiled.answers)
    return Checked(apart, round(compiled.latency_s * 1e6, 3))


def check_hub(policy: ExportedPolicy, data: bytes) -> Checked:
    """Say that a folder for a hub holds the weights as they are, and nothing to compare."""
    return Checked(note="the same weights")


def difference(policy: ExportedPolicy, observations: np.ndarray, found: Answers) -> float:
    """Return by how much answers differ from torch's, as ``largest_difference``."""
    return largest_difference(torch_answers(torch_module(policy), observations), found)


def encode_hub(one: Loaded) -> dict[str, bytes]:
    """Return the files of a network for a hub."""
    manifest = one.artifact.manifest
    origin = Provenance(
        "export", {"network": one.policy.name}, manifest.seed, {manifest.kind: one.artifact.digest}
    )
    card = card_text(one.policy, manifest.kind, one.artifact.digest).encode()
    files = {CARD_NAME: card, **hub_files(one.sample, one.policy.interface, origin)}
    return {f"/{name}": data for name, data in files.items()}


FORMATS = {
    "onnx": Format({".onnx": is_onnx}, lambda one: {".onnx": onnx_bytes(one.policy)}, check_onnx),
    "pt2": Format(
        {".pt2": is_program}, lambda one: {".pt2": program_bytes(one.policy)}, check_program
    ),
    "c": Format(
        {".h": is_header}, lambda one: {".h": header_text(one.policy).encode()}, check_header
    ),
    "hf": Format(
        {f"/{name}": test for name, test in {CARD_NAME: is_card, **IS_EARLIER}.items()},
        encode_hub,
        check_hub,
    ),
}
