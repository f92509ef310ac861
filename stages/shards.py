"""Several runs that share out the work for one output, and the run that puts it together."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nnit.artifacts.locking import lock_output
from nnit.artifacts.state import clear_state, shard_counts, shard_output
from nnit.engine import all_shards
from nnit.errors import MissingArtifactError, UsageError
from stages.params import RunOptions


def place_of(out: Path, options: RunOptions) -> Path:
    """Return the output that a run works at: of a shard, what stands for its part."""
    return out if options.shard is None else shard_output(out, options.shard)


def count_shards(out: Path) -> int:
    """Return how many runs have shared out the work for an output.

    Raises:
        MissingArtifactError: there was none.
        UsageError: some were of another number.
    """
    counts = sorted(shard_counts(out))
    if not counts:
        raise MissingArtifactError(f"{out}: no shards of it are here; run some with --shard I/N")
    if len(counts) > 1:
        raise UsageError(
            f"{out}: the work was shared out among {' and '.join(map(str, counts))}; remove the "
            f"shards that are not to be merged, {out}.shard-*-of-N.state"
        )
    return counts[0]


@contextmanager
def working_at(out: Path, options: RunOptions) -> Iterator[None]:
    """Be the only run that works at an output, or at a part of it; remove what was merged.

    Raises:
        ResourceError: another process does, at one of the shards that are merged for instance.
    """
    parts = [shard_output(out, one) for one in all_shards(options.merged)]
    with ExitStack() as locks:
        for path in (place_of(out, options), *parts):
            locks.enter_context(lock_output(path))
        yield
        for part in parts:
            clear_state(part)
