"""Artifacts of kind ``alignment``: how aligned and how smooth the networks of zoos are."""

from dataclasses import dataclass
from pathlib import Path

from nnit.alignment.report import Alignment
from nnit.artifacts.canonical import canonical_file
from nnit.artifacts.checks import all_attributes, damage_of
from nnit.artifacts.interface import interface_of
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import publish
from nnit.artifacts.reading import Artifact, Check, of_one_moment, open_artifact, read_record
from nnit.artifacts.records import record_to_json
from nnit.mlp import PolicyInterface

ALIGNMENT_NAME = "alignment.json"
WEIGHTS_FIGURE = "weights.png"
SMOOTHNESS_FIGURE = "smoothness.png"
FIGURES = (WEIGHTS_FIGURE, SMOOTHNESS_FIGURE)


@dataclass(frozen=True)
class StoredAlignment:
    """A report, and the interface of the networks that it is about."""

    alignment: Alignment
    interface: PolicyInterface


def write_alignment(
    path: Path,
    stored: StoredAlignment,
    figures: dict[str, bytes],
    provenance: Provenance,
    *,
    force: bool = False,
) -> None:
    """Write a report as ``alignment.json``, with its figures.

    Args:
        path: The folder to make.
        stored: What to write.
        figures: Names among ``FIGURES`` and the bytes of PNG files.
        provenance: What it was made from.
        force: Replace a report that is there already.

    Raises:
        ValueError: parts that contradict each other.
        NnitError: as ``publish``.
    """
    _check(stored.alignment)
    attributes = all_attributes(stored.interface, {}, None)
    with publish(path, "alignment", provenance, attributes, force=force) as writer:
        writer.write_file(ALIGNMENT_NAME, canonical_file(record_to_json(stored.alignment)))
        for name, data in figures.items():
            writer.write_file(name, data)


@of_one_moment
def read_alignment(path: Path, *, check: Check = "small") -> tuple[StoredAlignment, Artifact]:
    """Read a report; its figures are for people. One of schema 1 has no ranks.

    Raises:
        NnitError: as ``open_artifact``, or parts that contradict each other.
    """
    artifact = open_artifact(path, "alignment", check=check)
    interface = interface_of(artifact)
    alignment = read_record(artifact, ALIGNMENT_NAME, Alignment)
    with damage_of(artifact.path / ALIGNMENT_NAME):
        _check(alignment)
    return StoredAlignment(alignment, interface), artifact


def _check(alignment: Alignment) -> None:
    labels = [zoo.label for zoo in alignment.zoos]
    if not labels or len(set(labels)) != len(labels):
        raise ValueError("zoos: each needs a label of its own")
    for zoo in alignment.zoos:
        lines = (zoo.line.losses, zoo.line_matched.losses)
        if any(len(losses) != len(alignment.alphas) for losses in lines):
            raise ValueError(f"zoos: {zoo.label}: not a loss for each of the alphas")
