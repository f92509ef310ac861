"""``nnit push``: put a network into a repository of a model hub.

Reads:   a folder that ``nnit export --hf`` wrote
Writes:  a commit of a repository
"""

from dataclasses import dataclass
from pathlib import Path

from nnit.artifacts.hub_folder import parse_hub_files, read_hub_folder
from nnit.errors import MissingArtifactError
from nnit.export.hub import push_files
from nnit.mlp import format_architecture


@dataclass(frozen=True)
class Summary:
    """Where the network is now."""

    repo: str
    revision: str  # the commit, to pull exactly this
    url: str
    digest: str  # of what `nnit pull` gets to check


def run(folder: Path, repo: str, *, private: bool = False) -> Summary:
    """Check a network's folder as one that was pulled, and push exactly what was checked.

    Raises:
        MissingArtifactError: it is no such folder.
        DamagedArtifactError: files that are not those that were written.
        NnitError: no name of a repository, or a hub that can't be reached or refuses.
    """
    try:
        files = read_hub_folder(folder)
    except MissingArtifactError as error:
        raise MissingArtifactError(f"{error}; make it with `nnit export --hf`") from None
    sample, interface, manifest = parse_hub_files(files, str(folder))
    message = f"{interface.task}, {format_architecture(sample.network.hidden_dims)}"
    pushed = push_files(repo, files, message, private=private)
    return Summary(**pushed._asdict(), digest=manifest.digest)
