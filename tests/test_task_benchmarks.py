"""The commands behind the figures of further tasks run, and do nothing twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROFILE = """
architectures:
  widths_max: 24
  depth_max: 2
  held_out_widths: [20]
  held_out: {unseen_combo: [[24, 16]], unseen_width: [[20]], wider: [[32]], deeper: [[16, 16, 16]]}
ppo: {iterations: 2, architectures: 2, steps: 32}
zoo_export: {repeated: [[16]]}
rollout: {episodes: 3}
"""

pytestmark = pytest.mark.slow


def run(module: str, folder: Path, repository: Path, *words: str) -> str:
    """Run a benchmark with the small profile; returns what it printed."""
    (folder / "small.yaml").write_text(PROFILE)
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *words, "--profile", "small.yaml"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_reinforcement_learning_keeps_its_curve(tmp_path, repository):
    """Trained shapes and held-out ones are told apart; a second run changes nothing."""
    run("reinforcement", tmp_path, repository, "gym:CartPole-v1")
    file = tmp_path / "results" / "reinforcement" / "gym-CartPole-v1.json"
    first = json.loads(file.read_text())
    counts = {name: one["shapes"] for name, one in first["shapes"].items()}
    assert counts == {"trained": 1, "held_out": 2, "all": 3}
    assert all(one["return_mean"] > 0 for one in first["shapes"].values())
    assert [step for step, _ in first["curve"]] == [1, 2]
    run("reinforcement", tmp_path, repository, "gym:CartPole-v1")
    assert json.loads(file.read_text()) == first
