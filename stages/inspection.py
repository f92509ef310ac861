"""What ``nnit inspect`` says of an artifact: what it is, where it came from, what it holds.

Reads:   any artifact
Writes:  nothing
"""

from dataclasses import dataclass
from pathlib import Path

from nnit.artifacts.manifest import Manifest
from nnit.artifacts.reading import open_artifact

SHORT_DIGEST = 12  # characters
Row = tuple[str, ...]


@dataclass(frozen=True)
class Description:
    """An artifact in words and numbers."""

    facts: dict[str, object]
    table: list[Row]  # the first row is the head; empty where the kind has none

    def records(self) -> list[dict[str, str]]:
        """Return the table as one mapping a row."""
        if not self.table:
            return []
        head, *rows = self.table
        return [dict(zip(head, row, strict=True)) for row in rows]


def describe(path: Path) -> Description:
    """Open an artifact and describe it.

    Raises:
        NnitError: there is none, or it is damaged (see ``open_artifact``).
    """
    artifact = open_artifact(path)
    return Description(manifest_facts(artifact.manifest), table=[])


def manifest_facts(manifest: Manifest) -> dict[str, object]:
    """Return what the manifest says, one fact an entry."""
    facts: dict[str, object] = {
        "kind": f"{manifest.kind}, schema {manifest.schema}",
        "digest": manifest.digest,
        "made by": f"nnit {manifest.stage} {manifest.nnit_version}, seed {manifest.seed}",
        "size": f"{manifest.num_bytes / 2**20:.2f} MiB in {len(manifest.files) + 1} files",
    }
    for name, digest in manifest.parents.items():
        facts[f"from {name}"] = digest[:SHORT_DIGEST]
    for name, value in manifest.params.items():
        facts[f"param {name}"] = value
    for name, spec in manifest.arrays.items():
        facts[f"array {name}"] = f"{spec.dtype} {tuple(spec.shape)}"
    for name, version in manifest.versions.items():
        facts[f"version {name}"] = version
    return facts
