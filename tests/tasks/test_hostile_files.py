"""Files that were made to do harm: one line each, soon, in little memory, and nothing opened."""

import gzip
import json
import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from itertools import product
from pathlib import Path

import h5py
import numpy as np
import pytest

from nnit.errors import DamagedArtifactError, WrongKindError
from nnit.tasks import trajectories
from nnit.tasks.classification import IDX_FILES, IDX_IMAGES, MAX_DIGITS, read_idx, read_mnist
from nnit.tasks.trajectories import read_trajectories

OBS, ACTIONS, STEPS = 35, 4, 5  # of PushCube-v1, and of each episode
ELSEWHERE = "elsewhere.h5"
LIMIT_S = 5.0
LIMIT_MB = 600  # a process with numpy and h5py has 100 of its own
ZEROS = bytes(2**20)


def write_episodes(folder: Path) -> Path:
    """Write two episodes as ManiSkill does, and a file that nobody is to open."""
    for name in ("trajectory.h5", ELSEWHERE):
        with h5py.File(folder / name, "w") as file:
            for number in range(2):
                group = file.create_group(f"traj_{number}")
                group["obs"] = np.ones((STEPS + 1, OBS), np.float32)
                group["actions"] = np.zeros((STEPS, ACTIONS), np.float32)
                group["success"] = np.ones(STEPS, bool)
    episodes = [
        {"episode_id": k, "episode_seed": 10_000 + k, "control_mode": "pd_ee_delta_pos"}
        for k in range(2)
    ]
    header = {"env_info": {"env_id": "PushCube-v1"}, "episodes": episodes}
    (folder / "trajectory.json").write_text(json.dumps(header))
    return folder / "trajectory.h5"


@pytest.fixture
def written(tmp_path, monkeypatch) -> Path:
    """Two episodes whose arrays are read, and no simulator after that."""
    monkeypatch.setattr(trajectories, "official_environment", lambda _: None)
    monkeypatch.setattr(trajectories.ActionBounds, "__init__", lambda *_: None)
    monkeypatch.setattr(trajectories.ActionBounds, "inner", lambda _, actions: actions)
    return write_episodes(tmp_path)


def test_honest_files_are_read(written):
    """Packed and not, as everybody packs them."""
    with h5py.File(written, "r+") as file:
        replace(file, "obs", data=np.ones((STEPS + 1, OBS)), compression="gzip", shuffle=True)
        replace(file, "success", data=np.ones(STEPS, np.uint8), compression="gzip", fletcher32=True)
        actions = np.random.default_rng(0).uniform(-1, 1, (STEPS, ACTIONS)).astype(">f8")
        for fletcher32, shuffle in product((False, True), repeat=2):
            how = {"fletcher32": fletcher32, "shuffle": shuffle, "compression": 9}
            replace(file, "actions", data=actions, chunks=(2, 3), **how)
            file.flush()
            found = read_trajectories(written)
            assert np.array_equal(found.actions[:STEPS], actions.astype(np.float32))
    assert found.observations.shape == (2 * STEPS, OBS)
    assert found.success_at_end.all()


def replace(file: h5py.File, name: str, **how) -> h5py.Dataset:
    """Put another array in the place of one of the first episode."""
    del file[f"traj_0/{name}"]
    return file["traj_0"].create_dataset(name, **how)


def linked(link: object, name: str = "traj_0/obs") -> Callable[[h5py.File], None]:
    """Put a link in the place of something."""

    def harm(file: h5py.File) -> None:
        del file[name]
        file[name] = link

    return harm


def made(name: str, **how) -> Callable[[h5py.File], None]:
    """Put another array in the place of one."""
    return lambda file: replace(file, name, **how) and None


def packed_as(data: bytes, **how) -> Callable[[h5py.File], None]:
    """Have a chunk of one's own making."""

    def harm(file: h5py.File) -> None:
        found = replace(file, "obs", shape=ROWS, chunks=ROWS, dtype="f4", **how)
        found.id.write_direct_chunk((0, 0), data)

    return harm


def virtual(file: h5py.File) -> None:
    """Have observations that are another file's."""
    layout = h5py.VirtualLayout((STEPS + 1, OBS), np.float32)
    layout[:] = h5py.VirtualSource(ELSEWHERE, "traj_0/obs", (STEPS + 1, OBS))
    del file["traj_0/obs"]
    file["traj_0"].create_virtual_dataset("obs", layout)


def references(file: h5py.File) -> None:
    """Have observations that are references."""
    found = replace(file, "obs", shape=(STEPS + 1, OBS), dtype=h5py.ref_dtype)
    found[0, 0] = file["traj_1"].ref


def grouped(file: h5py.File) -> None:
    """Have a group where an array should be."""
    del file["traj_0/actions"]
    file.create_group("traj_0/actions")


def no_group(file: h5py.File) -> None:
    """Have an array where an episode should be."""
    del file["traj_0"]
    file["traj_0"] = np.ones(3)


def named_type(file: h5py.File) -> None:
    """Have a type where an array should be."""
    del file["traj_0/success"]
    file["traj_0/success"] = np.dtype("f8")


ROWS = (STEPS + 1, OBS)
HARMS = {
    "dangling link": linked(h5py.SoftLink("/nothing")),
    "link to itself": linked(h5py.SoftLink("/traj_0/obs")),
    "link within": linked(h5py.SoftLink("/traj_1/obs")),
    "link to another file": linked(h5py.ExternalLink(ELSEWHERE, "traj_0/obs")),
    "link to a pipe": linked(h5py.ExternalLink("pipe", "traj_0/obs")),
    "episode in another file": linked(h5py.ExternalLink(ELSEWHERE, "traj_0"), "traj_0"),
    "episode of itself": linked(h5py.SoftLink("/traj_0"), "traj_0"),
    "raw data of another file": made(
        "obs", shape=ROWS, dtype="f4", external=[(ELSEWHERE, 0, 4 * (STEPS + 1) * OBS)]
    ),
    "virtual": virtual,
    "references": references,
    "group": grouped,
    "no group": no_group,
    "type": named_type,
    "texts": made("obs", shape=ROWS, dtype=h5py.string_dtype()),
    "short texts": made("obs", data=np.full(ROWS, b"1")),
    "records": made("obs", data=np.zeros(ROWS, [("x", "f4")])),
    "complex": made("obs", data=np.zeros(ROWS, complex)),
    "bytes": made("obs", data=np.zeros(ROWS, "V8")),
    "lists": made("obs", shape=ROWS, dtype=h5py.vlen_dtype(np.float32)),
    "one number": made("success", data=1.0),
    "one action": made("actions", data=1.0),
    "nothing": made("success", dtype="f4", data=h5py.Empty("f4")),
    "no steps": made("actions", data=np.zeros((0, ACTIONS))),
    "too many dimensions": made("obs", data=np.zeros((*ROWS, 1))),
    "too large for float32": made("obs", data=np.full(ROWS, 1e300)),
    "a chunk that ends early": packed_as(zlib.compress(b"1"), compression="gzip"),
    "a chunk that goes on": packed_as(
        zlib.compress(bytes(4 * ROWS[0] * ROWS[1] + 1)), compression=1
    ),
    "a chunk that is none": packed_as(b"1" * 40, compression="gzip"),
    "no chunk": made("obs", shape=ROWS, chunks=ROWS, dtype="f4", compression="gzip"),
    "another packing": made("obs", data=np.zeros(ROWS), compression="lzf"),
    "a chunk of 4 GB": made(
        "obs", shape=ROWS, maxshape=(None, OBS), chunks=(2**24, OBS), dtype="f8"
    ),
}


@pytest.mark.parametrize("harm", HARMS)
def test_an_h5_file_is_read_by_itself_alone(harm, written, monkeypatch):
    """No other file is opened, and what is no array of numbers is one line with the file."""
    os.mkfifo(written.parent / "pipe")
    with h5py.File(written, "r+") as file:
        HARMS[harm](file)
    (written.parent / ELSEWHERE).chmod(0)
    monkeypatch.chdir(written.parent)
    with pytest.raises((DamagedArtifactError, WrongKindError)) as caught:
        read_trajectories(written)
    assert str(caught.value).startswith(f"{written}: ")
    assert "\n" not in str(caught.value)


def unpacking_to_a_gigabyte(file: h5py.File) -> None:
    """Have a chunk that is larger than it says."""
    found = replace(file, "obs", shape=ROWS, chunks=ROWS, dtype="f4", compression="gzip")
    packing = zlib.compressobj(1)
    packed = b"".join(packing.compress(ZEROS) for _ in range(1024)) + packing.flush()
    found.id.write_direct_chunk((0, 0), packed)


def shapes(steps: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of an episode."""
    return {"obs": (steps + 1, OBS), "actions": (steps, ACTIONS), "success": (steps,)}


def empty_gigabytes(**how) -> Callable[[h5py.File], None]:
    """Have arrays of zeros that are nowhere in the file."""

    def harm(file: h5py.File) -> None:
        steps = 2**26
        for name, shape in {
            "obs": (steps + 1, OBS),
            "actions": (steps, 4),
            "success": (steps,),
        }.items():
            replace(file, name, shape=shape, dtype="f4", **how)

    return harm


def hundreds_of_names(file: h5py.File) -> None:
    """Have one array of 40 MB under many names."""
    steps = 2**18
    for name, shape in {
        "obs": (steps + 1, OBS),
        "actions": (steps, 4),
        "success": (steps,),
    }.items():
        replace(file, name, data=np.zeros(shape, np.float32), compression=1, chunks=True)
    for number in range(1, 200):
        if number > 1:
            file[f"traj_{number}"] = file["traj_0"]


BOMBS = (
    unpacking_to_a_gigabyte,
    empty_gigabytes(),
    empty_gigabytes(compression="gzip", chunks=True),
    hundreds_of_names,
)


def digits_zip(path: Path, shape: str, head: bytes | None = None, megabytes: int = 1024) -> None:
    """Write a ``.npz`` whose images are zeros behind a header."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("labels.npy", npy(np.zeros(3, np.uint8)))
        with archive.open("images.npy", "w", force_zip64=True) as member:
            member.write(head or b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
            for _ in range(megabytes):
                member.write(ZEROS)


def npy(array: np.ndarray) -> bytes:
    """Return a ``.npy`` file."""
    from io import BytesIO

    file = BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


@pytest.mark.slow
def test_what_unpacks_to_gigabytes_is_refused_before(tmp_path):
    """Files of a megabyte or two: each one line within five seconds and some hundred megabytes."""
    cases = []
    for k, harm in enumerate(BOMBS):
        (tmp_path / str(k)).mkdir()
        path = write_episodes(tmp_path / str(k))
        with h5py.File(path, "r+") as file:
            harm(file)
        if harm is hundreds_of_names:
            episodes = [(str(n), "10000", MODE) for n in range(200) if n != 1]
            path.with_suffix(".json").write_text(header(PUSH, *episodes))
        cases.append(("trajectories", path))
    for name, arguments in {
        "rows": ("(1369568, 28, 28)",),
        "more": ("(3, 28, 28)",),
        "floats": ("(3, 28, 28, 99999999)",),
        "head": ("", b"\x93NUMPY\x02\x00\xff\xff\xff\x3f"),
    }.items():
        digits_zip(tmp_path / f"{name}.npz", *arguments)
        cases.append(("digits", tmp_path / f"{name}.npz"))
    idx = tmp_path / "idx"
    idx.mkdir()
    for name in IDX_FILES["train"]:
        with gzip.open(idx / f"{name}.gz", "wb", compresslevel=1) as file:
            file.write(bytes([0, 0, 8, 3, 0, 0x10, 0, 0, 0, 0, 0, 28, 0, 0, 0, 28]))
            for _ in range(1024):
                file.write(ZEROS)
    cases.append(("digits", idx))
    assert (
        max(p.stat().st_size for _, path in cases for p in [path, *path.parent.iterdir()]) < 2**24
    )
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from nnit.errors import NnitError\n"
        "from nnit.tasks.classification import read_mnist\n"
        "from nnit.tasks.trajectories import read_trajectories\n"
        "import h5py\n"
        "for kind, path in zip(sys.argv[1::2], sys.argv[2::2]):\n"
        "    started = time.process_time()\n"
        "    try:\n"
        "        read_mnist(path) if kind == 'digits' else read_trajectories(Path(path))\n"
        "    except NnitError as error:\n"
        "        status = Path('/proc/self/status').read_text()\n"
        "        peak = int(status.partition('VmHWM:')[2].split()[0]) // 1024\n"
        "        print(path, time.process_time() - started, peak, error, sep='|')\n"
    )
    words = [word for kind, path in cases for word in (kind, str(path))]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(cases), done.stdout + done.stderr
    for line, (_, path) in zip(lines, cases, strict=True):
        named, seconds, peak, message = line.split("|", 3)
        assert named == str(path)
        assert str(path) in message
        assert float(seconds) < LIMIT_S, line
        assert int(peak) < LIMIT_MB, line


HEADER = '{"env_info": {"env_id": %s}, "episodes": [%s]}'
EPISODE = '{"episode_id": %s, "episode_seed": %s, "control_mode": %s}'
PUSH, MODE = '"PushCube-v1"', '"pd_ee_delta_pos"'


def header(env_id: str = PUSH, *episodes: tuple[str, str, str]) -> str:
    """Return a header of episodes."""
    return HEADER % (env_id, ", ".join(EPISODE % one for one in episodes or [("0", "0", MODE)]))


HEADERS = {
    "nested": "[" * 100_000,
    "nested objects": '{"a":' * 100_000,
    "a key twice": '{"env_info": 1, "env_info": 2}',
    "huge number": header(PUSH, ("9" * 5000, "0", MODE)),
    "large number": header(PUSH, (str(2**70), "0", MODE)),
    "large seed": header(PUSH, ("0", str(2**31), MODE)),
    "negative": header(PUSH, ("-1", "0", MODE)),
    "fraction": header(PUSH, ("0.5", "0", MODE)),
    "text": header(PUSH, ('"0"', "0", MODE)),
    "truth": header(PUSH, ("true", "0", MODE)),
    "NaN": header(PUSH, ("NaN", "0", MODE)),
    "infinite": header(PUSH, ("0", "1e999", MODE)),
    "twice": header(PUSH, ("0", "0", MODE), ("0", "1", MODE)),
    "list as a mode": header(PUSH, ("0", "0", "[]")),
    "number as a mode": header(PUSH, ("0", "0", "7")),
    "list as a task": header("[]"),
    "no task": header("null"),
    "no episodes": HEADER % (PUSH, ""),
    "a number": "7",
    "a number as episodes": '{"env_info": {"env_id": "x"}, "episodes": 7}',
    "numbers as episodes": HEADER % (PUSH, "1, 2"),
    "larger than any": header() + " " * 2**24,
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_is_looked_at_before_the_file(name, written):
    """Exit code 5 and one line of a reasonable length with the file."""
    written.with_suffix(".json").write_text(HEADERS[name])
    written.unlink()
    with pytest.raises(DamagedArtifactError) as caught:
        read_trajectories(written)
    line = str(caught.value)
    assert line.startswith(f"{written.with_suffix('.json')}: ")
    assert "\n" not in line
    assert len(line) < 400 + len(str(written))


@pytest.mark.parametrize(
    ("env_id", "mode"),
    [
        ("helper.py", "pd_ee_delta_pos"),
        ("x", "helper.py"),
        ("{folder}/t", "helper.py"),
        ("gym:helper:Env-v0", "none"),
        ("helper:PushCube-v1", "pd_ee_delta_pos"),
        ("PushCube-v1", "pd_ee_delta_pos\nnnit: done"),
        ("\x1b[2J", "pd_ee_delta_pos"),
    ],
)
def test_a_header_names_no_code(env_id, mode, written, monkeypatch):
    """What it names is neither run nor imported, and does not get onto the terminal."""
    folder, trace = written.parent, written.parent / "ran"
    for name in ("helper.py", "x@helper.py", "t@helper.py"):
        (folder / name).write_text(f"from pathlib import Path\nPath({str(trace)!r}).touch()\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.chdir(folder)
    text = header(json.dumps(env_id.format(folder=folder)), ("0", "10000", json.dumps(mode)))
    written.with_suffix(".json").write_text(text)
    with pytest.raises(WrongKindError, match="expected a task of ManiSkill") as caught:
        read_trajectories(written)
    assert str(caught.value).isprintable()
    assert not trace.exists()


@pytest.mark.parametrize("name", ["trajectory.h5", "trajectory.json"])
def test_a_pipe_is_not_waited_for(name, written):
    """It is no regular file."""
    (written.parent / name).unlink()
    os.mkfifo(written.parent / name)
    with pytest.raises(DamagedArtifactError, match=f"{name}: is not a regular file"):
        read_trajectories(written)


IMAGES, LABELS = npy(np.zeros((3, 28, 28), np.uint8)), npy(np.zeros(3, np.uint8))


def with_head(text: str, version: bytes = b"\1\0") -> bytes:
    """Return a ``.npy`` file of three images with a header of one's own."""
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text.encode() + bytes(2352)


def shaped(shape: str, dtype: str = "'|u1'") -> bytes:
    """Return a ``.npy`` file that says something of its shape and type."""
    return with_head(f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}")


DIGITS = {
    "objects": npy(np.full((3, 28, 28), None)),
    "texts": npy(np.full((3, 28, 28), "a")),
    "complex": npy(np.zeros((3, 28, 28), complex)),
    "records": npy(np.zeros((3, 28, 28), [("x", "u1")])),
    "one number": npy(np.array(3)),
    "four dimensions": npy(np.zeros((3, 28, 28, 1))),
    "larger images": npy(np.zeros((3, 29, 28))),
    "no images": npy(np.zeros((0, 28, 28))),
    "infinite": npy(np.full((3, 28, 28), np.inf)),
    "too large for float32": npy(np.full((3, 28, 28), 1e300)),
    "nothing": b"",
    "another version": with_head("", b"\2\0"),
    "no header": with_head("["),
    "a header that nests": with_head("-" * 9000 + "1"),
    "a type that nests": shaped("(3, 28, 28)", "[" * 90 + "('x', 'u1')" + "]" * 90),
    "a type of gigabytes": shaped("(3, 28, 28)", "'V2147483647'"),
    "negative": shaped("(-3, -28, 28)"),
    "fractions": shaped("(3.0, 28, 28)"),
    "huge": shaped(f"({2**70}, 28, 28)"),
    "of no width": shaped(f"(3, {2**70}, 0)"),
    "shorter than it says": IMAGES[:-1],
    "longer than it says": IMAGES + b"0",
}


@pytest.mark.parametrize("name", DIGITS)
def test_wrong_images_are_one_line(name, tmp_path):
    """Whatever the member holds; nothing is unpickled."""
    path = tmp_path / "digits.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("labels.npy", LABELS)
        archive.writestr("images.npy", DIGITS[name])
    refused(str(path))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("names", "how"),
    [
        (["images.npy", "labels.npy", "images.npy"], {}),
        (["images.npy"], {}),
        (["images", "\x1b[2J\nlabels"], {}),
        (["images.npy", "labels.npy"], {"compression": zipfile.ZIP_LZMA}),
        ([f"{k}.npy" for k in range(100)], {}),
    ],
)
def test_wrong_members_are_one_line(names, how, tmp_path):
    """Twice, missing, wildly named, packed in another way, too many."""
    path = tmp_path / "digits.npz"
    with zipfile.ZipFile(path, "w", **how) as archive:
        for name in names:
            archive.writestr(name, IMAGES if name == "images.npy" else LABELS)
    refused(str(path))


def refused(path: str) -> None:
    """Have a file of digits read that is none."""
    with pytest.raises(DamagedArtifactError) as caught:
        read_mnist(path)
    line = str(caught.value)
    assert line.startswith(f"--data {path}: ")
    assert line.isprintable()
    assert len(line) < 300 + len(path)


@pytest.mark.parametrize("stored_by", ["rows", "columns"])
def test_honest_digits_are_read(stored_by, tmp_path):
    """In the order that numpy stores them in, and in any type of numbers."""
    images = np.random.default_rng(0).integers(0, 255, (20, 28, 28)).astype(">f8")
    order = "F" if stored_by == "columns" else "C"
    labels = np.arange(20) % 10
    np.savez(tmp_path / "digits.npz", images=np.asarray(images, order=order), labels=labels)
    examples, _ = read_mnist(str(tmp_path / "digits.npz"))
    by_image = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    for row, label in zip(examples.inputs, examples.labels, strict=True):
        assert by_image[row.astype(">f8").tobytes()] == label


IDX_HEAD = bytes([0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 28, 0, 0, 0, 28])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        IDX_HEAD[:7],
        IDX_HEAD + bytes(2351),
        IDX_HEAD + bytes(2353),
        IDX_HEAD[:4] + b"\xff" * 12 + bytes(2352),
        IDX_HEAD[:4] + bytes([0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        IDX_HEAD[:4] + (MAX_DIGITS + 1).to_bytes(4) + IDX_HEAD[8:],
        b"\0\0\x0d" + IDX_HEAD[3:],
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz", ".gz that ends"])
def test_wrong_idx_files_are_one_line(suffix, data, tmp_path):
    """Packed or not: too short, too long, sizes that multiply beyond 64 bits, another type."""
    path = tmp_path / f"images{suffix[:3]}"
    packed = gzip.compress(data) if suffix else data
    path.write_bytes(packed[:-9] if suffix == ".gz that ends" else packed)
    with pytest.raises(DamagedArtifactError, match=str(path)) as caught:
        np.empty(read_idx(path, IDX_IMAGES).shape)
    assert "\n" not in str(caught.value)
