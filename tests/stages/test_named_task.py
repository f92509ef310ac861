"""A task that is named has to be the artifact's, and a dry run says so like a run."""

import shutil
from pathlib import Path

import pytest
from test_bad_input import edit_manifest, fault_of
from tiny_pipeline import PARAMS, PARAMS_NAME, names, write_params

from nnit.artifacts.interface import stored_interfaces
from nnit.errors import WrongKindError
from nnit_cli.main import main
from stages.task_source import require_task

OWN = (
    "from nnit.tasks.task import Task\n"
    "TASK = Task({id!r}, obs_dim=35, act_dim=4, horizon=50, simulate=lambda task: None)\n"
)


@pytest.fixture
def own(tmp_path) -> str:
    """A file of the user's that defines a task."""
    path = tmp_path / "own.py"
    path.write_text(OWN.format(id="Own"))
    return str(path)


def words_of(pipeline: Path, out: Path, command: str, *more: str) -> list[str]:
    """Return a command line on the artifacts of the pipeline."""
    words = [word.format(at=pipeline) for word in command.split()]
    return [*words, "--params", str(pipeline / PARAMS_NAME), "--out", str(out), "--quiet", *more]


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
@pytest.mark.parametrize("networks", ["samples", "zoo", "ghn"])
def test_networks_of_another_task_than_the_one_named(networks, more, pipeline, tmp_path, capsys):
    """Both tasks in one line, and nothing is run."""
    at = pipeline / networks
    arch = ["--arch", "8"] if networks == "ghn" else []
    words = words_of(pipeline, tmp_path / "out", f"rollout {at}", *arch, *more)
    line = fault_of(capsys, [*words, "--task", "PickCube-v1"], 4)
    assert line == f"--task PickCube-v1: {at} is of PushCube-v1"
    assert names(tmp_path) == []


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_networks_of_another_task_than_that_of_a_file(more, own, pipeline, tmp_path, capsys):
    """The line has the file, the task that it defines, and that of the networks."""
    samples = pipeline / "samples"
    words = words_of(pipeline, tmp_path / "out", f"rollout {samples} --task {own}", *more)
    line = fault_of(capsys, words, 4)
    assert line == f"--task {own}: {samples} is of PushCube-v1, not of Own"
    assert names(tmp_path) == ["own.py"]


def test_a_task_that_nobody_knows_has_a_suggestion(pipeline, tmp_path, capsys):
    """As it has where there is no artifact."""
    words = words_of(pipeline, tmp_path / "out", "rollout {at}/samples --task PickCub-v1")
    assert fault_of(capsys, words, 2).startswith(
        "--task PickCub-v1: unknown task; did you mean PickCube-v1? Known tasks: "
    )


@pytest.mark.parametrize("more", [[], ["--task", "PushCube-v1"]])
def test_the_parameter_file_names_no_task_of_networks(more, pipeline, tmp_path):
    """It says what demonstrations are collected of; networks bring their own."""
    params = PARAMS.model_copy(update={"task": "PickCube-v1"})
    write_params(tmp_path / PARAMS_NAME, params)
    words = ["rollout", str(pipeline / "samples"), "--params", str(tmp_path / PARAMS_NAME)]
    assert main([*words, "--out", str(tmp_path / "out"), "--dry-run", *more]) == 0


@pytest.mark.parametrize(
    "command",
    [
        "demos",
        "demos --teacher {at}/samples",
        "demos --dagger-from {at}/samples",
        "ghn-train --objective ppo",
        "rollout {at}/samples",
        "sample --model {at}/generator",
        "frontier --model {at}/generator",
    ],
)
def test_a_dry_run_looks_at_the_file_of_a_task(command, own, pipeline, tmp_path, capsys):
    """One that is not there, and one that defines another task than the artifacts are of."""
    words = words_of(pipeline, tmp_path / "out", command, "--dry-run")
    missing = tmp_path / "nope.py"
    line = fault_of(capsys, [*words, "--task", str(missing)], 4)
    assert line == f"--task {missing}: no such file"
    if "{at}" in command:
        assert main([*words, "--task", own]) in (2, 4)
    assert names(tmp_path) == ["own.py"]


def test_a_dry_run_looks_at_trajectories(tmp_path, capsys):
    """As far as a run would before it writes."""
    for suffix in (".h5", ".json"):
        (tmp_path / f"run{suffix}").write_text("{}")
    words = ["demos", "--trajectories", str(tmp_path / "run.h5"), "--dry-run"]
    words += ["--out", str(tmp_path / "out")]
    assert fault_of(capsys, words, 5).startswith(f"{tmp_path / 'run.json'}: ")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("horizon", 10**7, 50),
        ("act_dim", 5, 4),
        ("control_mode", "pd_joint_pos", "pd_ee_delta_pos"),
    ],
)
def test_networks_that_say_else_of_their_task(name, value, expected, pipeline, tmp_path, capsys):
    """An episode of ten million steps, say, is none of the task's."""
    ghn = tmp_path / "ghn"
    shutil.copytree(pipeline / "ghn", ghn)
    edit_manifest(ghn, lambda fields: fields["attributes"]["interface"].update({name: value}))
    words = words_of(pipeline, tmp_path / "out", f"rollout {ghn} --arch 8", "--dry-run")
    line = fault_of(capsys, words, 4)
    assert line == (
        f"{ghn}: is not of PushCube-v1 as it is here: found {name} {value}, expected {expected}; "
        "make it again with this nnit, or run it with the one that made it"
    )


def test_no_file_is_advised(own, pipeline):
    """What defines a task of somebody's own is for the user to know."""
    from nnit.tasks.registry import get_task
    from stages.task_source import typed_ref

    interface = stored_interfaces(pipeline / "samples")[0]
    task = get_task(typed_ref(own))
    with pytest.raises(WrongKindError, match=r"say which task it is with --task PushCube-v1$"):
        require_task(pipeline / "samples", interface, task)
    mine = interface._replace(task="helper")
    with pytest.raises(WrongKindError, match=r"with the file of your own behind --task$"):
        require_task(pipeline / "samples", mine, task)
