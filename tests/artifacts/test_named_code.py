"""An artifact that names code is refused by every command that reads it, and the code never runs.

The code writes a file when it runs or is imported, which every test looks for.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import artifact_examples
import pytest
from artifact_examples import INTERFACE, write
from learning_examples import worker_settings

from nnit.artifacts.manifest import KINDS
from nnit.errors import NnitError
from nnit.tasks.registry import find_task, get_task
from nnit.tasks.task import TaskRef
from nnit_cli.main import main

MODULE = "named_by_a_file"
NAMES = (
    f"{MODULE}.py",
    f"x@2/{MODULE}.py",
    f"x@{MODULE}.py",
    f"gym:{MODULE}:Env-v0",
    f"gym:{MODULE}.py",
    f"{MODULE}.PY",
    f"x/{MODULE}",
)
READS = {  # kind -> the commands that read it first, where {it} is the artifact
    "demos": [
        "ghn-train {it}",
        "zoo-alone {it}",
        "align-report cnn=zoo --demos {it}",
        "zoo-refine generator --demos {it}",
        "demos --task gym:CartPole-v1 --add-to {it} --teacher samples",
    ],
    "ghn": [
        "zoo-export {it} --demos demos",
        "rollout {it} --arch 4",
        "demos --task gym:CartPole-v1 --teacher {it} --arch 4",
        "demos --task gym:CartPole-v1 --dagger-from {it} --arch 4",
    ],
    "zoo": [
        "tokenize {it}",
        "flat-train {it}",
        "baseline nearest {it} --arch 4",
        "rollout {it}",
        "demos --task gym:CartPole-v1 --teacher {it}",
        "align-report cnn={it} --demos demos",
        "audit samples --zoo {it} --demos demos",
    ],
    "tokens": ["diffuse-train {it}"],
    "generator": ["sample --model {it}", "frontier --model {it}", "zoo-refine {it} --demos demos"],
    "flat": ["flat-sample --model {it} --arch 4"],
    "samples": ["rollout {it}", "audit {it}", "demos --task gym:CartPole-v1 --teacher {it}"],
}
INPUTS = ("demos", "ghn", "zoo", "tokens", "generator", "flat", "samples")

pytestmark = pytest.mark.seconds


@pytest.fixture(autouse=True)
def _as_in_a_worker() -> Iterator[None]:
    """What commands set in torch is undone."""
    with worker_settings():
        yield


@pytest.fixture
def ran(tmp_path, monkeypatch) -> Path:
    """Where the code that may be named leaves its trace; it lies wherever it may be looked for."""
    trace = tmp_path / "ran"
    for name in (*NAMES, f"{MODULE}.py"):
        file = tmp_path / name
        if ":" not in name and file.suffix == ".py":
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"from pathlib import Path\nPath({str(trace)!r}).touch()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return trace


@pytest.fixture
def named(tmp_path, monkeypatch):
    """Write the artifact of a kind that names a task, as who has another nnit might."""

    def write_named(kind: str, task: str) -> Path:
        with monkeypatch.context() as patch:
            patch.setattr("nnit.artifacts.checks.parse_record", lambda *_: None)
            patch.setattr(artifact_examples, "INTERFACE", INTERFACE._replace(task=task))
            write(kind, tmp_path / "it")
        return tmp_path / "it"

    return write_named


@pytest.mark.parametrize("name", NAMES[1::2])
@pytest.mark.parametrize("kind", KINDS)
def test_no_command_runs_what_an_artifact_names(kind, name, ran, named, tmp_path, capsys):
    """Exit code 5 and one line that names the file and the field; a dry run runs nothing either."""
    for other in INPUTS:
        write(other, tmp_path / other)
    it = named(kind, name)
    for command in READS.get(kind, []):
        words = [*command.format(it=it).split(), "--quiet", "--out", str(tmp_path / "out")]
        assert main([*words, "--dry-run"]) != 1, command
        capsys.readouterr()
        refused(words, it, capsys)
    for command in ("inspect {it}", "report {it} --out page.html"):
        refused(command.format(it=it).split(), it, capsys)
    assert main(["verify", str(it)]) == 0  # its bytes are those that were written
    assert not ran.exists()


def refused(words: list[str], it: Path, capsys) -> None:
    """Run a command that must say what the artifact names, and nothing more."""
    assert main(words) == 5, words
    line = capsys.readouterr().err
    assert line.count("\n") == 1, line
    assert line.startswith(f"nnit: {it}")
    assert "task: must be the id of a task" in line


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_nobody_typed_is_never_code(name, ran):
    """Neither a text nor a reference out of an artifact, whatever the user typed beside it."""
    for find in (
        lambda: get_task(name),
        lambda: get_task(TaskRef(name)),
        lambda: find_task(name, TaskRef("PushCube-v1", typed=True)),
    ):
        with pytest.raises(NnitError) as caught:
            find()
        assert "\n" not in str(caught.value)
        assert not ran.exists()


@pytest.mark.parametrize("name", NAMES[:4])
def test_a_name_that_the_user_typed_is(name, ran):
    """The same files and module run, and are no tasks."""
    with pytest.raises(NnitError):
        get_task(TaskRef(name, typed=True))
    assert ran.exists()


def test_one_function_says_that_a_name_was_typed(repository):
    """The one that parameters and flags go through."""
    found = []
    for package in ("nnit", "stages", "nnit_cli", "benchmarks"):
        for path in (repository / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and any(k.arg == "typed" for k in node.keywords):
                    found.append(path.relative_to(repository).as_posix())
    assert sorted(set(found)) == ["stages/params.py", "stages/task_source.py"]
