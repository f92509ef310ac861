"""What a mistake looks like: one line a fault on stderr, its exit code, no traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nnit import errors
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import publish
from nnit.tasks.registry import TASKS
from nnit_cli.main import main
from nnit_cli.options import MAX_WORKERS
from nnit_cli.outcome import guarded

BAD_PARAMS = "tokenize:\n  patch: 0\n  pathc: 3\n"
ARCH_HINT = "give hidden widths, as in 128,256,128"


@pytest.fixture
def nnit(tmp_path, monkeypatch, capsys):
    """Run the command line in an empty folder, without a process of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(words, main([*words]), *capsys.readouterr())

    return run


@pytest.fixture
def demos(tmp_path) -> Path:
    """A small artifact, of kind demos and with one file; enough to open it, not to train on it."""
    path = tmp_path / "demos"
    with publish(path, "demos", Provenance("demos", {}, 0), {}) as writer:
        writer.write_file("episodes.bin", bytes(range(256)) * 16)
    return path


def raising(error: BaseException):
    """Return an action that raises the error."""

    def action() -> None:
        raise error

    return action


@pytest.mark.parametrize(
    ("words", "code", "lines"),
    [
        (
            ["tokenise"],
            2,
            ["No such command 'tokenise'. Did you mean 'tokenize'?", "see nnit --help"],
        ),
        (
            ["tokenize", "--pach", "3"],
            2,
            [
                "No such option: --pach (Possible options: --branches, --patch)",
                "see nnit tokenize --help",
            ],
        ),
        (["tokenize", "--patch", "0"], 2, ["--patch: must be greater than 0 (got 0)"]),
        (
            ["ghn-train", "--decoder", "cn"],
            2,
            ["--decoder: must be 'carrier', 'cnn' or 'pointwise' (got \"cn\")"],
        ),
        (
            ["sample", "--arch", "128,abc"],
            2,
            [f"--arch 128,abc: 'abc' is not a positive integer; {ARCH_HINT}"],
        ),
        (["sample", "--arch", "0"], 2, [f"--arch 0: '0' is not a positive integer; {ARCH_HINT}"]),
        (["sample", "--arch", ""], 2, [f"--arch: empty; {ARCH_HINT}"]),
        (
            ["sample", "--arch", "8,*,x"],
            2,
            ["--arch 8,*,x: 'x' is not a positive integer; give hidden widths, as in 128,256,128"],
        ),
        (
            ["demos", "--task", "PushCub-v1"],
            2,
            [
                "--task: unknown task; did you mean PushCube-v1? Known tasks: "
                f"{', '.join(TASKS)}, mnist, an environment of Gymnasium as in gym:CartPole-v1, "
                "any ManiSkill task with a control mode as in "
                "LiftPegUpright-v1@pd_joint_delta_pos, or a file as in ./my_task.py "
                '(got "PushCub-v1")'
            ],
        ),
        (
            ["ghn-train", "--device", "gpu"],
            2,
            ["--device gpu: must be auto, cpu, cuda or cuda with a number (cuda:1)"],
        ),
        (["tokenize", "--params", "p.yaml"], 4, ["p.yaml: no such parameter file"]),
        (
            ["tokenize", "zoo", "--dry-run"],
            4,
            ["zoo: no such artifact; make it with `nnit zoo-export`"],
        ),
        (["inspect", "zoo"], 4, ["zoo: no such artifact; check the path"]),
        (["verify", "zoo"], 4, ["zoo: no such artifact; check the path"]),
    ],
)
def test_mistake_on_the_command_line(nnit, words, code, lines):
    """Its exit code, its lines on stderr, and nothing on stdout."""
    done = nnit(*words)
    assert done.stderr.splitlines() == [f"nnit: {line}" for line in lines]
    assert (done.returncode, done.stdout) == (code, "")


def test_more_workers_than_any_machine_has_cores_are_a_mistake(nnit):
    """Typer's own words, with the flag and the bound."""
    done = nnit("demos", "--workers", str(MAX_WORKERS + 1))
    first, last = done.stderr.splitlines()
    assert first.startswith("nnit: Invalid value for '--workers': ")
    assert str(MAX_WORKERS) in first
    assert last == "nnit: see nnit demos --help"
    assert (done.returncode, done.stdout) == (2, "")


def test_faults_of_the_parameter_file_come_with_their_places(nnit, tmp_path):
    """File, line and column for each fault, exit code 3, before any input is looked at."""
    (tmp_path / "params.yaml").write_text(BAD_PARAMS)
    done = nnit("tokenize", "nothing")
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        "nnit: params.yaml:2:3: tokenize.patch: must be greater than 0 (got 0)",
        "nnit: params.yaml:3:3: tokenize.pathc: unknown key, did you mean patch?",
    ]


def test_wrong_kind_is_missing_input(nnit, demos):
    """Demos where a zoo is wanted: what was found, what was expected, what makes it; 4."""
    done = nnit("tokenize", demos.name, "--dry-run")
    assert done.returncode == 4
    assert done.stderr == (
        "nnit: demos: found an artifact of kind demos, expected zoo; "
        "make it with `nnit zoo-export`\n"
    )


def test_verify_finds_a_flipped_bit(nnit, demos):
    """A whole artifact verifies with 0; with one bit changed it is 5, and the file is named."""
    assert nnit("verify", "demos").stdout == "demos: whole\n"
    file = demos / "episodes.bin"
    file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
    done = nnit("verify", "demos")
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("nnit: demos/episodes.bin: its bytes changed")
    faults = json.loads(nnit("verify", "demos", "--json").stdout)
    assert len(faults["demos"]) == 1


def test_unknown_schema_is_exit_code_5(nnit, demos):
    """A manifest of a later schema, sealed as that nnit would, is refused with what to do."""
    manifest = demos / "manifest.json"
    text = manifest.read_text().replace('"schema": 1', '"schema": 99')
    assert "99" in text
    manifest.write_text(text)
    done = nnit("inspect", "demos")
    assert done.returncode == 5
    assert done.stderr.count("\n") == 1


def test_output_that_exists_is_refused(nnit, demos):
    """A dry run says so too, with 2, and --force lets it pass."""
    done = nnit("demos", "--out", "demos", "--dry-run")
    assert (done.returncode, done.stderr) == (
        2,
        "nnit: demos: exists already; replace it with --force, or choose --out\n",
    )
    assert nnit("demos", "--out", "demos", "--dry-run", "--force").returncode == 0


def test_a_model_of_the_wrong_kind_is_told_before_an_output_that_exists(demos, monkeypatch, capsys):
    """Whatever lies where the networks would go."""
    monkeypatch.chdir(demos.parent)
    assert main(["sample", "--model", "demos", "--arch", "8", "--out", "demos"]) == 4
    assert capsys.readouterr().err == (
        "nnit: demos: found an artifact of kind demos, expected generator; "
        "make it with `nnit diffuse-train`\n"
    )


def test_missing_gpu_is_exit_code_6(nnit, demos):
    """A device that is asked for by name is not replaced by another."""
    done = nnit("ghn-train", "demos", "--device", "cuda:99")
    assert done.returncode == 6
    assert done.stderr.startswith("nnit: --device cuda:99: torch sees ")


def test_full_disk_is_exit_code_6(tmp_path):
    """Standard output that can't be written to is a full disk as any other."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "nnit_cli", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            check=False,
        )
    assert (done.returncode, done.stderr) == (6, "nnit: output: No space left on device\n")


def test_a_full_disk_under_the_log_is_no_end_of_the_work(tmp_path):
    """What stderr says is lost, and nothing else."""
    code = "import sys; from nnit_cli.outcome import guarded\n"
    code += "sys.exit(guarded(lambda: print('x', file=sys.stderr, flush=True) or 3, debug=False))"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", code], stderr=full, cwd=tmp_path, check=False)
    assert done.returncode == 3


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("a"), 2),
        (errors.OutputExistsError("a"), 2),
        (errors.ParamsError("a", "b"), 3),
        (errors.LeakError("a"), 3),
        (errors.MissingArtifactError("a"), 4),
        (errors.WrongKindError("a"), 4),
        (errors.DamagedArtifactError("a", "b", "c"), 5),
        (errors.UnknownSchemaError("a"), 5),
        (errors.ResourceError("a"), 6),
        (errors.QualityGateError("a"), 7),
        (errors.InterruptedRunError(2, "a"), 130),
        (errors.InterruptedRunError(15, "a"), 143),
    ],
)
def test_each_error_has_its_exit_code_and_a_line_a_fault(capsys, error, code):
    """The lines are the error's own, and no traceback is among them."""
    assert guarded(raising(error), debug=False) == code
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [f"nnit: {fault}" for fault in error.faults]
    assert captured.out == ""


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device", "x/y"),
        OSError(122, "Disk quota exceeded", "x/y"),
        PermissionError(13, "Permission denied", "x/y"),
    ],
)
def test_disk_faults_that_nobody_caught_are_exit_code_6(capsys, error):
    """The path and the system's words."""
    assert guarded(raising(error), debug=False) == 6
    assert capsys.readouterr().err == f"nnit: x/y: {error.strerror}\n"


def test_memory_that_runs_out_is_exit_code_6(capsys):
    """Python's own error, and torch's on a CPU, which is a RuntimeError."""
    import torch

    assert guarded(raising(MemoryError()), debug=False) == 6
    assert guarded(lambda: torch.zeros(2**50), debug=False) == 6
    assert capsys.readouterr().err.count("needs more memory than there is") == 2


def test_bug_is_exit_code_1_and_says_so(capsys):
    """Type and first line of the message, and how to report it; the traceback with --debug."""
    assert guarded(raising(KeyError("weights")), debug=False) == 1
    assert capsys.readouterr().err.splitlines() == [
        "nnit: internal error: KeyError: 'weights'",
        "nnit: this is a bug; please report it with what --debug prints",
    ]
    assert guarded(raising(KeyError("weights")), debug=True) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_what_is_said_first_is_shown(capsys):
    """An error may begin with an empty line, or carry a note that is one."""
    error = ValueError("\n\nno such key")
    error.add_note("\n")
    assert guarded(raising(error), debug=False) == 1
    assert capsys.readouterr().err.splitlines()[0].startswith("nnit: internal error: ValueError:")


def test_traceback_of_a_mistake_needs_debug(nnit):
    """--debug shows where a mistake was noticed, and changes neither lines nor exit code."""
    words = ("sample", "--arch", "none")
    plain, debug = nnit(*words), nnit(*words, "--debug")
    assert "Traceback" not in plain.stderr
    assert "Traceback" in debug.stderr
    assert debug.stderr.endswith(plain.stderr)
    assert plain.returncode == debug.returncode == 2


def test_quality_gate(capsys):
    """A success below the threshold is exit code 7; at the threshold it is met."""
    from nnit_cli.session import require_success

    assert guarded(lambda: require_success({"success_once": 0.9}, 0.9), debug=False) == 0
    assert guarded(lambda: require_success({"success_once": 0.89}, 0.9), debug=False) == 7
    expected = "nnit: --min-success 0.9: not met, success_once is 0.890\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("lines", [1, 10_000])  # within what Python buffers, and beyond it
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_who_stops_reading_changes_no_exit_code(stream, lines):
    """The gate is judged all the same; the other stream says that it was missed, and no more."""
    code = (
        "import sys\n"
        "from nnit_cli.outcome import guarded\n"
        "from nnit_cli.session import require_success\n"
        "def action():\n"
        f"    print('0123456789\\n' * {lines}, file=sys.{stream})\n"
        "    require_success({'success_once': 0.5}, 0.9)\n"
        "sys.exit(guarded(action, debug=False))\n"
    )
    reader, writer = os.pipe()
    os.close(reader)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writer}
    done = subprocess.run([sys.executable, "-c", code], **streams, text=True, check=False)
    os.close(writer)
    assert done.returncode == 7
    expected = "nnit: --min-success 0.9: not met, success_once is 0.500\n"
    assert (done.stdout or "", done.stderr or "") == ("", expected if stream == "stdout" else "")


def test_a_pipe_that_breaks_elsewhere_is_no_reader_that_left(capsys):
    """An encoder that has died, say: what was asked for was not done."""
    assert guarded(raising(BrokenPipeError(32, "Broken pipe")), debug=False) == 1
    assert "internal error: BrokenPipeError" in capsys.readouterr().err


def test_unwritable_place_is_refused_before_computing(nnit, tmp_path):
    """A file in the place of the output's folder is a mistake that a dry run finds."""
    (tmp_path / "taken").write_text("")
    done = nnit("demos", "--out", "taken/demos", "--dry-run")
    assert done.returncode == 2
    assert "taken is not a folder" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_folder_where_a_file_has_to_be_is_noticed_first(nnit, tmp_path):
    """Before any work, not at the end of it."""
    (tmp_path / "metrics").mkdir()
    (tmp_path / "file").write_text("")
    words = ["demos", "-n", "1", "--metrics"]
    done = nnit(*words, "metrics")
    assert done.returncode == 2
    assert done.stderr == (
        "nnit: --metrics metrics: is a folder; name a file, as in metrics/figures.json\n"
    )
    done = nnit(*words, "file/figures.json")
    assert done.returncode == 2
    assert "a file is where its folder has to be" in done.stderr


OUTPUTS = [  # where the command below may not write, and what is said of it
    (["--metrics", "thesis.txt"], "--metrics thesis.txt: is not what this command wrote before"),
    (["--metrics", "zoo.json"], "--metrics zoo.json: is not what this command wrote before"),
    (["--metrics", "demos/manifest.json"], "--metrics demos/manifest.json: lies inside the art"),
    (["--metrics", "demos/new.json"], "--metrics demos/new.json: lies inside the artifact "),
    (["--metrics", "out/new.json"], "--metrics out/new.json: --out goes there; name another"),
    (["--metrics", "new", "--out", "new/out"], "--metrics new: --out goes there; name another"),
    (["--metrics", "/dev/null"], "--metrics /dev/null: is a link, or no regular file"),
    (["--metrics", "n" * 300], f"--metrics {'n' * 300}: has a name of more than 223 bytes"),
    (["--curve", "thesis.txt"], "--curve thesis.txt: is not what this command wrote before"),
    (["--curve", "demos/curve.csv"], "--curve demos/curve.csv: lies inside the artifact "),
    (["--curve", "new", "--metrics", "new"], "--metrics new: --curve goes there; name another"),
    (
        ["--metrics", "out.log.jsonl"],
        "--metrics out.log.jsonl: the training's log goes there; name",
    ),
    (["--out", "notes"], "notes: its log goes to notes.log.jsonl: is not what this command wrote"),
    (["--out", "demos/ghn"], "demos/ghn: lies inside the artifact "),
    (["--out", "/"], "/: is not a name for an output; choose another --out"),
    (["--out", "n" * 300], f"{'n' * 200}...: has a name of more than 223 bytes"),
]


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize(("words", "line"), OUTPUTS)
def test_no_output_goes_where_something_else_is(words, line, force, demos, monkeypatch, capsys):
    """One line and exit code 2, before the input is read; a dry run says the same."""
    monkeypatch.chdir(demos.parent)
    for name in ("thesis.txt", "notes.log.jsonl"):
        Path(name).write_text("years of work")
    Path("zoo.json").write_text('{"networks": 1}')  # of another command
    before = {path: path.read_bytes() for path in demos.parent.rglob("*") if path.is_file()}
    for dry_run in ([], ["--dry-run"]):
        out = [] if "--out" in words else ["--out", "out"]
        assert main(["ghn-train", "demos", *out, *words, *force, *dry_run]) == 2
        (found,) = capsys.readouterr().err.splitlines()
        assert found.startswith(f"nnit: {line}")
    after = {path: path.read_bytes() for path in demos.parent.rglob("*") if path.is_file()}
    assert after == before


def test_verify_looks_at_all_of_them(nnit, demos, tmp_path):
    """What is missing does not hide what is damaged."""
    file = demos / "episodes.bin"
    file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
    done = nnit("verify", "demos", "none")
    assert done.returncode == 4
    assert done.stderr.splitlines()[0].startswith("nnit: demos/episodes.bin: its bytes changed")
    assert done.stderr.splitlines()[1] == "nnit: none: no such artifact; check the path"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("baseline cloned a --demos b", "--demos: is of asked and tuned"),
        ("baseline slimmable a --demos b", "--demos: is of asked and tuned"),
        ("baseline nearest zoo --demos b", "--demos: is of asked and tuned"),
        (
            "demos --recording a.npz --task arm --download",
            "--download: is of a run without --recording",
        ),
        ("demos --trajectories a.h5 --download", "--download: is of a run without --trajectories"),
        (
            "demos --teacher a --download",
            "--download: is of a run without --teacher, --dagger-from and --add-to",
        ),
        ("demos --task PickCube-v1 --arch 64,64", "--arch: is of --teacher and --dagger-from"),
        ("demos --add-to a --arch 64,64", "--arch: is of --teacher and --dagger-from"),
        ("ghn-train a --workers 8", "--workers: is of --objective ppo"),
    ],
)
def test_no_flag_is_left_aside_in_silence(nnit, words, line):
    """One line, before any input is looked at."""
    done = nnit(*words.split())
    assert (done.returncode, done.stderr) == (2, f"nnit: {line}\n")


def test_trajectories_refuse_what_they_do_not_use(nnit):
    """Their episodes are taken as they are."""
    done = nnit("demos", "--trajectories", "run.h5", "-n", "10", "--noise", "0.1")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "nnit: --episodes: is of a run without --trajectories",
        "nnit: --noise: is of a run without --trajectories",
    ]
