"""A writing process that is killed at any moment leaves the old artifact, the new one or none."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nnit.artifacts.reading import open_artifact, verify

HERE = Path(__file__).parent


STEPPED_WRITER = """
import os, sys, time
from pathlib import Path
import numpy as np
from artifact_examples import provenance
from nnit.artifacts import durable, publish
from nnit.artifacts.arrays import write_arrays

def step(name):
    print(name, flush=True)
    time.sleep(0.001)

def stepped(function):
    def call(*arguments, **options):
        step(function.__name__)
        result = function(*arguments, **options)
        step(function.__name__)
        return result
    return call

for name in ("fsync", "mkdir", "rename", "replace", "unlink", "rmdir", "chmod"):
    setattr(os, name, stepped(getattr(os, name)))
durable._rename = stepped(durable._rename)
path, version = Path(sys.argv[1]), int(sys.argv[2])
with publish.publish(path, "zoo", provenance(), {"version": version}, force=True) as writer:
    for k in range(10):
        writer.write_file(f"part{k}", bytes([version]) * 1000)
        step("part")
    write_arrays(writer, {"x": np.full((50, 3), version, np.float32)})
step("end")
"""


@pytest.mark.slow
@pytest.mark.parametrize("existing", [False, True])
def test_kill_at_any_moment_never_leaves_half_an_artifact(existing, tmp_path):
    """SIGKILL at 20 moments over the whole write: old, new or nothing, and a rerun succeeds."""
    out, keep = tmp_path / "zoo", tmp_path / "old"
    write_version(keep, 1)
    if existing:
        shutil.copytree(keep, out)
    steps = write_version(out, 2)
    renames = [k for k, name in enumerate(steps) if name == "_rename"]
    assert len(renames) == 2  # before and after the one rename
    chooser = np.random.default_rng(int(existing))
    near = [renames[0] - 1, renames[0], *renames, renames[1], renames[1] + 1, len(steps) - 1]
    moments = [*chooser.choice(renames[0], 13, replace=False).tolist(), *near]
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
    assert len(moments) == 20
    assert seen == ({1, 2} if existing else {None, 2})
    write_version(out, 3)
    assert whole_version(out) == 3
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["old", "zoo"]


def write_version(
    out: Path, version: int, kill_after: int | None = None, pause_s: float = 0.0
) -> list[str]:
    """Write a version in another process, which may be killed after some of its steps."""
    command = [sys.executable, "-c", STEPPED_WRITER, str(out), str(version)]
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    steps = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as writer:
        assert writer.stdout is not None
        while len(steps) != kill_after and (line := writer.stdout.readline()):
            steps.append(line.strip())
        if kill_after is not None:
            time.sleep(pause_s)
            writer.kill()
    assert writer.returncode in ((0,) if kill_after is None else (0, -signal.SIGKILL))
    return steps


def whole_version(out: Path) -> int | None:
    """Return which version is there, None for none; fail if it is not whole."""
    if not out.exists():
        return None
    assert verify(out) == []
    version = open_artifact(out, "zoo", check="all").manifest.attributes["version"]
    for k in range(10):
        assert (out / f"part{k}").read_bytes() == bytes([version]) * 1000
    return version
