"""Writing is all or nothing, one writer at a time, and never at the cost of somebody's files."""

import errno
import fcntl
import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from artifact_examples import provenance, tree, write

from nnit.artifacts import durable, publish
from nnit.artifacts.arrays import write_arrays
from nnit.artifacts.locking import lock_output
from nnit.artifacts.manifest import KINDS, MAX_MANIFEST_BYTES
from nnit.artifacts.reading import verify
from nnit.errors import OutputExistsError, ResourceError, UsageError

HERE = Path(__file__).parent
pytestmark = pytest.mark.commands


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
    """Damage of files that the manifest names must not make an output irreplaceable."""
    write("ghn", tmp_path / "ghn")
    (tmp_path / "ghn" / "model.safetensors").write_bytes(b"short")
    (tmp_path / "empty").mkdir()
    for name in ("ghn", "empty"):
        write("ghn", tmp_path / name, force=True)
        assert verify(tmp_path / name) == []


def edited(manifest: Path, **fields: object) -> bytes:
    """Return the bytes of a manifest with some fields changed, not sealed again."""
    return json.dumps({**json.loads(manifest.read_bytes()), **fields}).encode()


NO_LIST = {  # what may be in the place of a manifest that says which files are nnit's
    "cut off": lambda data, _: data[:-20],
    "one bit flipped": lambda data, _: data.replace(b'"files"', b'"fil%s"' % bytes([ord("e") ^ 1])),
    "no JSON any more": lambda data, _: data.replace(b"{", b"[", 1),
    "nested deeply": lambda data, _: b'{"nnit_version": ' + b"[" * 10**5,
    "a lone surrogate": lambda data, _: b'{"nnit_version": "\xed\xa0\x80"}',
    "files are a list": lambda _, file: edited(file, files=["model.safetensors", "notes.txt"]),
    "files are text": lambda _, file: edited(file, files="notes.txt"),
    "kind is a list": lambda _, file: edited(file, kind=["ghn"]),
    "kind is an object": lambda _, file: edited(file, kind={"ghn": 1}),
    "too large": lambda data, _: data + b" " * MAX_MANIFEST_BYTES,
}


@pytest.mark.parametrize("change", NO_LIST)
def test_force_spares_a_folder_whose_manifest_does_not_say_what_is_ours(change, tmp_path):
    """One line with the folder and what to do, in the check and in the writing; nothing is lost."""
    write("ghn", tmp_path / "ghn")
    manifest = tmp_path / "ghn" / "manifest.json"
    manifest.write_bytes(NO_LIST[change](manifest.read_bytes(), manifest))
    (tmp_path / "ghn" / "notes.txt").write_text("x")
    before = tree(tmp_path)
    for action in (publish.check_output_free, lambda path, **_: write("ghn", path, force=True)):
        with pytest.raises(UsageError, match=r"ghn: its manifest\.json is .* move or") as caught:
            action(tmp_path / "ghn", force=True, kind="ghn")
        assert "\n" not in str(caught.value)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_force_spares_a_folder_whose_manifest_is_no_file(make, tmp_path):
    """A pipe, a folder, a link to what has no end: refused at once."""
    write("ghn", tmp_path / "ghn")
    (tmp_path / "ghn" / "manifest.json").unlink()
    make(tmp_path / "ghn" / "manifest.json")
    with pytest.raises(UsageError, match=r"manifest\.json"):
        publish.check_output_free(tmp_path / "ghn", force=True, kind="ghn")


def test_force_spares_what_was_put_there_while_it_was_writing(tmp_path):
    """A note that appears after the first look is not lost with the old artifact."""
    write("ghn", tmp_path / "ghn")

    def write_slowly():
        with publish.publish(tmp_path / "ghn", "ghn", provenance(), {}, force=True) as writer:
            writer.write_file("new", b"x")
            (tmp_path / "ghn" / "notes.txt").write_text("x")

    with pytest.raises(UsageError, match=r"holds 'notes\.txt'"):
        write_slowly()
    assert (tmp_path / "ghn" / "notes.txt").read_text() == "x"
    assert names(tmp_path) == ["ghn"]


def test_nothing_is_written_into_an_artifact(tmp_path):
    """Neither the output nor a lock: its list of files would hold no longer, damaged or not."""
    write("ghn", tmp_path / "ghn")
    (tmp_path / "link").symlink_to(tmp_path / "ghn")
    before = tree(tmp_path)
    for out in ("ghn/inner", "ghn/deep/inner", "link/inner"):
        for action in (publish.check_output_free, lambda path: write("zoo", path)):
            with pytest.raises(UsageError, match=rf"{out}: lies inside the artifact .*/ghn,"):
                action(tmp_path / out)
    assert tree(tmp_path) == before
    (tmp_path / "site" / "pages").mkdir(parents=True)
    (tmp_path / "site" / "manifest.json").write_text('{"name": "a web page"}')
    write("zoo", tmp_path / "site" / "pages" / "zoo")


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        ("/", "is not a name for an output"),
        ("n" * 240, "has a name of more than 223 bytes"),
        (f"{'n' * 300}/out", "has a name of more than 223 bytes"),
        ("n/" * 2000 + "out", "is too long a path"),
        ("n" * 10**5, "has a name of more than 223 bytes"),
    ],
)
def test_a_name_that_cannot_be_is_one_short_line(out, reason, tmp_path, monkeypatch):
    """Of the root, and of names so long that those beside or inside them would not fit."""
    monkeypatch.chdir(tmp_path)
    for action in (publish.check_output_free, lambda path: write("ghn", path)):
        with pytest.raises(UsageError, match=f"{reason}; choose another --out") as caught:
            action(Path(out))
        assert len(str(caught.value)) < 300
    assert names(tmp_path) == []
    write("ghn", Path("n" * 223))


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
    (tmp_path / ".ghn.tmp-999999999-abcdef01").mkdir()
    (tmp_path / ".ghn.tmp-999999999-abcdef01" / "half").write_text("x")
    (tmp_path / ".ghn.lock").write_text("999999999")
    (tmp_path / ".ghn-other.tmp-1-abcdef01").mkdir()
    write("ghn", tmp_path / "ghn")
    assert names(tmp_path) == [".ghn-other.tmp-1-abcdef01", "ghn"]


def test_remains_are_known_by_their_exact_names(tmp_path):
    """A writer of an output with a similar name, and folders of the user's, are left alone."""
    with publish.publish(tmp_path / "foo.tmp-1", "ghn", provenance(), {}) as writer:
        writer.write_file("half", b"x")
        mine = [".foo.tmp-keep", ".foo.tmp-1-abc", ".foo.tmp-1-ABCDEF01", ".foo.old-backup"]
        for name in mine:
            (tmp_path / name).mkdir()
            (tmp_path / name / "notes.txt").write_text("x")
        write("ghn", tmp_path / "foo")
    assert verify(tmp_path / "foo.tmp-1") == []
    assert names(tmp_path) == sorted([*mine, "foo", "foo.tmp-1"])


@pytest.mark.parametrize("there", [True, False])
def test_only_an_artifact_comes_back_or_goes_as_one_that_was_set_aside(there, tmp_path):
    """A folder of the user's stays, whatever its name, and so does a link."""
    aside = tmp_path / ".ghn.old-1-abcdef01"
    aside.mkdir()
    (aside / "notes.txt").write_text("x")
    write("ghn", tmp_path / "kept")
    (tmp_path / ".ghn.old-2-abcdef01").symlink_to(tmp_path / "kept")
    if there:
        write("ghn", tmp_path / "ghn")
    write("ghn", tmp_path / "ghn", force=there)
    assert names(tmp_path) == [".ghn.old-1-abcdef01", ".ghn.old-2-abcdef01", "ghn", "kept"]
    assert (aside / "notes.txt").read_text() == "x"


def test_an_artifact_that_was_set_aside_comes_back(tmp_path):
    """A crash between the two renames of the fallback loses nothing: the old one is put back."""
    write("ghn", tmp_path / "ghn")
    (tmp_path / "ghn").rename(tmp_path / ".ghn.old-1-abcdef01")
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


@pytest.mark.parametrize("removed", ["out", "around", "out again"])
def test_a_folder_that_is_removed_while_writing_is_one_line(removed, tmp_path):
    """Exit code 6, and no artifact that lacks what was removed; zarr makes folders again."""

    def write_and_lose():
        with publish.publish(tmp_path / "at" / "zoo", "zoo", provenance(), {}) as writer:
            writer.write_file("first", b"x")
            shutil.rmtree(tmp_path / "at" if removed == "around" else writer.folder)
            if removed == "out again":
                write_arrays(writer, {"x": np.zeros((50, 3), np.float32)})

    with pytest.raises(ResourceError, match="zoo: cannot write: its folder was removed") as caught:
        write_and_lose()
    assert "\n" not in str(caught.value)
    assert names(tmp_path) in (["at"], [])
    assert not (tmp_path / "at" / "zoo").exists()


@pytest.mark.parametrize("nameless", [True, False])
def test_looking_whether_a_place_is_writable_leaves_nothing(nameless, tmp_path, monkeypatch):
    """Not even a probe that a kill could leave, where the file system has files without names."""
    made = []
    monkeypatch.setattr(Path, "mkdir", lambda path, **_: made.append(path.name))
    monkeypatch.setattr(Path, "rmdir", lambda path: None)
    if not nameless:
        real = os.open

        def without(path, flags, *mode, **options):
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
            return real(path, flags, *mode, **options)

        monkeypatch.setattr(os, "open", without)
    publish.check_output_free(tmp_path / "ghn")
    assert names(tmp_path) == []
    # One with a name is one that the next writer of the same output removes.
    assert [durable.hidden_for(name, "tmp") for name in made] == ([] if nameless else ["ghn"])


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


@pytest.mark.parametrize("content", ["my notes", "12 and more", "9" * 21])
def test_a_file_that_is_no_lock_is_not_taken_for_one(content, tmp_path):
    """It is neither overwritten nor removed; one line names it."""
    file = tmp_path / ".ghn.lock"
    file.write_text(content)
    with pytest.raises(UsageError, match=r"\.ghn\.lock is in the way") as caught:
        write("ghn", tmp_path / "ghn")
    assert "\n" not in str(caught.value)
    assert file.read_text() == content
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(UsageError, match="is in the way"):
        write("ghn", tmp_path / "ghn")


def test_a_run_that_writes_nothing_leaves_no_folder(tmp_path):
    """Those that it made go with its lock; one that was there, or holds something, stays."""
    with lock_output(tmp_path / "artifacts/deep/samples"):
        pass
    assert list(tmp_path.iterdir()) == []
    with lock_output(tmp_path / "artifacts/samples"):
        (tmp_path / "artifacts/samples").mkdir()
    assert (tmp_path / "artifacts/samples").is_dir()


def test_a_command_can_hold_the_lock_from_its_start(tmp_path):
    """The same thread may publish under its own lock, and the lock goes when the outer one ends."""
    with lock_output(tmp_path / "ghn"):
        write("ghn", tmp_path / "ghn")
        assert ".ghn.lock" in names(tmp_path)
    assert names(tmp_path) == ["ghn"]
