"""``nnit pull``: get a network out of a repository of a model hub.

Reads:   a repository that ``nnit push`` wrote
Writes:  samples   kind "samples", schema 2: that network alone
"""

from dataclasses import dataclass
from pathlib import Path

from nnit.artifacts.hub_folder import LIMITS, parse_hub_files
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.samples import SampleSet, write_samples
from nnit.export.hub import pull_files
from nnit.mlp import format_architecture


@dataclass(frozen=True)
class Summary:
    """What was pulled."""

    task: str
    architecture: str
    revision: str  # the commit
    digest: str  # of what was checked


def run(repo: str, revision: str, out: Path, *, force: bool = False) -> Summary:
    """Bring a network, check it as any artifact, and write it as samples.

    What is written is what was read and understood, not the files that came: nothing else of the
    repository is taken.

    Raises:
        MissingArtifactError: no such repository or revision, or no network of nnit's in it.
        DamagedArtifactError: not what was pushed.
        NnitError: a hub that can't be reached or refuses; an output that can't be written.
    """
    check_output_free(out, force=force, kind="samples")
    pulled = pull_files(repo, LIMITS, revision)
    sample, interface, manifest = parse_hub_files(pulled.files, repo)
    origin = Provenance(
        "pull",
        {"repo": repo, "revision": pulled.revision},
        manifest.seed,
        {"samples": manifest.digest},
    )
    write_samples(
        out, SampleSet((sample,), interface), origin, versions=manifest.versions, force=force
    )
    shape = format_architecture(sample.network.hidden_dims)
    return Summary(interface.task, shape, pulled.revision, manifest.digest)
