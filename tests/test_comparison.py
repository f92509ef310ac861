"""The pipeline of the comparison, its parameter files and the commands agree with each other."""

import json
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from benchmarks import comparison, timed
from benchmarks.architectures import BOUNDS
from benchmarks.results_page import TASKS
from benchmarks.targets import PIPELINE
from nnit_cli.app import EVALUATION
from nnit_cli.app import PIPELINE as COMMANDS
from stages.params import Params
from stages.params_file import load_params

FOLDER = comparison.DVC_FILE.parent
STAGES = YAML(typ="safe", pure=True).load(comparison.DVC_FILE)["stages"]

pytestmark = pytest.mark.seconds


def test_the_file_is_what_the_module_writes(tmp_path):
    """Otherwise code has moved: run `python -m benchmarks.comparison` again."""
    comparison.write(tmp_path / "dvc.yaml")
    assert (tmp_path / "dvc.yaml").read_text() == comparison.DVC_FILE.read_text()


@pytest.mark.parametrize("task", comparison.TASKS)
def test_parameters_of_a_task(task):
    """Each is valid, of its task, holds out the same shapes, and says every key to DVC."""
    path = FOLDER / "params" / f"{task}.yaml"
    written = YAML(typ="safe", pure=True).load(path)
    params = load_params(path)
    assert params.task == task
    assert params.architectures == Params().architectures
    assert params.zoo_export.repeated == Params().zoo_export.repeated
    for key in {key for keys in comparison.SECTIONS.values() for key in keys}:
        value = written
        for part in key.split("."):
            value = value[part]
    for name in {key.split(".")[0] for keys in comparison.SECTIONS.values() for key in keys}:
        if isinstance(written[name], dict):  # a default that changed would go unnoticed
            assert written[name].keys() == getattr(params, name).model_dump().keys()


@pytest.mark.parametrize("name", comparison.PARTS)
def test_a_part_runs_a_command_on_what_was_made_before(name):
    """Inputs are outputs of earlier parts; nothing is made twice."""
    names = list(comparison.PARTS)
    part = comparison.PARTS[name]
    assert part.command in {*COMMANDS, *EVALUATION}
    before = {comparison.PARTS[n].out for n in names[: names.index(name)]}
    before |= {out.replace("${item.seed}", "0") for out in before}
    assert set(part.inputs) <= before
    assert [p.out for p in comparison.PARTS.values()].count(part.out) == 1


def test_architectures_are_asked_for_within_the_bounds_they_are_held_against():
    """The words of the parts say what ``benchmarks.architectures`` checks."""
    words = {name: comparison.PARTS[name].words.split() for name in BOUNDS}
    for name, bounds in BOUNDS.items():
        for flag, value in (("--max-params", bounds.max_params), ("--depth", bounds.depth)):
            given = words[name][words[name].index(flag) + 1] if flag in words[name] else None
            assert given == (None if value is None else str(value))


def test_what_is_collected_is_made():
    """The last stage reads rollouts and reports of parts, for every seed."""
    made = {part.out for part in comparison.PARTS.values()}
    made |= {out.replace("${item.seed}", str(seed)) for out in made for seed in comparison.SEEDS}
    read = {dep for dep in STAGES["collect"]["deps"] if dep.startswith(comparison.AT)}
    assert read <= made
    assert tuple(comparison.TASKS) == TASKS


def test_the_seconds_of_the_pipeline_are_those_of_its_parts():
    """The target adds up files that the comparison writes."""
    files = {Path(path).stem for s in STAGES.values() for m in s["metrics"] for path in m}
    assert set(PIPELINE) <= {name.replace("${item.seed}", "0") for name in files}


def test_a_command_is_timed_and_its_failure_passed_on(tmp_path):
    """Seconds are written of what succeeds; the exit code is the command's."""
    out = tmp_path / "seconds" / "x.json"
    assert timed.main([str(out), sys.executable, "-c", "raise SystemExit(7)"]) == 7
    assert not out.exists()
    assert timed.main([str(out), sys.executable, "-c", "import time; time.sleep(0.2)"]) == 0
    assert 0.2 <= json.loads(out.read_text())["seconds"] < 10


def test_the_seconds_of_an_interrupted_command_add_up(tmp_path):
    """Stopped by a signal's exit code and run again, all parts count, those of others do not."""
    out, flag = tmp_path / "x.json", tmp_path / "flag"
    once = (
        "import pathlib, sys, time; flag = pathlib.Path(sys.argv[1]); done = flag.exists(); "
        "flag.touch(); time.sleep(0 if done else 1); sys.exit(0 if done else 143)"
    )
    command = [sys.executable, "-c", once, str(flag)]
    assert timed.main([str(out), *command]) == 143
    assert not out.exists()
    assert timed.main([str(out), *command]) == 0
    assert json.loads(out.read_text())["seconds"] >= 1
    assert [path.name for path in tmp_path.iterdir() if "interrupted" in path.name] == []
    flag.unlink()
    assert timed.main([str(out), *command]) == 143
    assert timed.main([str(out), sys.executable, "-c", "pass"]) == 0
    assert json.loads(out.read_text())["seconds"] < 1
