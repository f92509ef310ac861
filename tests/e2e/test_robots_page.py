"""docs/robots.md, followed literally: from a recording to a file for the robot, no simulator."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from recording_examples import record, write_lerobot, write_npz

from nnit.artifacts.demos import read_demos
from nnit.artifacts.rollouts import read_rollouts
from nnit.artifacts.samples import read_samples
from nnit.export.c_compiler import has_compiler
from nnit.export.onnx_graph import onnx_answers
from nnit.tasks.registry import process_simulation
from nnit.tasks.task import TaskRef
from nnit_cli.main import main

PAGE = (Path(__file__).parents[2] / "docs/robots.md").read_text()
BEFORE = PAGE[: PAGE.index("## When there is a simulator")]
SIMULATOR = PAGE[len(BEFORE) :]


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def follow(page: str) -> None:
    """Run every command of nnit in a part of the page."""
    lines = re.findall(r"^\$ nnit (.*)$", "".join(blocks(page, "console")), re.MULTILINE)
    assert lines
    for line in lines:
        assert main([*shlex.split(line, comments=True)]) == 0, line


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where the page was followed, up to the simulator."""
    path = tmp_path_factory.mktemp("robot")
    recording = record()
    write_lerobot(path / "my_dataset", recording, "v3.0")
    write_npz(path / "recording.npz", recording)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        follow(BEFORE)
    return path


@pytest.fixture
def inside(folder, monkeypatch) -> Path:
    """The same, as the working directory."""
    monkeypatch.chdir(folder)
    return folder


def errors(capsys, *words: str) -> dict:
    """Return what ``nnit action-error --json`` says."""
    capsys.readouterr()
    assert main(["action-error", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_networks_are_nearer_to_the_robot_than_its_mean_action(inside, capsys):
    """Generated and cloned ones, in episodes that none of them saw; a zoo is measured as well."""
    found = errors(capsys, "arm/samples", "arm/held-out", "--also", "alone=arm/cloned")
    assert found["episodes"] == 10
    assert [one["source"] for one in found["networks"]] == ["sample"] * 2 + ["alone"] * 2
    for one in found["networks"]:
        assert one["error"]["mean_square"] < 0.5 * found["mean_action"]["mean_square"]
    zoo = errors(capsys, "arm/zoo", "arm/held-out", "--arch", "64,64")["networks"]
    assert {(one["source"], *one["architecture"]) for one in zoo} == {("zoo", 64, 64)}
    assert main(["action-error", "arm/samples", "arm/held-out"]) == 0
    assert "number of the action  generated  mean action" in capsys.readouterr().out


@pytest.mark.slow
def test_errors_are_those_of_the_file_that_the_robot_runs(inside, capsys):
    """In its units: an exported network on the recording itself, compared by hand."""
    recording = record()
    start = recording.episode_ends[39]
    answers = onnx_answers(
        Path("arm/exports/network-0000.onnx").read_bytes(), recording.observations[start:]
    )
    apart = answers.outputs - recording.actions[start:]
    expected = np.sqrt((apart.astype(np.float64) ** 2).mean(axis=0))
    (one, *_) = errors(capsys, "arm/samples", "arm/held-out")["networks"]
    np.testing.assert_allclose(one["error"]["root_mean_square"], expected, rtol=1e-3)
    bounds = read_samples(Path("arm/samples"))[0].interface.recorded
    assert bounds.control_freq == 30
    wild = onnx_answers(
        Path("arm/exports/network-0000.onnx").read_bytes(), 1e6 * np.eye(4, dtype=np.float32)
    )
    assert (wild.outputs >= np.array(bounds.action_low) - 1e-3).all()
    assert (wild.outputs <= np.array(bounds.action_high) + 1e-3).all()


@pytest.mark.slow
def test_what_was_trained_on_is_refused(inside, capsys):
    """The demonstrations themselves, and others that share an episode."""
    assert main(["action-error", "arm/samples", "arm/demos"]) == 3
    words = ["--recording", "my_dataset", "--task", "my-arm", "--take", "39:", "--out", "shared"]
    assert main(["demos", *words, "--force", "-q"]) == 0
    capsys.readouterr()
    assert main(["action-error", "arm/samples", "shared", "--trained-on", "arm/demos"]) == 3
    said = capsys.readouterr().err
    assert "the episode of reset seed 10039 is one of arm/demos too" in said
    assert said.count("\n") == 1


@pytest.mark.slow
def test_a_rollout_says_what_to_do(inside, capsys):
    """In one line: there is no simulator, but there is another measure."""
    capsys.readouterr()
    assert main(["rollout", "arm/samples", "--quiet"]) == 2
    said = capsys.readouterr().err
    assert "my-arm was recorded on a robot, and has no simulator" in said
    assert "nnit action-error" in said
    assert said.count("\n") == 1


@pytest.mark.slow
def test_the_files_run_where_the_page_says(inside):
    """Its Python and its C."""
    python, c = blocks(BEFORE, "python"), blocks(BEFORE, "c")
    for block in python:
        names: dict = {}
        exec(block, names)
        assert names["action"].shape == (1, 2)
    if has_compiler():
        Path("arm/exports/main.c").write_text(c[0])
        flags = ["-std=c99", "-Wall", "-Wextra", "-Werror"]
        subprocess.run(["cc", *flags, "main.c"], cwd="arm/exports", check=True)
        subprocess.run(["./a.out"], cwd="arm/exports", check=True)


@pytest.mark.slow
def test_a_simulator_makes_rollouts_possible(inside):
    """The page's file, and its command; what the recorded robot did, succeeds in it."""
    (task,) = blocks(SIMULATOR, "python")
    Path("my_arm.py").write_text(task)
    follow(SIMULATOR)
    rollouts, _ = read_rollouts(Path("arm/rollouts"))
    assert {one.source for one in rollouts.evaluations} == {"sample"}
    assert all(one.loss < 0.2 for one in rollouts.evaluations)
    arm, robot = process_simulation(TaskRef("my_arm.py", typed=True)), rollouts.interface.recorded
    seen = arm.reset(0)
    for _ in range(rollouts.interface.horizon):
        place, goal = np.split(seen, 2)
        target = place + np.clip(goal - place, -20, 20)
        seen, success, *_ = arm.step(robot.from_units(target))
    assert success


@pytest.mark.slow
def test_what_is_learnt_from_networks_keeps_the_robots_units(inside, capsys):
    """In the page's simulator; what comes from recordings with other bounds is not put together."""
    (task,) = blocks(SIMULATOR, "python")
    Path("my_arm.py").write_text(task)
    words = ["demos", "--task", "./my_arm.py", "--teacher", "arm/samples", "--episodes", "2", "-q"]
    assert main([*words, "--add-to", "arm/demos", "--out", "more"]) == 0
    more, before = (read_demos(Path(name))[0] for name in ("more", "arm/demos"))
    assert len(more.episode_ends) == len(before.episode_ends) + 2
    assert more.interface.recorded == before.interface.recorded
    assert abs(more.actions).max() <= 1
    capsys.readouterr()
    assert main([*words, "--add-to", "arm/held-out", "--out", "mixed"]) == 4
    assert "were made from other recordings" in capsys.readouterr().err


@pytest.mark.slow
def test_a_file_gives_the_same_demonstrations(inside):
    """The page's line for a .npz."""
    (line,) = re.findall(r"`nnit (demos --recording recording.npz [^`]*)`", PAGE.replace("\n", " "))
    assert main([*shlex.split(line), "--out", "from-npz", "-q"]) == 0
    assert read_demos(Path("from-npz"))[1].digest == read_demos(Path("arm/demos"))[1].digest
