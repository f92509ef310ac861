"""Artifacts of kind ``audit``: how novel, diverse and sound generated networks are."""

import math
from dataclasses import dataclass
from pathlib import Path

from nnit.artifacts.canonical import canonical_file
from nnit.artifacts.checks import all_attributes, damage_of
from nnit.artifacts.interface import interface_of
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import publish
from nnit.artifacts.reading import Artifact, Check, of_one_moment, open_artifact, read_record
from nnit.artifacts.records import record_to_json
from nnit.audit.report import EVERY, Audit
from nnit.mlp import PolicyInterface

AUDIT_NAME = "audit.json"


@dataclass(frozen=True)
class StoredAudit:
    """An audit, and the interface of the networks that it is about."""

    audit: Audit
    interface: PolicyInterface


def write_audit(
    path: Path,
    stored: StoredAudit,
    provenance: Provenance,
    *,
    force: bool = False,
) -> None:
    """Write an audit as ``audit.json``.

    Raises:
        ValueError: parts that contradict each other.
        NnitError: as ``publish``.
    """
    _check(stored.audit)
    attributes = all_attributes(stored.interface, {}, None)
    with publish(path, "audit", provenance, attributes, force=force) as writer:
        writer.write_file(AUDIT_NAME, canonical_file(record_to_json(stored.audit)))


@of_one_moment
def read_audit(path: Path, *, check: Check = "small") -> tuple[StoredAudit, Artifact]:
    """Read an audit.

    Raises:
        NnitError: as ``open_artifact``, or parts that contradict each other.
    """
    artifact = open_artifact(path, "audit", check=check)
    interface = interface_of(artifact)
    audit = read_record(artifact, AUDIT_NAME, Audit)
    with damage_of(artifact.path / AUDIT_NAME):
        _check(audit)
    return StoredAudit(audit, interface), artifact


def _check(audit: Audit) -> None:
    """Make sure that shapes and groups follow from the samples, as far as counts and losses go."""
    if [sample.sample_index for sample in audit.samples] != list(range(len(audit.samples))):
        raise ValueError("samples: not numbered from 0")
    shapes = [shape.hidden_dims for shape in audit.shapes]
    if shapes != list(dict.fromkeys(sample.hidden_dims for sample in audit.samples)):
        raise ValueError("shapes: not those of the samples")
    for shape in audit.shapes:
        losses = [s.loss for s in audit.samples if s.hidden_dims == shape.hidden_dims]
        mean = sum(losses) / len(losses)
        if shape.samples != len(losses) or not math.isclose(shape.loss_mean, mean, rel_tol=1e-6):
            raise ValueError(f"shapes: {list(shape.hidden_dims)} does not follow from its samples")
    kinds = {shape.kind for shape in audit.shapes}
    if {group.group for group in audit.groups} != {*kinds, EVERY} or len(audit.groups) != len(
        kinds
    ) + 1:
        raise ValueError("groups: not those of the shapes")
    for group in audit.groups:
        members = [sample for sample in audit.samples if group.group in (EVERY, sample.kind)]
        alarmed = sum(bool(sample.alarms) for sample in members)
        if (group.samples, group.alarmed) != (len(members), alarmed):
            raise ValueError(f"groups: {group.group} does not follow from its samples")
