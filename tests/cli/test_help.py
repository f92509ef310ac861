"""Help is fast, complete, and imports nothing heavy."""

import json
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
from dataclasses import fields

import pytest

from nnit_cli.app import EVALUATION, HELPERS, PIPELINE, ROUNDS, WAYS_OUT, load
from nnit_cli.main import main
from nnit_cli.options import RunFlags
from stages.keys import described, keys_of
from stages.params import Params

HELP_LIMIT_S = 0.3
TIMES_TYPER = 2.5  # on a slower machine: beside Typer's smallest program, without numpy or pydantic
SMALLEST = """
import typer
app = typer.Typer()
@app.callback()
def root(version: bool = False) -> None: "A program."
@app.command()
def command(number: int = 1) -> None: "A command of one option."
app(["command", "--help"])
"""
EVERY_HELP = """
import json, sys
from nnit_cli.main import main
for words in json.loads(sys.argv[1]):
    assert main([*words, "--help"]) == 0
    print(*words, *{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""
HEAVY = {
    "torch",
    "dask",
    "distributed",
    "scipy",
    "sklearn",
    "ruamel",
    "zarr",
    "safetensors",
    "mani_skill",
    "gymnasium",
    "onnx",
    "onnxruntime",
    "huggingface_hub",
    "pyarrow",
    "tensorboard",
    "wandb",
    "dvclive",
}
OF_PARAMETERS = {"numpy", "pydantic", "stages"}  # which the help of a command is made of
COMMANDS = [*PIPELINE, *ROUNDS, *EVALUATION, *WAYS_OUT, *HELPERS]
WORDS = [[], *([command] for command in [*COMMANDS, "merge", "models"]), ["models", "validate"]]
COUNTING = {"demos", "sample", "baseline", "flat-sample"}  # what they make is counted by -n


def processor_time() -> float:
    """Seconds that the processes started here have used."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def seconds_of(run) -> float:
    """Return the processor time of a run."""
    before = processor_time()
    assert run().returncode == 0
    return processor_time() - before


def smallest() -> subprocess.CompletedProcess[str]:
    """Print a help text of the smallest program, which is what Typer and Rich alone cost."""
    return subprocess.run(
        [sys.executable, "-c", SMALLEST], capture_output=True, text=True, check=False
    )


def top_modules(importtime: str) -> set[str]:
    """Return the top modules that ``-X importtime`` has listed."""
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in importtime.split("\n")}


@pytest.mark.parametrize("words", [[], ["diffuse-train"]])  # the most flags; all import alike
def test_help_answers_within_a_third_of_a_second(nnit, words):
    """Or, on a slower machine, in a small multiple of what the library's own smallest help takes.

    In processor time, the least of some runs: what else the machine does only adds to it. The two
    take turns, so that a machine that is slow for a while is slow for both.
    """
    pairs = [(seconds_of(lambda: nnit(*words, "--help")), seconds_of(smallest)) for _ in range(2)]
    ours, typers = map(min, zip(*pairs, strict=True))
    assert ours < max(HELP_LIMIT_S, TIMES_TYPER * typers)


def test_help_imports_nothing_heavy(repository):
    """No library of networks, simulators or files is needed to print a text.

    One process prints them all: that of all commands first, which needs no parameters either.
    """
    done = subprocess.run(
        [sys.executable, "-c", EVERY_HELP, json.dumps(WORDS)],
        env={**os.environ, "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=True,
    )
    of_all, *of_each = done.stderr.splitlines()
    assert len(of_each) == len(WORDS) - 1
    assert "nnit_cli" in of_all.split()
    assert not set(of_all.split()) & (HEAVY | OF_PARAMETERS)
    assert [line for line in of_each if HEAVY & set(line.split())] == []


FAST = [  # words that need no network, and what they import beyond numpy and pydantic
    (["verify", "{here}/tests/data/archives/schema-1/zoo"], set()),
    (["inspect", "{here}/tests/data/archives/schema-1/generator"], {"ruamel", "safetensors"}),
    (["inspect", "nothing"], {"ruamel", "safetensors"}),
    (["models"], {"ruamel", "safetensors"}),
    (["tasks"], {"ruamel"}),
    (["sample", "--arch", "12,x"], {"ruamel"}),
    (["sample", "--task", "Foo-v1", "--arch", "12,8"], {"ruamel"}),
    (["frontier", "--task", "Foo-v1"], {"ruamel"}),
    (["rollout", "nothing"], {"ruamel"}),
    (["tokenize", "nothing"], {"ruamel"}),
    (["diffuse-train", "nothing"], {"ruamel"}),
    (["ghn-train", "nothing"], {"ruamel"}),
    (["zoo-export", "nothing"], {"ruamel"}),
    (["zoo-refine", "nothing"], {"ruamel"}),
    (["zoo-alone", "nothing"], {"ruamel"}),
    (["baseline", "nothing"], set()),
    (["baseline", "nearest", "nothing", "--arch", "12,8"], {"ruamel"}),
    (["audit", "nothing"], {"ruamel"}),
    (["align-report", "a=nothing"], {"ruamel"}),
    (["flat-train", "nothing"], {"ruamel"}),
    (["flat-sample"], {"ruamel"}),
    (["demos", "--task", "Foo-v1"], {"ruamel"}),
    (["export", "nothing", "--c"], set()),
]


@pytest.mark.parametrize(("words", "fine"), FAST)
def test_what_needs_no_network_imports_nothing_heavy(words, fine, repository, tmp_path):
    """A mistake on the command line is told, and an artifact described, without torch or scipy."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nnit_cli"]
        + [word.format(here=repository) for word in words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(repository), "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 2, 3, 4)
    assert not top_modules(done.stderr) & (HEAVY - fine)


@pytest.mark.parametrize("command", [*PIPELINE, *ROUNDS, *EVALUATION])
def test_parameters_and_shared_flags_are_there(command, monkeypatch, capsys):
    """A command has a flag for each key of its section, and those that all commands have."""
    monkeypatch.setenv("COLUMNS", "200")
    main([command, "--help"])
    text = capsys.readouterr().out
    flags = set(re.findall(r"--[a-z][a-z-]*", text))
    section = type(getattr(Params(), command.replace("-", "_")))
    assert {f"--{key.replace('_', '-')}" for key in section.model_fields} <= flags
    assert {f"--{field.name.replace('_', '-')}" for field in fields(RunFlags)} | {"--out"} <= flags
    short = [line.split()[1] for line in text.splitlines() if " -n " in line]
    assert short == ([] if command not in COUNTING else short[:1])
    assert set(short) <= {"--episodes", "--samples"}


@pytest.mark.parametrize("command", [*COMMANDS, "merge", "models"])
def test_every_command_has_an_example_that_its_parser_takes(command):
    """At the end of its help; no flag or argument of it is unknown."""
    found = load(command)
    label, _, example = (found.epilog or "").partition(": ")
    program, name, *words = shlex.split(example)
    assert (label, program, name) == ("Example", "nnit", command)
    found.make_context(name, words)


def test_the_parsers_take_what_the_makefile_runs(repository):
    """No flag or argument of its commands is unknown."""
    done = subprocess.run(
        ["make", "--dry-run", "demo", "report-pictures"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.replace("\\\n", " ").splitlines()
    commands = [shlex.split(line)[1:] for line in lines if line.split(" ")[0].endswith("/nnit")]
    assert {"demos", "rollout", "report"} <= {name for name, *_ in commands}
    for name, *words in commands:
        load(name).make_context(name, words)


def test_texts_of_flags_name_what_they_set():
    """Each begins with a thing or a deed, and not with "at the start", "Adam's" or "auto:"."""
    vague = re.compile(r"(at|of|on|in|also|such|adam's)\b|\w+:", re.IGNORECASE)
    sections = [name for name in Params.model_fields if name not in ("seed", "task", "data")]
    assert [key for key in keys_of(sections) if vague.match(key.text)] == []


def test_help_shows_every_default(nnit):
    """Also what holds where nothing is said, and where the output goes."""
    text = " ".join(nnit("zoo-refine", "--help", COLUMNS="200").stdout.split())
    assert "drawn. [default: as many as in zoo_export]" in text
    assert "[default: zoo-refined, beside the generator]" in text
    assert "nnit[cluster]" in text


def test_every_parameters_default_is_in_its_help():
    """As params.yaml has it; what holds where that is null is said in words."""
    for command in [*PIPELINE, *ROUNDS, *EVALUATION]:
        section = command.replace("-", "_")
        texts = {one.name: one.help for one in load(command).params}
        for key in described(section)[section]:
            text = texts[key.name.removeprefix(f"{section}.")]
            default = r".+" if key.default is None else re.escape(key.shown)
            assert key.default == {} or re.search(rf"\[default: {default}\]$", text), key


def test_what_counts_networks_says_what_comes_beside_them():
    """A zoo has more than --networks, and its flag says so."""
    (text,) = [one.help for one in load("zoo-export").params if one.name == "networks"]
    assert "those of repeated ones come beside them" in text


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("sample --task Pu", {"PushCube-v1", "PullCube-v1", "PullCubeTool-v1"}),
        ("sample --task gym:C", {"gym:CartPole-v1"}),
        ("baseline n", {"nearest", "noise"}),
        ("sample --model co", {"common"}),
        ("sample --model ru", {"run/generator"}),
        ("sample --beyond g", {"grow"}),
        ("inspe", {"inspect"}),
    ],
)
def test_a_shell_completes_names(typed, offered, repository, tmp_path):
    """Of tasks, methods, generators and choices; torch is not imported for it."""
    shutil.copytree(
        repository / "tests/data/archives/schema-1/generator", tmp_path / "run/generator"
    )
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nnit_cli"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(repository),
            "XDG_CACHE_HOME": str(tmp_path),
            "_NNIT_COMPLETE": "complete_bash",
            "COMP_WORDS": f"nnit {typed}",
            "COMP_CWORD": str(len(typed.split())),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert set(done.stdout.split()) == offered
    assert not top_modules(done.stderr) & {"torch", "scipy", "mani_skill"}


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
