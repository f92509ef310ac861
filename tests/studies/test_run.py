"""The runner: what is missing is made, once, by real commands; nothing is lost by an interrupt."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnit.artifacts.reading import open_artifact
from stages import algorithms
from studies.plan import Part
from studies.run import (
    COUNTED,
    RECIPE,
    beside,
    digest_of,
    is_missing,
    keep,
    make_all,
    note_interrupted,
)

PARAMS = {
    "task": "digits",
    "demos": {"episodes": 40},
    "ghn_train": {"steps": 2, "batch_size": 16},
}

pytestmark = pytest.mark.slow


@pytest.fixture
def params(tmp_path, monkeypatch):
    """A parameter file; outputs go beside it."""
    monkeypatch.chdir(tmp_path)
    path = Path("small.yaml")
    path.write_text(json.dumps(PARAMS))
    return path


def parts_in(params, *, lines=("ghn-train made/demos",), seed=0):
    """Return demonstrations, and what is made of them."""
    demos = Part(Path("made/demos"), ("demos", "--task", "digits"), (), 0, params)
    return [demos] + [
        Part(Path(f"made/{k}"), tuple(words.split()), (demos.out,), seed, params)
        for k, words in enumerate(lines)
    ]


def test_what_is_missing_is_made_once(params, capsys):
    """A second time nothing is; with another seed, or another version, what depends on it is."""
    assert make_all(parts_in(params)) == []
    first = {out: open_artifact(Path(f"made/{out}")).digest for out in ("demos", "0")}
    assert json.loads(Path(f"made/0.{RECIPE}").read_text())["seconds"]["processor"] > 0
    capsys.readouterr()
    assert make_all(parts_in(params)) == []
    assert "made/0: " not in capsys.readouterr().out
    assert make_all(parts_in(params, seed=1)) == []
    assert open_artifact(Path("made/demos")).digest == first["demos"]
    assert open_artifact(Path("made/0")).digest != first["0"]


def test_what_was_made_in_another_way_is_missing(params, monkeypatch):
    """Of other words, parameters, inputs or versions; words of a manifest stale nothing."""
    demos, ghn = parts_in(params)
    assert make_all([demos]) == []
    assert not is_missing(demos)
    assert is_missing(demos._replace(words=(*demos.words, "-n", "30")))
    beside(ghn.out, RECIPE).write_text("{}")
    assert is_missing(ghn)
    monkeypatch.setitem(algorithms.VERSIONS, "demos", 2)
    assert is_missing(demos)
    monkeypatch.setitem(algorithms.VERSIONS, "demos", 1)
    assert not is_missing(demos)
    params.write_text(json.dumps({**PARAMS, "demos": {"episodes": 41}}))
    assert is_missing(demos)


def test_of_a_parameter_file_what_counts_is_what_it_says(params):
    """A comment stales no outcome; how episodes are run does."""
    evaluation = Part(Path("made/x.json"), ("evaluate", "--params", str(params)), (), 0, params)
    before = digest_of(evaluation, [])
    params.write_text(f"# a comment\n{json.dumps(PARAMS)}")
    assert digest_of(evaluation, []) == before
    params.write_text(json.dumps({**PARAMS, "rollout": {"episodes": 7}}))
    assert digest_of(evaluation, []) != before


def test_a_failure_stops_only_what_needs_it(params):
    """The line has the output, the exit code and what the command said."""
    parts = parts_in(params, lines=("ghn-train nowhere", "ghn-train made/demos"))
    needs_failed = Part(Path("made/x"), ("zoo-export", "made/0"), (Path("made/0"),), 0, params)
    (line,) = make_all([*parts, needs_failed])
    assert line.startswith("made/0: exit code 4: ")
    assert "nowhere: no such artifact" in line
    assert Path("made/1").exists()
    assert not Path("made/x").exists()


def test_an_interrupt_reaches_the_commands_and_they_keep_what_they_have(params, repository):
    """A training that is stopped goes on where it was; no process stays behind."""
    code = (
        "from pathlib import Path\nfrom studies.plan import Part\n"
        "from studies.run import make_all\n"
        "p = Path('small.yaml'); d = Path('made/demos')\n"
        "make_all([Part(d, ('demos', '--task', 'digits'), (), 0, p),"
        "Part(Path('made/ghn'), ('ghn-train', 'made/demos'), (d,), 0, p)])"
    )
    long = {**PARAMS, "ghn_train": {"steps": 100_000, "batch_size": 16, "checkpoint_every": 1}}
    params.write_text(json.dumps(long))
    process = subprocess.Popen([sys.executable, "-c", code], env={"PYTHONPATH": str(repository)})
    state, deadline = Path("made/ghn.state"), time.monotonic() + 120
    while not (state.exists() and any(state.rglob("*"))) and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) != 0
    assert any(state.rglob("*"))
    assert not Path("made/ghn").exists()
    noted = json.loads(Path("made/ghn.interrupted.json").read_text())["seconds"]
    assert 0 < noted["processor"] <= noted["wall"] + 1
    still = subprocess.run(
        ["pgrep", "-f", "ghn-train made/demos"], capture_output=True, check=False
    )
    assert still.stdout == b""


def test_what_was_computed_before_an_interrupt_counts(params):
    """Of the same recipe; that of another is forgotten."""
    demos, ghn = parts_in(params)
    assert make_all([demos]) == []
    once = {"wall": 3.0, "processor": 2.0}
    note_interrupted(ghn, once)
    note_interrupted(ghn, once)
    keep(ghn, once)
    kept = json.loads(beside(ghn.out, RECIPE).read_text())["seconds"]
    assert kept == {"wall": 9.0, "processor": 6.0}
    note_interrupted(ghn._replace(seed=1), once)
    keep(ghn, once)
    assert json.loads(beside(ghn.out, RECIPE).read_text())["seconds"] == once


def test_what_outlives_a_command_is_counted(repository):
    """As the server of its workers does; the exit code is the command's."""
    code = (
        "import os, time\nif os.fork():\n    os._exit(3)\n"
        "while time.process_time() < 0.5:\n    pass"
    )
    words = [COUNTED, str(min(os.sched_getaffinity(0))), sys.executable, "-c", code]
    process = subprocess.Popen([sys.executable, *words], cwd=repository)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 3
    assert used.ru_utime + used.ru_stime >= 0.5
