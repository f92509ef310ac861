"""What every command does with missing, wrong or damaged input: one line, no half output."""

import fcntl
import hashlib
import json
import resource
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_pipeline import (
    COMMANDS,
    ORIGIN,
    PARAMS_NAME,
    command_line,
    digest,
    names,
    tree,
)

from nnit.artifacts.canonical import canonical_file, canonical_json
from nnit.artifacts.demos import read_demos, write_demos
from nnit.artifacts.manifest import KINDS
from nnit.artifacts.zoo import read_zoo, write_zoo
from nnit.mlp import PolicyInterface
from nnit_cli.main import main

READS = [
    ("ghn-train", "demos"),
    ("zoo-export", "ghn"),
    ("zoo-export", "demos"),
    ("tokenize", "zoo"),
    ("diffuse-train", "tokens"),
    ("diffuse-train", "demos"),
    ("flat-train", "zoo"),
    ("sample", "generator"),
    ("rollout", "samples"),
    ("rollout", "ghn"),
    ("rollout", "demos"),
    ("verify", "samples"),
]
HUGE = "65536,65536,65536,65536"
WAYS = ("tokenize", "diffuse-train", "zoo-export")  # of working: at once, with a state, with units
FULL = 1000  # bytes that a file may have; no manifest is as short


@pytest.fixture
def source(pipeline, tmp_path) -> Path:
    """A folder that shows the pipeline's artifacts, each to be replaced by a harmed one."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in names(pipeline):
        (folder / name).symlink_to(pipeline / name)
    return folder


def own_copy(artifact: Path) -> Path:
    """Replace a link to an artifact by a copy of it."""
    original = artifact.resolve()
    artifact.unlink()
    shutil.copytree(original, artifact)
    return artifact


def words_of(name: str, source: Path, kind: str, out: Path) -> list[str]:
    """Return the command line of any command on what lies in a folder."""
    if name == "verify":
        return [name, str(source / kind)]
    return command_line(name, source, out, "--quiet")


def fault_of(capsys, words: list[str], code: int) -> str:
    """Run a command that must fail with a code and one line; return the line."""
    assert main(words) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("nnit: ")
    assert captured.err.count("\n") == 1, captured.err
    return captured.err.removeprefix("nnit: ").rstrip("\n")


def largest_file(artifact: Path) -> Path:
    """Return the data file that holds the most."""
    data = [p for p in artifact.rglob("*") if p.is_file() and p.name != "manifest.json"]
    return max(data, key=lambda file: file.stat().st_size)


def remove(artifact: Path) -> None:
    """Nothing is there."""
    artifact.unlink()


def empty(artifact: Path) -> None:
    """A folder, but not an artifact."""
    artifact.unlink()
    artifact.mkdir()


def swap(artifact: Path) -> None:
    """An artifact of a kind that the command does not read."""
    artifact.unlink()
    artifact.symlink_to(artifact.parent / "rollouts")


def cut_off(artifact: Path) -> None:
    """A data file ends early."""
    file = largest_file(own_copy(artifact))
    file.write_bytes(file.read_bytes()[:-1])


def cut_off_manifest(artifact: Path) -> None:
    """The manifest ends early."""
    file = own_copy(artifact) / "manifest.json"
    file.write_bytes(file.read_bytes()[:-20])


def flip(artifact: Path) -> None:
    """One bit of a data file is another."""
    flip_bit(largest_file(own_copy(artifact)))


def flip_manifest(artifact: Path) -> None:
    """One bit of the manifest is another."""
    flip_bit(own_copy(artifact) / "manifest.json")


def flip_bit(file: Path) -> None:
    """Flip one bit in the middle of a file."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def age(artifact: Path) -> None:
    """A newer nnit wrote it, in a schema that this one does not know."""
    edit_manifest(own_copy(artifact), lambda fields: fields.update(schema=99, nnit_version="9.0"))


def edit_manifest(artifact: Path, edit: Callable[[dict], None]) -> None:
    """Change a manifest and seal it again, as another nnit would."""
    file = artifact / "manifest.json"
    fields = json.loads(file.read_bytes())
    del fields["manifest_sha256"]
    edit(fields)
    seal = hashlib.sha256(canonical_json(fields).encode()).hexdigest()
    file.write_bytes(canonical_file({**fields, "manifest_sha256": seal}))


HARMS = {  # harm -> exit code and what its line says
    remove: (4, "no such artifact"),
    empty: (4, "has no manifest.json, so it is not an artifact"),
    swap: (4, "found an artifact of kind rollouts, expected "),
    cut_off: (5, " bytes, expected "),
    cut_off_manifest: (5, "manifest.json"),
    flip: (5, "its bytes changed"),
    flip_manifest: (5, "manifest.json"),
    age: (5, "schema: found 99, expected one of 1"),
}


@pytest.mark.parametrize(
    ("name", "kind", "harm"),
    [(*read, harm) for read in READS for harm in HARMS if (read[0], harm) != ("verify", swap)],
)
def test_harmed_input(name, kind, harm, source, tmp_path, capsys):
    """One line with the file and what was found, its exit code, and nothing is written."""
    code, found = HARMS[harm]
    harm(source / kind)
    before = tree(source / kind)
    line = fault_of(capsys, words_of(name, source, kind, tmp_path / "out"), code)
    assert line.startswith(str(source / kind))
    assert found in line
    if code == 4 and name != "verify":
        assert f"make it with `{KINDS[kind].command}`" in line
    if harm is age:
        assert "install the nnit that wrote it (9.0) or make it again with" in line
    assert names(tmp_path) == ["source"]
    assert tree(source / kind) == before


@pytest.mark.parametrize(
    ("name", "kind", "edit"),
    [
        ("zoo-export", "ghn", lambda config: config.update(decoder="rnn")),
        ("zoo-export", "ghn", lambda config: config.update(layers=3)),
        ("rollout", "ghn", lambda config: config.update(node_dim=64)),
        ("rollout", "ghn", lambda config: config.pop("channels") and config.update(channels="8")),
        ("sample", "generator", lambda config: config.update(width=64)),
        ("sample", "generator", lambda config: config.pop("patch_size")),
    ],
)
def test_model_that_cannot_be_built(name, kind, edit, source, tmp_path, capsys):
    """A configuration that is sealed and impossible, or not that of the tensors, is damage."""
    edit_manifest(own_copy(source / kind), lambda fields: edit(fields["attributes"]["config"]))
    line = fault_of(capsys, command_line(name, source, tmp_path / "out", "-q"), 5)
    assert line.startswith(f"{source / kind}: ")
    assert "that can be built: " in line
    assert names(tmp_path) == ["source"]


@pytest.mark.parametrize(
    "hide",
    [lambda params: params.pop("architectures"), lambda params: params.update(architectures=[])],
)
def test_hypernetwork_that_hides_what_it_was_trained_on(hide, source, tmp_path, capsys):
    """No zoo comes from a GHN whose manifest cannot show that nothing was leaked."""
    edit_manifest(own_copy(source / "ghn"), lambda fields: hide(fields["params"]))
    line = fault_of(capsys, command_line("zoo-export", source, tmp_path / "out", "-q"), 5)
    assert line.startswith(f"{source / 'ghn'}: does not say which architectures")
    assert names(tmp_path) == ["source"]


@pytest.mark.parametrize("name", COMMANDS)
def test_output_that_exists(name, pipeline, capsys):
    """Exit code 2 before anything is computed; what is there stays as it is."""
    out = pipeline / COMMANDS[name].kind
    before = digest(out)
    line = fault_of(capsys, command_line(name, pipeline, out, "--quiet"), 2)
    assert line == f"{out}: exists already; replace it with --force, or choose --out"
    assert digest(out) == before


@pytest.mark.parametrize("name", COMMANDS)
def test_output_that_another_process_writes(name, pipeline, tmp_path, capsys):
    """The second command ends at once and says who writes; the first one's state is untouched."""
    with (tmp_path / ".out.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4242")
        lock.flush()
        line = fault_of(capsys, command_line(name, pipeline, tmp_path / "out", "--quiet"), 6)
    assert line == (
        f"{tmp_path / 'out'}: process 4242 is writing it; wait until it is done, or choose "
        "another --out"
    )
    assert names(tmp_path) == [".out.lock"]


@pytest.mark.parametrize("name", COMMANDS)
def test_force_spares_what_is_not_of_the_same_kind(name, pipeline, tmp_path, capsys):
    """--force replaces neither a folder of somebody's files nor an artifact of another kind."""
    out, other = tmp_path / "out", next(k for k in KINDS if k != COMMANDS[name].kind)
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    line = fault_of(capsys, command_line(name, pipeline, out, "-q", "--force"), 2)
    assert line.startswith(f"{out}: has no manifest.json, so it is not an artifact; --force only")
    shutil.rmtree(out)
    shutil.copytree(pipeline / other, out)
    line = fault_of(capsys, command_line(name, pipeline, out, "-q", "--force"), 2)
    assert line.startswith(f"{out}: is an artifact of kind {other}, not {COMMANDS[name].kind}; ")
    assert tree(out) == tree(pipeline / other)


def huge(name: str, pipeline: Path, out: Path) -> list[str]:
    """Return the words that ask for a network of 50 GiB."""
    if name == "sample":
        words = ["sample", "--model", str(pipeline / "generator"), "--arch", HUGE]
        return [*words, "--beyond", "extrapolate"]
    return ["rollout", str(pipeline / "ghn"), "--arch", HUGE]


@pytest.mark.parametrize("name", ["sample", "rollout"])
def test_architecture_beyond_the_memory(name, pipeline, tmp_path, capsys):
    """Refused within a second by what it would need, before any memory is taken."""
    peak, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    words = [*huge(name, pipeline, tmp_path), "--out", str(tmp_path / "out"), "--quiet"]
    line = fault_of(capsys, words, 6)
    assert line.startswith(f"--arch {HUGE}: needs ")
    assert " GiB of memory, the machine has " in line
    assert time.process_time() - started < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 100 * 1024  # KiB
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["ghn-train", "zoo-export", "diffuse-train", "flat-train", "sample"]
)
def test_missing_device(name, pipeline, tmp_path, capsys):
    """A GPU that is not there is said to be missing; nothing runs elsewhere instead."""
    words = command_line(name, pipeline, tmp_path / "out", "-q", "--device", "cuda:99")
    line = fault_of(capsys, words, 6)
    assert line.startswith("--device cuda:99: torch sees ")
    assert line.endswith("use --device cpu, or see nnit doctor")
    assert names(tmp_path) == []


def test_missing_gpu_for_physics(pipeline, tmp_path, capsys, monkeypatch):
    """Noticed before anything is cloned or simulated, and named by the flag that asked for it."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    words = command_line("rollout", pipeline, tmp_path / "out", "-q", "--sim-backend", "physx_cuda")
    line = fault_of(capsys, words, 6)
    assert line.startswith("--sim-backend physx_cuda: torch finds no CUDA device")
    assert line.endswith("use --sim-backend physx_cpu")
    assert names(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", WAYS)
def test_full_disk(name, pipeline, server, tmp_path):
    """A file that cannot grow is exit code 6 and one line; only a log is left; a rerun works."""
    out = tmp_path / "out"
    words = command_line(name, pipeline, out, "--quiet")
    ended = server.run(words, cwd=tmp_path, file_limit=FULL)
    assert ended.code == 6
    assert ended.err == (
        f"nnit: {out}: cannot write: a file grew beyond the allowed size (see ulimit -f)\n"
    )
    assert [name for name in tree(tmp_path) if name != "out.log.jsonl"] == []
    assert server.run(words, cwd=tmp_path).code == 0
    assert tree(out) == tree(pipeline / COMMANDS[name].kind)


@pytest.mark.parametrize("name", ["ghn-train", "diffuse-train"])
def test_disk_that_is_full_at_the_end(name, pipeline, server, tmp_path):
    """A training whose artifact cannot be written leaves nothing of it."""
    words = command_line(name, pipeline, tmp_path / "out", "-q", "--checkpoint-every", "100")
    ended = server.run(words, cwd=tmp_path, file_limit=FULL)
    assert (ended.code, ended.err.count("\n")) == (6, 1)
    assert names(tmp_path) == []


def with_interface(source: Path, **changes) -> PolicyInterface:
    """Replace the demonstrations by those of another interface; return it."""
    demos, _ = read_demos(source / "demos")
    interface = demos.interface._replace(**changes)
    (source / "demos").unlink()
    write_demos(source / "demos", replace(demos, interface=interface), ORIGIN)
    return interface


@pytest.mark.parametrize(("name", "first"), [("zoo-export", "ghn"), ("rollout", "samples")])
def test_demonstrations_of_another_task(name, first, source, tmp_path, capsys):
    """Demonstrations of PickCube do not go with networks of PushCube: both named, exit code 4."""
    with_interface(source, task="PickCube-v1")
    line = fault_of(capsys, command_line(name, source, tmp_path / "out", "-q"), 4)
    assert line == (
        f"{source / 'demos'}: does not belong to {source / first}: "
        "found task PickCube-v1, expected PushCube-v1"
    )
    assert names(tmp_path) == ["source"]


@pytest.mark.parametrize(("name", "first"), [("zoo-export", "ghn"), ("rollout", "samples")])
def test_other_demonstrations_of_the_same_task(name, first, source, tmp_path, capsys):
    """Observations scaled otherwise would be other inputs to the network: refused too."""
    with_interface(source, obs_mean=(0.0,) * 35)
    line = fault_of(capsys, command_line(name, source, tmp_path / "out", "-q"), 4)
    assert line == (
        f"{source / 'demos'}: does not belong to {source / first}: "
        "they differ in obs_mean: one was made from other demonstrations"
    )


def test_hypernetwork_of_another_task(source, tmp_path, capsys):
    """A baseline of another task is no baseline."""
    zoo, _ = read_zoo(source / "zoo")
    (source / "samples").unlink()
    write_zoo(
        source / "samples",
        replace(zoo, interface=zoo.interface._replace(task="PullCube-v1")),
        ORIGIN,
    )
    line = fault_of(capsys, command_line("rollout", source, tmp_path / "out", "-q"), 4)
    assert line == (
        f"{source / 'ghn'}: does not belong to {source / 'samples'}: "
        "found task PushCube-v1, expected PullCube-v1"
    )


def test_hypernetwork_that_is_asked_for_nothing(pipeline, tmp_path, capsys):
    """A GHN has no networks of its own to run: --arch says which."""
    words = ["rollout", str(pipeline / "ghn"), "--out", str(tmp_path / "out"), "-q"]
    line = fault_of(capsys, [*words, "--params", str(pipeline / PARAMS_NAME)], 2)
    assert line.startswith(f"{pipeline / 'ghn'}: a hypernetwork writes what --arch asks for")
