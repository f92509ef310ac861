"""What is said of an artifact, of one network, of a folder, and at the end of a command."""

import shlex
import shutil
from pathlib import Path

import pytest
from tiny_pipeline import COMMANDS

from nnit.artifacts.manifest import KINDS
from nnit.intervals import Level, wilson_interval
from nnit.rollout.metrics import Episode, Evaluation
from nnit_cli.app import load
from nnit_cli.main import main
from stages.inspection import describe, headline, success_line, success_table

ARCHIVES = Path(__file__).parents[1] / "data/archives"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_result_and_a_next_command(kind):
    """One line each; the command is one that its parser takes, on this artifact."""
    path = max(ARCHIVES.glob(f"schema-*/{kind}"))
    found = headline(path)
    assert found.tasks
    assert "\n" not in found.result
    assert str(path) in found.following or kind == "tokens"
    program, name, *words = shlex.split(found.following)
    assert program == "nnit"
    load(name).make_context(name, words)
    if kind not in ("audit", "alignment"):  # whose tables are the result
        assert any(char.isdigit() for char in found.result)


def test_generated_architectures_are_named(pipeline):
    """In the result line, where there are few."""
    assert headline(pipeline / "samples").result == "2 networks of 2 shapes: 16,8  12,8"


def test_shapes_of_parameters_are_told_apart(pipeline):
    """A list of shapes shows where one ends."""
    assert "8,16; 16" in str(describe(pipeline / "zoo").facts["param repeated"])


def test_a_task_and_films_are_facts(pipeline, tmp_path):
    """Of rollouts with films, where they are."""
    assert describe(pipeline / "ghn").facts["task"] == "PushCube-v1"
    assert "films" not in describe(pipeline / "rollouts").facts
    from tiny_pipeline import ORIGIN

    from nnit.artifacts.rollouts import read_rollouts, write_rollouts

    rollouts, _ = read_rollouts(pipeline / "rollouts")
    films = {rollouts.evaluations[0].name: b"film"}
    write_rollouts(tmp_path / "filmed", rollouts, ORIGIN, films=films)
    name = f"{rollouts.evaluations[0].name}.mp4"
    assert describe(tmp_path / "filmed").facts["films"] == f"1 in {tmp_path}/filmed/videos: {name}"


def test_one_network_of_samples(pipeline):
    """By its folder: its shape, its task, and what it is of."""
    found = describe(pipeline / "samples/network-0001")
    assert found.facts["architecture"] == "12,8"
    assert found.facts["artifact"] == str(pipeline / "samples")
    assert found.data["tasks"] == ["PushCube-v1"]


def test_a_folder_lists_its_artifacts(pipeline, tmp_path, capsys):
    """Each with its kind and task; one that can't be read too."""
    for kind in ("demos", "generator"):
        shutil.copytree(pipeline / kind, tmp_path / kind)
    (tmp_path / "generator/model.safetensors").unlink()
    ((_, *rows),) = describe(tmp_path).tables.values()
    assert [row[:3] for row in rows] == [
        ("demos", "demos", "PushCube-v1"),
        ("generator", "can't be read", ""),
    ]
    assert main(["inspect", str(pipeline)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[1] for line in lines[4:]} == {one.kind for one in COMMANDS.values()}


def test_networks_that_faced_different_states_are_pooled():
    """As rollouts before schema 3 may hold them: with the interval of the shortest one's trials."""
    states = [
        Episode(0, seed, seed != 1, success_at_end=True, episode_return=1.0, episode_len=1)
        for seed in range(4)
    ]
    networks = [
        Evaluation("a", "sample", (8,), "wider", tuple(states)),
        Evaluation("b", "sample", (8,), "wider", tuple(states[:2])),
    ]
    level = str(Level(0.625, wilson_interval(0.625, 2)))
    assert success_line(networks) == f"success {level} of 2 networks in 6 episodes"
    assert success_table(networks)[1][-1] == level


def test_a_command_ends_with_what_it_made_and_what_is_next(pipeline, tmp_path, capsys):
    """Path, task, the result in one line, and a command; nothing that was not measured."""
    words = ["tokenize", str(pipeline / "zoo"), "--params", str(pipeline / "params.yaml")]
    assert main([*words, "--out", str(tmp_path / "tokens")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["tokens", str(tmp_path / "tokens")]
    assert lines[1].split() == ["task", "PushCube-v1"]
    assert lines[-2:] == [
        "14 networks of 8 shapes",
        f"next: nnit diffuse-train {tmp_path}/tokens",
    ]
    assert not any("None" in line for line in lines)
