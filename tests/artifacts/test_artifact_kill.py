"""A writing process that is killed at any moment leaves the old artifact, the new one or none."""

import multiprocessing
import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from stepped_writer import PARTS, part, write_in_steps

from nnit.artifacts.reading import open_artifact, verify

# Its children are forks of a process that has everything imported, and so start at once.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["stepped_writer"])


@pytest.fixture(autouse=True)
def _path_of_the_server(monkeypatch):
    """Python 3.11's fork server does not look for what it preloads where this process does."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)


@pytest.mark.slow
@pytest.mark.parametrize("existing", [False, True])
def test_kill_at_any_moment_never_leaves_half_an_artifact(existing, tmp_path):
    """SIGKILL at 9 moments over the whole write: old, new or nothing, and a rerun succeeds."""
    out, keep = tmp_path / "zoo", tmp_path / "old"
    write_version(keep, 1)
    if existing:
        shutil.copytree(keep, out)
    steps = write_version(out, 2)
    renames = [k for k, name in enumerate(steps) if name == "_rename"]
    assert len(renames) == 2  # before and after the one rename
    chooser = np.random.default_rng(int(existing))
    near = [renames[0] - 1, renames[0], *renames, renames[1], renames[1] + 1, len(steps) - 1]
    moments = [*chooser.choice(renames[0], 2, replace=False).tolist(), *near]
    seen = set()
    for moment in moments:
        if moment in near:  # without remains to clear away, steps count as in the first run
            for remains in tmp_path.glob(".zoo.tmp-*"):
                shutil.rmtree(remains)
        shutil.rmtree(out, ignore_errors=True)
        if existing:
            shutil.copytree(keep, out)
        write_version(out, 2, kill_after=moment + 1, pause_s=chooser.uniform(0, 0.002))
        seen.add(whole_version(out))
    assert len(moments) == 9
    assert seen == ({1, 2} if existing else {None, 2})
    write_version(out, 3)
    assert whole_version(out) == 3
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["old", "zoo"]


def write_version(
    out: Path, version: int, kill_after: int | None = None, pause_s: float = 0.0
) -> list[str]:
    """Write a version in another process, which may be killed after some of its steps."""
    here, there = PROCESSES.Pipe(duplex=False)
    writer = PROCESSES.Process(target=write_in_steps, args=(out, version, there))
    writer.start()
    there.close()
    steps = []
    with here, suppress(EOFError):
        while len(steps) != kill_after:
            steps.append(here.recv())
        time.sleep(pause_s)
        writer.kill()
    writer.join()
    assert writer.exitcode in ((0,) if kill_after is None else (0, -signal.SIGKILL))
    return steps


def whole_version(out: Path) -> int | None:
    """Return which version is there, None for none; fail if it is not whole."""
    if not out.exists():
        return None
    assert verify(out) == []
    version = open_artifact(out, "zoo", check="all").manifest.attributes["version"]
    for k in range(PARTS):
        assert (out / f"part{k}").read_bytes() == part(version)
    return version
