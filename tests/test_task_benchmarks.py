"""The commands behind the figures of further tasks run, and do nothing twice."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learning_examples import INTERFACE

from benchmarks import together
from benchmarks.tasks import PROFILE as TASKS_PROFILE
from benchmarks.tasks import commands, recipe_of, run_missing
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.samples import Sample, SampleSet, write_samples
from nnit.mlp import Network
from stages.params_file import load_params

PROFILE = """
architectures:
  widths_max: 24
  depth_max: 2
  held_out_widths: [20]
  held_out: {unseen_combo: [[24, 16]], unseen_width: [[20]], wider: [[32]], deeper: [[16, 16, 16]]}
ghn_train: {steps: 4}
diffuse_train: {steps: 4, width: 16, depth: 1, heads: 2}
ppo: {iterations: 2, architectures: 2, steps: 32}
zoo_export:
  {repeated: [[16]], repeats: 1, networks: 3, branches: 1, branch_steps: 2, fine_tune_steps: 2}
rollout: {episodes: 3, clone_steps: 10}
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


def test_a_task_is_made_part_by_part(tmp_path, repository, monkeypatch):
    """Up to a part first; then the rest, with all sources in the same episodes.

    What was made from other demonstrations than those that are there is not taken.
    """
    run("tasks", tmp_path, repository, "digits", "--until", "demos")
    folder = tmp_path / "build" / "tasks" / "digits"
    made = json.loads((folder / "seconds.json").read_text())
    assert list(made) == ["demos"]
    assert not (tmp_path / "results").exists()
    run("tasks", tmp_path, repository, "digits")
    found = json.loads((tmp_path / "results" / "tasks" / "digits.json").read_text())
    assert {name: one["shapes"] for name, one in found["sources"].items()} == {
        "sample": 2,
        "ghn": 2,
        "cloned": 2,
    }
    assert found["generator"]["inputs"] == ["tokens"]  # it has classes
    assert found["generator"]["steps"] == 4
    assert found["seconds"]["demos"] == made["demos"]
    assert list(found["seconds"])[-2:] == ["rollouts", "baselines"]
    monkeypatch.chdir(tmp_path)
    folder, profile = Path("build/tasks/digits"), Path("small.yaml")
    parts = commands("digits", None, folder, load_params(profile))
    assert run_missing(parts, folder, profile) == found["seconds"]
    recipes = json.loads((folder / "made.json").read_text())
    recipes["ghn"]["inputs"][str(folder / "demos")] = "another"
    (folder / "made.json").write_text(json.dumps(recipes))
    with pytest.raises(ValueError, match="ghn: was made in another way: inputs was"):
        run_missing(parts, folder, profile)


def test_a_task_is_added_to_a_common_generator():
    """From its zoo alone; all are asked again, and the new one alone is run."""
    recipe = together.Recipe(("digits", "gym:CartPole-v1"), 100, ("PullCube-v1",), 50)
    parts = together.commands(recipe, load_params(TASKS_PROFILE))
    first, second = parts["generator"], parts["generator-added"]
    assert [first.count("--demos"), second.count("--demos")] == [2, 1]
    assert parts["tokens-added"] == ["tokenize", str(together.ARTIFACTS / "PullCube-v1" / "zoo")]
    assert second[second.index("--from") + 1] == str(together.FOLDER / "generator")
    assert second[second.index("--steps") + 1] == "50"
    assert "--from" not in first
    kinds = {"samples-added": 3, "rollouts": 2, "rollouts-added": 1}
    for kind, count in kinds.items():
        assert sum(name.endswith(f"/{kind}") for name in parts) == count
    assert "PullCube-v1/rollouts-added" in parts
    assert together.command_of(recipe, Path("profiles/other.yaml")) == (
        "python -m benchmarks.together digits gym:CartPole-v1 --steps 100 "
        "--add PullCube-v1 --added-steps 50 --profile profiles/other.yaml"
    )


def write_network(path: Path, weights: np.ndarray) -> None:
    """Write a sample of one shape."""
    sample = Sample(Network((4,), weights), 0, 0)
    write_samples(path, SampleSet((sample,), INTERFACE), Provenance("test", {}, 0))


def test_a_known_task_that_changed_is_refused(tmp_path, monkeypatch):
    """One bit of one weight is enough."""
    monkeypatch.setattr(together, "FOLDER", tmp_path)
    weights = np.ones(INTERFACE.spec((4,)).num_parameters, np.float32)
    changed = weights.copy()
    changed[-1] = np.nextafter(changed[-1], np.float32(2))
    for task, after in {"same": weights, "other": changed}.items():
        write_network(tmp_path / task / "samples", weights)
        write_network(tmp_path / task / "samples-added", after)
    together.refuse_changed("same")
    with pytest.raises(ValueError, match=r"other: \(4,\) changed when others were added"):
        together.refuse_changed("other")


def test_each_task_is_asked_for_the_shapes_of_its_profile(tmp_path, monkeypatch):
    """And run on the examples that it was made of."""
    monkeypatch.setattr(together, "RESULTS", tmp_path)
    monkeypatch.setattr(together, "ARTIFACTS", tmp_path)
    (tmp_path / "mnist.json").write_text(json.dumps({"profile": "profiles/mnist.yaml"}))
    (tmp_path / "mnist").mkdir()
    words = ["demos", "--task", "mnist", "--data", "digits.npz"]
    made_before(tmp_path / "mnist", {"words": words})
    recipe = together.Recipe(("mnist", "PullCube-v1"), 100)
    parts = together.commands(recipe, load_params(Path("params.yaml")))
    assert "48,48,80" in parts["mnist/samples"]
    assert "48,144,48,96" in parts["PullCube-v1/samples"]
    assert parts["mnist/rollouts"][2:-1] == ["--task", "mnist", "--data", "digits.npz"]
    assert parts["PullCube-v1/rollouts"][2:-1] == ["--task", "PullCube-v1"]


def made_before(folder: Path, recipe: dict[str, Any]) -> None:
    """Leave demonstrations, and how they were made."""
    (folder / "demos").mkdir(exist_ok=True)
    (folder / "made.json").write_text(json.dumps({"demos": recipe}))


def test_what_was_made_in_another_way_is_not_taken(tmp_path):
    """The same name with other words is refused, and nothing is run."""
    made_before(tmp_path, recipe_of(["demos", "--task", "x"], load_params(TASKS_PROFILE)))
    with pytest.raises(ValueError, match="was made in another way: words was"):
        run_missing({"demos": ["demos", "--task", "x", "--teacher"]}, tmp_path, TASKS_PROFILE)


def test_only_parameters_that_a_command_reads_make_its_output_another(tmp_path):
    """Demonstrations stay with another number of generator steps, not with other noise."""
    words, params = ["demos", "--task", "x"], load_params(TASKS_PROFILE)
    other = params.diffuse_train.model_copy(update={"steps": 7})
    made_before(tmp_path, recipe_of(words, params.model_copy(update={"diffuse_train": other})))
    assert run_missing({"demos": words}, tmp_path, TASKS_PROFILE) == {}
    noisier = params.demos.model_copy(update={"noise": 7.0})
    made_before(tmp_path, recipe_of(words, params.model_copy(update={"demos": noisier})))
    with pytest.raises(ValueError, match=r"demos.noise was 7.0, is None"):
        run_missing({"demos": words}, tmp_path, TASKS_PROFILE)
