"""A repository of the Hugging Face Hub, or of a server like it: files up, files down.

Nothing of a repository is run or imported. Who may write is the library's own matter: it finds what
`hf auth login` or ``HF_TOKEN`` says.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nnit.errors import (
    DamagedArtifactError,
    MissingArtifactError,
    NnitError,
    ResourceError,
    UsageError,
)
from nnit.opening import read_bounded

if TYPE_CHECKING:
    from huggingface_hub import HfApi

MAIN = "main"
_ADVICE = "it is not a network that `nnit push` put there"
_NEEDS = "the package huggingface_hub is not installed, or too old; pip install 'nnit[hub]'"


class Pushed(NamedTuple):
    """Where files went."""

    repo: str  # OWNER/NAME
    revision: str  # the commit
    url: str


class Pulled(NamedTuple):
    """Files of one commit."""

    files: Mapping[str, bytes]
    revision: str  # the commit


def push_files(
    repo: str, files: Mapping[str, bytes], message: str, *, private: bool = False
) -> Pushed:
    """Put files into a repository, which is made if it isn't there, in one commit.

    Args:
        repo: ``OWNER/NAME``.
        files: Name -> content; what else is in the repository stays.
        message: Of the commit.
        private: Of a new repository: for its owner alone.

    Raises:
        UsageError: no name of a repository, or a card whose front matter the hub does not take.
        ResourceError: the hub can't be reached, or refuses.
    """
    with _hub(repo) as api:
        from huggingface_hub import CommitOperationAdd

        full = repo
        # Asked first: `exist_ok`, refused, knows the endpoint of the import alone.
        if not api.repo_exists(repo):
            # None leaves it to what the owner has said of new repositories.
            full = api.create_repo(repo, private=private or None, exist_ok=True).repo_id
        added = [CommitOperationAdd(name, data) for name, data in files.items()]
        commit = api.create_commit(full, added, commit_message=message)
    return Pushed(full, commit.oid, f"{api.endpoint}/{full}")


def pull_files(repo: str, limits: Mapping[str, int], revision: str = MAIN) -> Pulled:
    """Bring files of a repository, all of one commit.

    Args:
        repo: ``OWNER/NAME``.
        limits: Name -> the most bytes that the file may have.
        revision: A branch, a tag or a commit.

    Raises:
        UsageError: no name of a repository.
        MissingArtifactError: no such repository, revision or file.
        DamagedArtifactError: a file is larger than its limit.
        ResourceError: the hub can't be reached, or refuses.
    """
    with _hub(repo) as api, tempfile.TemporaryDirectory() as cache:
        info = api.model_info(repo, revision=revision, files_metadata=True)
        sizes = {one.rfilename: one.size or 0 for one in info.siblings or ()}
        if info.sha is None or limits.keys() - sizes.keys():
            missing = sorted(limits.keys() - sizes.keys())
            raise MissingArtifactError(f"{repo}: has no {' and no '.join(missing)}; {_ADVICE}")
        for name, limit in limits.items():
            if sizes[name] > limit:
                raise DamagedArtifactError(f"{repo}/{name}: larger than {limit} bytes")
        files = {}
        for name, limit in limits.items():
            file = api.hf_hub_download(repo, name, revision=info.sha, cache_dir=cache)
            files[name] = read_bounded(Path(file), limit)
    return Pulled(files, info.sha)


@contextmanager
def _hub(repo: str) -> "Iterator[HfApi]":
    """Yield the hub's client; errors of a network and of the hub become one line."""
    try:
        import httpx2
        from huggingface_hub import HfApi, errors
        from huggingface_hub.utils import disable_progress_bars
    except ImportError:
        raise UsageError(_NEEDS) from None
    unreachable = errors.OfflineModeIsEnabled, errors.FileMetadataError, errors.EntryNotFoundError
    disable_progress_bars()
    # The library reads the variable once, when it is imported, and not in all places the same.
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="nnit")
    try:
        yield api
    except NnitError:
        raise
    except errors.HFValidationError:
        raise UsageError(f"{repo}: no name of a repository; give OWNER/NAME") from None
    except errors.RevisionNotFoundError:
        raise MissingArtifactError(f"{repo}: has no such revision at {api.endpoint}") from None
    except errors.RepositoryNotFoundError:
        raise MissingArtifactError(
            f"{repo}: no such repository at {api.endpoint}, or not for you (`hf auth login`)"
        ) from None
    except errors.HfHubHTTPError as error:
        raise ResourceError(
            f"{repo}: {api.endpoint} answers {error.response.status_code}; `hf auth whoami` says "
            "who you are there"
        ) from None
    except ValueError as error:  # of a card that somebody has edited
        raise UsageError(f"{repo}: {' '.join(str(error).split())}") from None
    except (httpx2.HTTPError, *unreachable) as error:
        raise ResourceError(
            f"{repo}: {api.endpoint} can't be reached ({type(error).__name__})"
        ) from None
