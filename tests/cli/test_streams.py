"""Data on stdout, progress and notes on stderr, colour only where it is wanted."""

import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnit.progress import Progress
from nnit_cli.console import LineProgress, QuietProgress, fit_table, print_table
from nnit_cli.main import main
from nnit_cli.options import RunFlags
from nnit_cli.session import open_session
from nnit_cli.signals import StopRequest

COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9]")
ARCHIVE = Path(__file__).parents[1] / "data/archives/schema-1/tokens"
BAR = """
import time
from nnit_cli.console import open_progress
from nnit_cli.signals import StopRequest
with open_progress(StopRequest(), quiet=False) as progress:
    progress.note("on [cpu]")
    progress.start("train", 3)
    for _ in range(3):
        progress.advance(loss=0.5)
        time.sleep(0.25)
"""


@dataclass(frozen=True)
class Outputs:
    """What the stage below writes."""

    tokens: Path


@dataclass(frozen=True)
class Inputs:
    """Nothing to read."""


@dataclass(frozen=True)
class Summary:
    """Numbers, and a mapping as rollout has."""

    networks: int
    padding_fraction: float
    by_source: dict


class Stage:
    """A stage as small as can be: it reports its patch size and seed."""

    Summary = Summary

    def run(self, params, inputs, outputs, *, options, progress: Progress) -> Summary:
        """Report one unit of work."""
        progress.start("work", 1)
        progress.advance(patch=float(params.tokenize.patch))
        shutil.copytree(ARCHIVE, outputs.tokens)
        return Summary(options.seed, 0.25, {"sample": {}})


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    """No test reads the params.yaml of the project."""
    monkeypatch.chdir(tmp_path)


def run_stage(**flags):
    """Run the stage with flags, as a command does."""
    shutil.rmtree("tokens", ignore_errors=True)
    session = open_session("tokenize", RunFlags(**flags), {"patch": 8})
    return session.run(Stage(), Inputs(), Outputs(Path("tokens")))


def test_result_is_on_stdout_and_progress_on_stderr(capsys):
    """The table has the output and the numbers; lines of progress stay out of it."""
    run_stage(seed=7)
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "tokens            tokens",
        "task              PushCube-v1",
        "networks          7",
        "padding fraction  0.25",
        "",
        "2 networks of 2 shapes",
        "next: nnit diffuse-train tokens",
    ]
    assert captured.err.splitlines() == [
        "tokenize: from PushCube-v1 on cpu",
        "work: 1/1, patch 8, took 0 s",
    ]


def test_json_is_all_that_stdout_has(capsys):
    """With --json, stdout is one JSON document, nested values included."""
    run_stage(json=True)
    assert json.loads(capsys.readouterr().out) == {
        "command": "tokenize",
        "outputs": {"tokens": "tokens"},
        "summary": {"networks": 0, "padding_fraction": 0.25, "by_source": {"sample": {}}},
    }


def test_quiet_says_nothing(capsys):
    """With -q both streams stay empty; --json still answers."""
    run_stage(quiet=True)
    assert capsys.readouterr() == ("", "")
    run_stage(quiet=True, json=True)
    captured = capsys.readouterr()
    assert captured.err == ""
    assert json.loads(captured.out)


def test_verbose_names_every_parameter(capsys):
    """With -v the values that the run has are on stderr, flags applied."""
    run_stage(verbose=True, seed=5)
    lines = capsys.readouterr().err.splitlines()
    assert "tokenize: seed = 5" in lines
    assert "tokenize: patch = 8" in lines


def test_metrics_file_holds_the_summary(capsys):
    """--metrics makes its folder and writes the summary as JSON."""
    for seed in (0, 1):  # the second one replaces the first
        summary = run_stage(metrics=Path("metrics/tokenize.json"), quiet=True, seed=seed)
        assert json.loads(Path("metrics/tokenize.json").read_text()) == summary
    assert [path.name for path in Path("metrics").iterdir()] == ["tokenize.json"]


def test_an_older_input_by_default_is_noted(capsys):
    """On stderr, where a numbered sibling is newer; not with --quiet, nor once the first one is."""
    for name in ("samples", "samples-2", "samples-of-old"):
        shutil.copytree(ARCHIVE.with_name("samples"), Path("artifacts", name))
        made = {"samples": 1, "samples-2": 2, "samples-of-old": 3}[name]
        os.utime(Path("artifacts", name, "manifest.json"), (made, made))
    words = ["rollout", "--dry-run"]  # which then refuses the networks, of a task in little
    note = "rollout: artifacts/samples: artifacts/samples-2 is newer; name it to run those networks"
    assert main(words) == 4
    assert note in capsys.readouterr().err.splitlines()
    for more in (["--quiet"], ["artifacts/samples-2"]):
        assert main([*words, *more]) == 4
        assert "newer" not in capsys.readouterr().err
    os.utime("artifacts/samples/manifest.json", (3, 3))
    assert main(words) == 4
    assert "newer" not in capsys.readouterr().err


def test_dry_run_prints_the_plan_and_writes_nothing(capsys, tmp_path):
    """Output, seed and parameters are named; the stage isn't run."""
    assert run_stage(dry_run=True, metrics=Path("m.json")) == {}
    assert capsys.readouterr().out.splitlines() == [
        "command       nnit tokenize",
        "write tokens  tokens",
        "seed          0",
        "patch         8",
        "branches      True",
    ]
    assert list(tmp_path.iterdir()) == []


def test_lines_come_now_and_then_with_the_time_left(monkeypatch):
    """A line after each interval and at the end; a resumed part counts only what it did itself."""
    clock = iter([0.0, 1.0, 6.0, 7.0, 12.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    progress = LineProgress(StopRequest(), stream, line_every_s=5.0)
    progress.start("ghn-train", 200, done=160)
    for units in (10, 10, 10, 10):
        progress.advance(units, loss=0.123456)
    assert stream.getvalue().splitlines() == [
        "ghn-train: 180/200, loss 0.1235, 6 s left",
        "ghn-train: 200/200, loss 0.1235, took 12 s",
    ]


def test_the_time_left_goes_by_what_units_cost(monkeypatch):
    """Half of the units that took four fifths of the work leave a quarter of the time so far."""
    clock = iter([0.0, 8.0, 10.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    progress = LineProgress(StopRequest(), stream, line_every_s=5.0)
    progress.start("networks", 4)
    progress.advance(2, share=0.8)
    progress.advance(2, share=0.2)
    assert stream.getvalue().splitlines() == [
        "networks: 2/4, 2 s left",
        "networks: 4/4, took 10 s",
    ]


def test_request_to_stop_passes_through_every_kind_of_progress():
    """Whatever is shown, the signal's number reaches the work."""
    stop = StopRequest()
    quiet, lines = QuietProgress(stop), LineProgress(stop, io.StringIO())
    assert (quiet.stop_signal(), lines.stop_signal()) == (0, 0)
    stop.signal_number = 15
    assert (quiet.stop_signal(), lines.stop_signal()) == (15, 15)


def at_a_terminal(words: list[str], **environment: str) -> str:
    """Run a command with stdout and stderr at a terminal of its own; return what it showed."""
    controller, terminal = pty.openpty()
    inherited = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "TERM", "CI"}}
    process = subprocess.Popen(
        [sys.executable, *words],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**inherited, "TERM": "xterm-256color", **environment},
    )
    os.close(terminal)
    shown = b""
    while True:
        try:
            chunk = os.read(controller, 4096)
        except OSError:  # how Linux says that the other side is closed
            break
        if not chunk:
            break
        shown += chunk
    os.close(controller)
    assert process.wait(timeout=60) == 0
    return shown.decode()


@pytest.mark.parametrize("words", [["-m", "nnit_cli", "--help"], ["-c", BAR]])
def test_no_color_is_honoured_at_a_terminal(words):
    """Colour without NO_COLOR, none with it; help and bars alike."""
    assert COLOUR.search(at_a_terminal(words))
    assert not COLOUR.search(at_a_terminal(words, NO_COLOR="1"))


def test_bar_at_a_terminal_and_plain_lines_elsewhere():
    """A bar redraws itself; a pipe and a dumb terminal get plain lines. Brackets are no markup."""
    bar = at_a_terminal(["-c", BAR])
    assert "\x1b[2K" in bar
    assert "on [cpu]" in bar
    assert "loss 0.5" in bar
    plain = ["on [cpu]", "train: 3/3, loss 0.5, took 1 s"]
    dumb = at_a_terminal(["-c", BAR], TERM="dumb")
    piped = subprocess.run([sys.executable, "-c", BAR], capture_output=True, text=True, check=True)
    assert piped.stdout == ""
    assert [re.sub("took .*", "took 1 s", line) for line in piped.stderr.splitlines()] == plain
    assert [re.sub("took .*", "took 1 s", line) for line in dumb.splitlines()] == plain


def test_table_aligns_numbers_to_the_right(capsys):
    """Columns of numbers are aligned at their last digit, others at their first letter."""
    print_table([("kind", "n"), ("wider", "10"), ("deeper", "9")])
    assert capsys.readouterr().out.splitlines() == ["kind     n", "wider   10", "deeper   9"]


@given(
    st.integers(1, 9),
    st.lists(
        st.tuples(st.lists(st.text("ab", max_size=12)).map(" ".join), st.text("12.", min_size=1)),
        min_size=1,
    ),
)
def test_a_table_fits_the_width_of_a_terminal(columns, rows):
    """Whatever its titles and however many columns; each cell is there once, in its row's order."""
    table = [("measure", *(f"c{k}" for k in range(columns)))]
    table += [(title, *[cell[:24]] * columns) for title, cell in rows]
    parts = fit_table(table, 80)
    for part in parts:
        widths = [max(map(len, column)) for column in zip(*part, strict=True)]
        assert sum(widths) + 2 * (len(widths) - 1) <= 80
    heads = [name for part in parts for name in part[0][1:]]
    assert heads == list(table[0][1:])
    for k in range(columns):
        (cells,) = (
            [row[part[0].index(f"c{k}")] for row in part[1:]]
            for part in parts
            if f"c{k}" in part[0]
        )
        assert [cell for cell in cells if cell] == [row[k + 1] for row in table[1:]]


def test_the_result_is_bold_at_a_terminal_alone():
    """And the next command stands below it."""
    code = "from nnit_cli.console import print_ending; print_ending('it works', 'nnit verify x')"
    assert "\x1b[1mit works\x1b[0m" in at_a_terminal(["-c", code])
    assert "\x1b[1m" not in at_a_terminal(["-c", code], NO_COLOR="1")
    piped = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert piped.stdout == "\nit works\nnext: nnit verify x\n"


def test_doctor_answers_with_findings(nnit):
    """One line a check with its fix, or JSON; a healthy machine is exit code 0.

    Drivers that are installed but draw nothing, as here, are none.
    """
    plain, data = (nnit("doctor", *flags, VK_ICD_FILENAMES="/none") for flags in ((), ("--json",)))
    checks = json.loads(data.stdout)
    lines = plain.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [c["name"] for c in checks]
    assert all(line.endswith(c["fix"]) for line, c in zip(lines, checks, strict=True))
    (drawing,) = (c for c in checks if c["name"] == "Vulkan")
    assert drawing["fix"]
    assert not drawing["is_needed"]
    assert {"python", "torch", "CUDA", "Vulkan", "disk", "zarr"} <= {c["name"] for c in checks}
    assert (plain.returncode != 0) == any(c["fix"] and c["is_needed"] for c in checks)
