"""Writing is all or nothing, one writer at a time, and never at the cost of somebody's files."""

import errno
import fcntl
import itertools
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from artifact_examples import provenance, tree, write

from nnit.artifacts import durable, publish
from nnit.artifacts.locking import lock_output
from nnit.artifacts.manifest import KINDS
from nnit.artifacts.reading import verify
from nnit.errors import OutputExistsError, ResourceError, UsageError

HERE = Path(__file__).parent


def names(folder: Path) -> list[str]:
    """Return what lies in a folder, hidden entries included."""
    return sorted(entry.name for entry in folder.iterdir())


def run(code: str, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run Python code in another process, with the examples importable."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(HERE), **options.pop("env", {})},
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


def test_a_successful_write_leaves_the_artifact_and_nothing_else(tmp_path):
    """Neither lock nor temporary folder stays."""
    for kind in KINDS:
        write(kind, tmp_path / "deep" / kind)
    assert names(tmp_path / "deep") == sorted(KINDS)


def test_the_same_content_gives_the_same_bytes_in_every_process(tmp_path):
    """All kinds: two processes with different hash seeds write identical trees."""
    code = (
        "import sys; from pathlib import Path; from artifact_examples import write\n"
        "from nnit.artifacts.manifest import KINDS\n"
        "for kind in KINDS: write(kind, Path(sys.argv[1]) / kind)\n"
    )
    for number in (1, 2):
        result = run(code, tmp_path / str(number), env={"PYTHONHASHSEED": str(number)})
        assert result.returncode == 0, result.stderr
    assert tree(tmp_path / "1") == tree(tmp_path / "2")
    assert len(tree(tmp_path / "1")) > 50


def test_an_existing_output_is_refused_without_force(tmp_path):
    """The error has exit code 2, and what is there stays."""
    write("ghn", tmp_path / "ghn")
    before = tree(tmp_path)
    with pytest.raises(OutputExistsError, match="--force") as caught:
        write("ghn", tmp_path / "ghn")
    assert caught.value.exit_code == 2
    with pytest.raises(OutputExistsError):
        publish.check_output_free(tmp_path / "ghn")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("swap", [True, False])
def test_force_replaces_the_old_artifact_by_the_new_one(swap, tmp_path, monkeypatch):
    """With and without the system call that swaps two names, only the new files are left."""
    if not swap:
        monkeypatch.setattr(durable, "_rename", lambda *_: False)
    out = tmp_path / "out"
    with publish.publish(out, "ghn", provenance(), {}) as writer:
        writer.write_file("old", b"1")
    with publish.publish(out, "ghn", provenance(), {}, force=True) as writer:
        writer.write_file("new/file", b"2")
    assert sorted(tree(out)) == ["manifest.json", "new/file"]
    assert verify(out) == []
    assert names(tmp_path) == ["out"]


def test_force_never_removes_what_is_not_an_artifact_of_this_kind(tmp_path):
    """Folders of the user, other kinds, and artifacts with files added stay as they are."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "manifest.json").write_text('{"name": "a web page"}')
    (tmp_path / "file").write_text("x")
    write("demos", tmp_path / "demos")
    write("ghn", tmp_path / "noted")
    (tmp_path / "noted" / "notes.txt").write_text("x")
    before = tree(tmp_path)
    for name in ("mine", "site", "file", "demos", "noted"):
        with pytest.raises(UsageError, match=name):
            write("ghn", tmp_path / name, force=True)
        with pytest.raises(UsageError, match=name):
            publish.check_output_free(tmp_path / name, force=True, kind="ghn")
    assert tree(tmp_path) == before


def test_force_replaces_a_damaged_artifact_and_an_empty_folder(tmp_path):
    """Damage must not make an output irreplaceable."""
    write("ghn", tmp_path / "ghn")
    manifest = tmp_path / "ghn" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:-20])
    (tmp_path / "empty").mkdir()
    for name in ("ghn", "empty"):
        write("ghn", tmp_path / name, force=True)
        assert verify(tmp_path / name) == []


@pytest.mark.parametrize("fault", [KeyboardInterrupt, ValueError, SystemExit])
def test_an_interrupted_write_leaves_the_old_artifact_alone(fault, tmp_path):
    """Whatever is raised while writing, the folder around is as it was before."""
    write("ghn", tmp_path / "ghn")
    before = tree(tmp_path)

    def interrupted(path, force):
        with publish.publish(path, "ghn", provenance(), {}, force=force) as writer:
            writer.write_file("half", b"x")
            raise fault

    for name, force in (("ghn", True), ("new", False)):
        with pytest.raises(fault):
            interrupted(tmp_path / name, force)
    assert tree(tmp_path) == before
    assert names(tmp_path) == ["ghn"]


def test_remains_of_killed_writers_are_removed_by_the_next(tmp_path):
    """Stale temporary folders and locks of this output go; those of another output stay."""
    (tmp_path / ".ghn.tmp-999999999-abcd").mkdir()
    (tmp_path / ".ghn.tmp-999999999-abcd" / "half").write_text("x")
    (tmp_path / ".ghn.lock").write_text("999999999")
    (tmp_path / ".ghn-other.tmp-1-abcd").mkdir()
    write("ghn", tmp_path / "ghn")
    assert names(tmp_path) == [".ghn-other.tmp-1-abcd", "ghn"]


def test_an_artifact_that_was_set_aside_comes_back(tmp_path):
    """A crash between the two renames of the fallback loses nothing: the old one is put back."""
    write("ghn", tmp_path / "ghn")
    (tmp_path / "ghn").rename(tmp_path / ".ghn.old-1-abcd")
    with pytest.raises(OutputExistsError):
        write("ghn", tmp_path / "ghn")
    assert verify(tmp_path / "ghn") == []


def test_file_modes_follow_the_umask(tmp_path):
    """Files are 0666 and folders 0777 less the umask, whatever library made them."""
    for umask in (0o002, 0o077):
        old = os.umask(umask)
        try:
            for kind in ("zoo", "samples", "rollouts"):
                write(kind, tmp_path / f"{umask:o}" / kind)
        finally:
            os.umask(old)
        for entry in (tmp_path / f"{umask:o}").rglob("*"):
            full = 0o777 if entry.is_dir() else 0o666
            assert entry.stat().st_mode & 0o777 == full & ~umask, entry


def limit_file_size() -> None:
    """Let files of the process that is about to start end at 100 kB, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


WRITE_BIG = """
import sys
from pathlib import Path
import numpy as np
from artifact_examples import INTERFACE, demos, provenance
from nnit.artifacts.demos import write_demos
from nnit.artifacts.model import write_model
from nnit.artifacts.state import save_state
from nnit.errors import ResourceError
kind, path = sys.argv[1], Path(sys.argv[2])
big = {"w": np.random.default_rng(0).standard_normal(10**5, dtype=np.float32)}
try:
    if kind == "demos":
        write_demos(path, demos(20000), provenance())
    elif kind == "state":
        save_state(path, "key", 1, big, {})
    else:
        write_model(path, kind, {}, big, [INTERFACE], {}, provenance(), force=True)
except ResourceError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize("kind", ["demos", "generator", "state"])
def test_a_full_disk_is_one_line_and_leaves_nothing(kind, tmp_path):
    """Zarr, safetensors and state: exit code 6, the path in the message, no files left."""
    result = run(WRITE_BIG, kind, tmp_path / "out", preexec_fn=limit_file_size)
    assert result.returncode == 6, result.stderr
    assert str(tmp_path / "out") in result.stdout
    assert len(result.stdout.splitlines()) == 1
    assert tree(tmp_path) == {}
    assert names(tmp_path) in ([], ["out.state"])


def test_a_full_disk_leaves_the_old_artifact(tmp_path):
    """``--force`` on a disk that fills up keeps what was there."""
    write("ghn", tmp_path / "ghn")
    before = tree(tmp_path)
    result = run(WRITE_BIG, "ghn", tmp_path / "ghn", preexec_fn=limit_file_size)
    assert result.returncode == 6, result.stderr
    assert tree(tmp_path) == before


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_every_failing_sync_becomes_a_resource_error(number, tmp_path, monkeypatch):
    """Whichever call of fsync fails, the error names the output and nothing half-written stays."""
    real = os.fsync
    failures = 0
    for call in range(50):
        numbers = itertools.count()

        def failing(descriptor, call=call, numbers=numbers):
            if next(numbers) == call:
                raise OSError(number, os.strerror(number))
            real(descriptor)

        monkeypatch.setattr(os, "fsync", failing)
        try:
            write("samples", tmp_path / "samples", force=True)
        except ResourceError as error:
            failures += 1
            assert "samples: cannot write" in str(error)  # noqa: PT017  # both ends are checked
            # Once the last rename is done the artifact is whole; only its durability is unsure.
            assert names(tmp_path) in ([], ["samples"])
        else:
            break
    assert failures == 4 + 1 + 3 + 1  # files, the manifest, folders, and the folder around
    assert verify(tmp_path / "samples") == []


def test_an_unwritable_place_is_found_before_computing(tmp_path):
    """The check before a long computation tries to write; a file as parent is a usage error."""
    publish.check_output_free(tmp_path / "a" / "b" / "c")
    assert names(tmp_path) == []
    with pytest.raises(ResourceError):
        publish.check_output_free(Path("/proc/nnit-out"))
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="not a folder"):
        publish.check_output_free(tmp_path / "file" / "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_a_resource_error(tmp_path):
    """Permission denied is exit code 6, in the check and in the writing."""
    tmp_path.chmod(0o555)
    for action in (publish.check_output_free, lambda path: write("ghn", path)):
        with pytest.raises(ResourceError, match="permission"):
            action(tmp_path / "out")
    tmp_path.chmod(0o755)


HOLD = """
import sys, time
from pathlib import Path
from artifact_examples import provenance
from nnit.artifacts.publish import publish
with publish(Path(sys.argv[1]), "ghn", provenance(), {}) as writer:
    writer.write_file("data", b"x")
    print("writing", flush=True)
    sys.stdin.read()
"""


def test_of_two_writers_one_wins_and_the_other_learns_who(tmp_path):
    """The second writer gets the first one's process id; a killed holder blocks nobody."""
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    command = [sys.executable, "-c", HOLD, str(tmp_path / "ghn")]
    for ending in ("finish", "kill"):
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdin is not None
            assert holder.stdout.readline() == b"writing\n"
            with pytest.raises(ResourceError, match=f"process {holder.pid} is writing it"):
                write("ghn", tmp_path / "ghn")
            if ending == "kill":
                holder.kill()
            holder.stdin.close()
            holder.wait(30)
        if ending == "finish":
            assert verify(tmp_path / "ghn") == []
            (tmp_path / "ghn").rename(tmp_path / "first")
    write("ghn", tmp_path / "ghn")
    assert names(tmp_path) == ["first", "ghn"]


def test_many_writers_at_once_write_one_artifact(tmp_path):
    """Eight processes, one output: at least one succeeds, the others fail by the two known ways."""
    code = (
        "import sys; from pathlib import Path; from artifact_examples import write\n"
        "from nnit.errors import NnitError\n"
        "sys.stdin.read()\n"
        "for _ in range(30):\n"
        "    try: write('samples', Path(sys.argv[1]), force=True); print('done')\n"
        "    except NnitError as error: print(type(error).__name__)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    command = [sys.executable, "-c", code, str(tmp_path / "out")]
    pipe = subprocess.PIPE
    writers = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)
        for _ in range(4)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.close()
        writer.stdin = None
    outcomes = []
    for writer in writers:
        output, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0, errors
        outcomes += output.split()
    assert set(outcomes) <= {"done", "ResourceError"}
    assert outcomes.count("done") >= 1
    assert verify(tmp_path / "out") == []
    assert names(tmp_path) == ["out"]


def test_a_lock_file_removed_in_between_lets_nobody_in(tmp_path, monkeypatch):
    """Who opened the lock file just before its holder removed it locks the new one instead."""
    real, name = fcntl.flock, tmp_path / ".ghn.lock"
    outcome = []

    def raced(descriptor, operation):
        monkeypatch.setattr(fcntl, "flock", real)
        name.unlink()
        real(descriptor, operation)

    def rival():
        try:
            with lock_output(tmp_path / "ghn"):
                outcome.append("let in")
        except ResourceError:
            outcome.append("refused")

    monkeypatch.setattr(fcntl, "flock", raced)
    with lock_output(tmp_path / "ghn"):
        thread = threading.Thread(target=rival)
        thread.start()
        thread.join()
    assert outcome == ["refused"]
    assert names(tmp_path) == []


def test_a_command_can_hold_the_lock_from_its_start(tmp_path):
    """The same thread may publish under its own lock, and the lock goes when the outer one ends."""
    with lock_output(tmp_path / "ghn"):
        write("ghn", tmp_path / "ghn")
        assert ".ghn.lock" in names(tmp_path)
    assert names(tmp_path) == ["ghn"]
