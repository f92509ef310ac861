"""Demonstrations that were recorded on a robot: the same from every format, broken ones refused."""

import json
import os
import re
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from recording_examples import FPS, VERSIONS, record, write_lerobot, write_npz

from nnit.artifacts.demos import read_demos
from nnit.errors import NnitError, UsageError
from nnit.tasks import lerobot
from nnit.tasks.lerobot import parse_lerobot, read_lerobot
from nnit.tasks.recordings import read_npz_recording
from nnit_cli.main import main
from stages.demos_recorded import taken

RECORDING = record(episodes=7)
TASK = ["--task", "my-arm"]

pytestmark = pytest.mark.seconds


def tree(path: Path) -> dict[str, bytes]:
    """Return every file of an artifact."""
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def test_all_formats_give_the_same_demonstrations(tmp_path):
    """A .npz and both versions of LeRobot's, byte for byte."""
    npz = write_npz(tmp_path / "recording.npz", RECORDING)
    sources = [write_lerobot(tmp_path / name, RECORDING, name) for name in VERSIONS]
    words = {source: [] for source in sources} | {npz: ["--control-freq", str(FPS)]}
    trees = []
    for k, (source, more) in enumerate(words.items()):
        out = tmp_path / f"demos-{k}"
        words = ["demos", "--recording", str(source), *TASK, *more, "--out", str(out), "-q"]
        assert main(words) == 0
        trees.append(tree(out))
    assert trees[0] == trees[1] == trees[2]


def test_episodes_are_kept_apart_and_scaled_by_their_own(tmp_path):
    """Together they are all episodes; each part has its bounds, within which its actions lie."""
    npz = str(write_npz(tmp_path / "recording.npz", RECORDING))
    parts = []
    for take in (":5", "5:"):
        out = tmp_path / take
        words = ["demos", "--recording", npz, *TASK, "--take", take, "--out", str(out), "-q"]
        assert main(words) == 0
        parts.append(read_demos(out)[0])
    rows = np.concatenate([one.observations for one in parts])
    actions = [one.interface.recorded.to_units(one.actions) for one in parts]
    assert np.array_equal(rows, RECORDING.observations)
    np.testing.assert_allclose(np.concatenate(actions), RECORDING.actions, atol=1e-4)
    assert [len(one.episode_ends) for one in parts] == [5, 2]
    assert not parts[0].reset_seeds & parts[1].reset_seeds
    assert parts[0].interface.horizon == parts[1].interface.horizon == RECORDING.longest
    for one in parts:
        assert (one.actions.min(axis=0) == -1).all()
        assert (one.actions.max(axis=0) == 1).all()


def test_a_single_number_and_one_that_never_moves(tmp_path):
    """Rows of one number are numbers in LeRobot's files; what never moved stays where it is."""
    still = RECORDING._replace(
        observations=RECORDING.observations[:, :1], actions=np.full_like(RECORDING.actions, 3.5)
    )
    folder = write_lerobot(tmp_path / "dataset", still, "v3.0")
    assert np.array_equal(parse_lerobot(folder).observations, still.observations)
    out = tmp_path / "demos"
    assert main(["demos", "--recording", str(folder), *TASK, "--out", str(out), "-q"]) == 0
    demos, _ = read_demos(out)
    assert not demos.actions.any()
    assert (demos.interface.recorded.to_units(np.array([[1.0, -1.0]])) == 3.5).all()


ARRAYS = dict(zip(("observations", "actions", "episode_ends"), RECORDING, strict=False))
NAN = np.where(np.arange(4) == 2, np.nan, RECORDING.observations)
BROKEN_NPZ = {
    "another array missing": ({"actions": None}, "has no actions"),
    "steps that differ": ({"observations": ARRAYS["observations"][1:]}, "found shape"),
    "no rows": ({"actions": ARRAYS["actions"][:, 0]}, "actions: found shape"),
    "not a number": (
        {"observations": NAN},
        "observations: step 0: found nan at 2, expected a number",
    ),
    "no reading": (
        {"actions": np.full_like(ARRAYS["actions"], -3.4e38)},
        r"step 0: found -3\.4e\+38 at 0",
    ),
    "ends that fall": ({"episode_ends": ARRAYS["episode_ends"][::-1]}, "do not rise"),
    "ends beyond": ({"episode_ends": ARRAYS["episode_ends"] + 1}, "do not rise"),
    "ends that are no whole numbers": ({"episode_ends": ARRAYS["episode_ends"] / 1}, "whole"),
    "no episodes": ({"episode_ends": ARRAYS["episode_ends"][:0]}, "a row of whole numbers"),
    "text": ({"actions": np.array(["up"] * len(ARRAYS["actions"]))}, "expected numbers"),
    "objects": ({"actions": np.array([print], object)}, "expected numbers"),
}


@pytest.mark.parametrize("name", BROKEN_NPZ)
def test_a_broken_file_is_one_line(name, tmp_path):
    """Which names the file and what is wrong; a pickle in it stays one."""
    changed, expected = BROKEN_NPZ[name]
    arrays = {key: array for key, array in {**ARRAYS, **changed}.items() if array is not None}
    path = tmp_path / "recording.npz"
    np.savez(path, **arrays)
    with pytest.raises(NnitError, match=expected) as caught:
        read_npz_recording(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_an_array_larger_than_its_bound_is_not_unpacked(tmp_path):
    """Its header is enough."""
    path = tmp_path / "recording.npz"
    np.savez(path, **ARRAYS)
    head = {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**4)}
    with zipfile.ZipFile(path, "w") as archive:
        for name in ARRAYS:
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array_header_1_0(member, head)
    with pytest.raises(NnitError, match="expected at most"):
        read_npz_recording(path)


def edit_info(folder: Path, **changed) -> None:
    """Change fields of info.json."""
    path = folder / "meta/info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def edit_column(folder: Path, name: str, column: pa.Array | None) -> None:
    """Replace a column of the first file, or leave it out."""
    path = sorted(folder.glob("data/*/*.parquet"))[0]
    table = parquet.read_table(path)
    table = table.drop_columns([name])
    if column is not None:
        table = table.append_column(name, column.slice(0, len(table)))
    parquet.write_table(table, path)


def of_files(folder: Path, pattern: str, write) -> None:
    """Do something to the first file of a pattern."""
    write(sorted(folder.glob(pattern))[0])


MANY = pa.array([[1.0, 2.0]] * 200)
BROKEN_LEROBOT = {
    "no info": (lambda f: (f / "meta/info.json").unlink(), "no such file"),
    "no JSON": (lambda f: (f / "meta/info.json").write_text("{"), "is not JSON"),
    "a list": (lambda f: (f / "meta/info.json").write_text("[]"), "expected an object"),
    "nested": (lambda f: (f / "meta/info.json").write_text("[" * 10**5), "is not JSON"),
    "another version": (lambda f: edit_info(f, codebase_version="v1.6"), "codebase_version"),
    "no fps": (lambda f: edit_info(f, fps=float("nan")), "fps"),
    "no features": (lambda f: edit_info(f, features=3), "observation.state: found shape None"),
    "pictures": (
        lambda f: edit_info(f, features={"observation.state": {"shape": [3, 9, 9]}}),
        "found shape",
    ),
    "no data": (lambda f: shutil.rmtree(f / "data"), "has no chunk"),
    "no parquet": (
        lambda f: of_files(f, "data/*/*.parquet", lambda p: p.write_bytes(b"PAR1" * 9)),
        "is not a parquet file",
    ),
    "cut off": (
        lambda f: of_files(f, "data/*/*.parquet", lambda p: p.write_bytes(p.read_bytes()[:-9])),
        "is not a parquet file",
    ),
    "a file missing": (
        lambda f: of_files(f, "data/*/*.parquet", Path.unlink),
        "does not count 0, 1, 2",
    ),
    "a folder": (
        lambda f: of_files(f, "data/*/*.parquet", lambda p: (p.unlink(), p.mkdir())),
        "is not a regular file",
    ),
    "no actions": (lambda f: edit_column(f, "action", None), "has no column action"),
    "too narrow": (lambda f: edit_column(f, "observation.state", MANY), "expected 4 numbers"),
    "gaps": (
        lambda f: edit_column(f, "action", pa.array([[1.0, None]] * 200)),
        "expected 2 numbers",
    ),
    "text": (lambda f: edit_column(f, "action", pa.array(["up"] * 200)), "expected 2 numbers"),
    "not a number": (
        lambda f: edit_column(f, "action", pa.array([[1.0, float("inf")]] * 200)),
        "actions: step 0",
    ),
    "other episodes": (
        lambda f: edit_column(f, "episode_index", pa.array([5] * 200)),
        "does not count 0, 1, 2",
    ),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", BROKEN_LEROBOT)
def test_a_broken_dataset_is_one_line(name, version, tmp_path):
    """Which names the folder and what is wrong, in both versions."""
    harm, expected = BROKEN_LEROBOT[name]
    folder = write_lerobot(tmp_path / "dataset", RECORDING, version)
    harm(folder)
    with pytest.raises(NnitError, match=expected) as caught:
        parse_lerobot(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_dataset_that_lost_its_end_is_noticed(version, tmp_path):
    """Its list of episodes says how long each is."""
    folder = write_lerobot(tmp_path / "dataset", RECORDING, version)
    path = sorted(folder.glob("data/*/*.parquet"))[-1]
    parquet.write_table(parquet.read_table(path).slice(0, 5), path)
    with pytest.raises(NnitError, match=r"episode \d: found .* steps, meta says"):
        parse_lerobot(folder)


def test_more_than_nnit_takes_is_refused_before_it_is_read(tmp_path, monkeypatch):
    """By what the file says of itself: rows that are small when packed, and lists that are long."""
    folder = write_lerobot(tmp_path / "dataset", RECORDING, "v3.0")
    monkeypatch.setattr(lerobot, "MAX_STEPS", 20)
    with pytest.raises(NnitError, match="more than 20 steps"):
        parse_lerobot(folder)
    monkeypatch.setattr(lerobot, "MAX_STEPS", 10**7)
    monkeypatch.setattr(lerobot, "MAX_BYTES", 8 * 60)
    with pytest.raises(NnitError, match="more than 480 bytes"):
        parse_lerobot(folder)


def test_a_file_that_brings_its_reader_down_is_one_line(tmp_path, monkeypatch, capfd):
    """As some of pyarrow's do, or that takes memory without end; this process goes on, quietly."""
    for reader, expected in ((die, "ended with SIGABRT"), (swell, "has no memory left")):
        monkeypatch.setattr(lerobot, "parse_lerobot", reader)
        with pytest.raises(NnitError, match=f"cannot be read: pyarrow {expected}"):
            read_lerobot(tmp_path)
    assert capfd.readouterr() == ("", "")


def die(folder: Path) -> None:
    """End as a C++ exception that nobody catches."""
    print(folder, file=sys.stderr)
    os.abort()


def swell(folder: Path) -> None:
    """Take more memory than may be."""
    np.ones(2**33, np.uint8)


WRONG_WORDS = {
    "a simulator's task": (["--task", "PickCube-v1"], "is a simulator's task"),
    "no task": ([], "is a simulator's task"),
    "no name": (["--task", "my arm"], "is no name"),
    "no episode": ([*TASK, "--take", "7:"], "--take 7:: expected START:END within the 7 episodes"),
    "no range": ([*TASK, "--take", "3"], "expected START:END"),
    "collecting": ([*TASK, "--episodes", "3"], "--episodes: is of a run without --recording"),
}


@pytest.mark.parametrize("name", WRONG_WORDS)
def test_wrong_words_are_one_line(name, tmp_path, capsys, monkeypatch):
    """Nothing is written."""
    monkeypatch.chdir(tmp_path)
    words, expected = WRONG_WORDS[name]
    npz = str(write_npz(tmp_path / "recording.npz", RECORDING))
    assert main(["demos", "--recording", npz, "-q", *words]) == 2
    said = capsys.readouterr().err
    assert expected in said
    assert not (tmp_path / "artifacts/demos").exists()


@pytest.mark.parametrize("episodes", [1, 2, 7])
def test_what_a_wrong_take_is_told_to_be_is_right(episodes):
    """Of a single episode, too."""
    with pytest.raises(UsageError) as caught:
        taken("9:", episodes)
    one, other = re.findall(r"as in (\S+) or (\S+)$", str(caught.value))[0]
    assert taken(one, episodes).start == 0
    assert taken(other, episodes) == range(episodes - 1, episodes)


def test_episodes_are_taken_of_recordings_alone(capsys):
    """A scripted expert has others."""
    assert main(["demos", "--take", ":3", "-q"]) == 2
    assert "--take: is of --recording" in capsys.readouterr().err
