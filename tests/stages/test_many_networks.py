"""What policies add to the simulator's own time is measured on the same episodes."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def test_replayed_episodes_are_those_that_were_evaluated(tmp_path, repository, pipeline):
    """Else the command fails; the ratio is of two times that were measured."""
    out = tmp_path / "many.json"
    words = [str(pipeline / "samples"), str(out), "--episodes", "1", "--repeats", "1"]
    subprocess.run(
        [sys.executable, "-m", "benchmarks.many_networks", *words], cwd=repository, check=True
    )
    found = json.loads(out.read_text())
    assert found["networks"] >= found["shapes"] > 0
    (evaluated,), (replayed,) = found["seconds"]["evaluated"], found["seconds"]["replayed"]
    assert found["ratio"] == evaluated / replayed
