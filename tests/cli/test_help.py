"""Help is fast, complete, and imports nothing heavy."""

import os
import re
import resource
import subprocess
import sys
from dataclasses import fields

import pytest

from nnit_cli.app import EVALUATION, HELPERS, PIPELINE
from nnit_cli.options import RunFlags
from stages.params import Params

HELP_LIMIT_S = 0.3
FLOOR_S = 0.1
HEAVY = {"torch", "numpy", "ruamel", "zarr", "safetensors", "mani_skill", "stages"}
COMMANDS = [*PIPELINE, *EVALUATION, *HELPERS]
COUNTING = {"demos", "sample", "baseline", "flat-sample"}  # whose -n is a number


def processor_time() -> float:
    """Seconds that the processes started here have used."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def fastest(run) -> float:
    """Return the least processor time of five runs: what else the machine does only adds to it."""
    seconds = []
    for _ in range(5):
        before = processor_time()
        assert run().returncode == 0
        seconds.append(processor_time() - before)
    return min(seconds)


@pytest.fixture(scope="module")
def floor() -> float:
    """Seconds that the interpreter, Typer and Rich take on this machine."""
    code = "import typer, typer.rich_utils"
    return fastest(lambda: subprocess.run([sys.executable, "-c", code], check=False))


@pytest.mark.parametrize("words", [[], *([command] for command in COMMANDS)])
def test_help_answers_within_a_third_of_a_second(nnit, words, floor):
    """On a machine that imports Typer and Rich in 0.1 s; in proportion on a slower one.

    In processor time: the command waits for nothing, and tests share the machine with others.
    """
    assert fastest(lambda: nnit(*words, "--help")) < HELP_LIMIT_S * max(1, floor / FLOOR_S)


@pytest.mark.parametrize("words", [[], *([command] for command in COMMANDS)])
def test_help_imports_nothing_heavy(words, tmp_path):
    """Neither torch nor numpy nor a stage is needed to print a text."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nnit_cli", *words, "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    modules = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.split("\n")
    }
    assert "nnit_cli" in modules
    assert not modules & HEAVY


@pytest.mark.parametrize("command", [*PIPELINE, *EVALUATION])
def test_parameters_and_shared_flags_are_there(nnit, command):
    """A command has a flag for each key of its section, and those that all commands have."""
    text = nnit(command, "--help", COLUMNS="200").stdout
    flags = set(re.findall(r"--[a-z][a-z-]*", text))
    section = type(getattr(Params(), command.replace("-", "_")))
    assert {f"--{key.replace('_', '-')}" for key in section.model_fields} <= flags
    assert {f"--{field.name.replace('_', '-')}" for field in fields(RunFlags)} | {"--out"} <= flags
    dry_run_is_n = re.search(r"--dry-run +-n", text) is not None
    assert dry_run_is_n != (command in COUNTING)


def test_help_is_plain_text_off_a_terminal(nnit):
    """No escape codes in a pipe."""
    assert "\x1b" not in nnit("--help").stdout


def test_version(nnit):
    """The version is one line on stdout."""
    from nnit import __version__

    assert nnit("--version").stdout == f"nnit {__version__}\n"


def test_reader_that_leaves_early_is_no_error(tmp_path):
    """A closed pipe ends the command quietly, as head does."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "nnit_cli", "rollout", "--help"],
        stdout=writing,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
