"""A user's own task, as docs/tasks.md shows it: its file and its commands, followed literally."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nnit.artifacts.rollouts import read_rollouts
from nnit.errors import MissingArtifactError, UsageError
from nnit.tasks.registry import find_task, get_task, load_task
from nnit.tasks.task import TaskRef

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "tasks.md").read_text()


def block(name: str) -> str:
    """Return the code between two markers of the page."""
    (found,) = re.findall(rf"<!-- {name} -->\n```\w+\n(.*?)```\n<!-- /{name} -->", PAGE, re.DOTALL)
    return found


@pytest.fixture
def reach(tmp_path) -> Path:
    """The page's file."""
    path = tmp_path / "reach.py"
    path.write_text(block(re.escape("reach.py")))
    return path


def test_the_page_is_followed_literally(reach):
    """Its commands, in a shell, end with networks that do the new task."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
    }
    done = subprocess.run(
        ["bash", "-e", "-c", block("commands")],
        cwd=reach.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    rollouts, artifact = read_rollouts(reach.parent / "reach" / "rollouts")
    assert rollouts.interface.task == "Reach"
    assert "task file" in artifact.manifest.parents
    success = {one.source: one.success_once for one in rollouts.evaluations}
    assert success["sample"] >= 0.9
    assert success["cloned"] >= 0.9


def test_a_file_that_is_no_task_is_one_line(tmp_path):
    """Not there, failing, or without TASK."""
    failing, empty = tmp_path / "failing.py", tmp_path / "empty.py"
    failing.write_text("import no_such_module")
    empty.write_text("TASK = 3")
    with pytest.raises(MissingArtifactError, match="no such file"):
        load_task(str(tmp_path / "none.py"))
    with pytest.raises(UsageError, match="ModuleNotFoundError"):
        load_task(str(failing))
    with pytest.raises(UsageError, match="defines no TASK"):
        load_task(str(empty))


def test_the_task_of_an_artifact_is_found(reach):
    """By the file that defines it, by its id, and not by the file of another task."""
    ref = TaskRef(str(reach), typed=True)
    assert find_task("Reach", ref) == ref
    assert find_task("PushCube-v1", ref) == TaskRef("PushCube-v1")
    with pytest.raises(UsageError, match=r"give the file that defines it"):
        find_task("Reach", TaskRef("PushCube-v1"))
    assert get_task(ref).act_dim == 2
