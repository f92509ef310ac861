"""Small files outside of artifacts: only an earlier one of the same command is replaced."""

import os

import pytest
from artifact_examples import tree, write

from nnit.artifacts import durable
from nnit.artifacts.loose import fault_of_file, write_loose
from nnit.errors import UsageError

NEW = b"ours: 2\n"


def is_ours(data: bytes) -> bool:
    """Whether a file of these tests is their own."""
    return data.startswith(b"ours: ")


@pytest.mark.parametrize("there", [None, b"", b"ours: 1\n"])
def test_a_new_file_and_an_earlier_one_are_written(there, tmp_path):
    """With the folders around it; what a killed writer left goes, by its exact name."""
    file = tmp_path / "deep" / "figures.json"
    if there is not None:
        file.parent.mkdir()
        file.write_bytes(there)
        (file.parent / ".figures.json.tmp-1-abcdef01").write_text("half")
        (file.parent / ".figures.json.tmp-mine").write_text("x")
    assert fault_of_file(file, is_ours) == ""
    write_loose(file, NEW, is_ours)
    mine = {} if there is None else {"deep/.figures.json.tmp-mine": b"x"}
    assert tree(tmp_path) == {**mine, "deep/figures.json": NEW}


PLACES = {
    "file": "is not what this command wrote before",
    "link": "is a link, or no regular file",
    "pipe": "is a link, or no regular file",
    "folder": "is a folder; name a file",
    "file/inside": "a file is where its folder has to be",
    "ghn/manifest.json": "lies inside the artifact",
    "ghn/deep/new.json": "lies inside the artifact",
    "n" * 240: "has a name of more than 223 bytes",
}


@pytest.mark.parametrize("place", PLACES)
def test_what_is_somebody_elses_stays(place, tmp_path):
    """Told before any work, and again instead of the writing; no byte changes."""
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "ours").write_bytes(b"ours: 1\n")
    (tmp_path / "link").symlink_to("ours")
    (tmp_path / "folder").mkdir()
    write("ghn", tmp_path / "ghn")
    before = tree(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    fault = fault_of_file(tmp_path / place, is_ours)
    assert fault.startswith(PLACES[place])
    assert "\n" not in fault
    with pytest.raises(UsageError, match=PLACES[place]):
        write_loose(tmp_path / place, NEW, is_ours)
    (tmp_path / "pipe").unlink()
    assert tree(tmp_path) == before


def test_a_file_that_cannot_be_written_leaves_the_earlier_one(tmp_path, monkeypatch):
    """Old or new, never half: a failing sync leaves the old one and nothing beside it."""
    file = tmp_path / "figures.json"
    file.write_bytes(b"ours: 1\n")

    def failing(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(durable.os, "fsync", failing)
    with pytest.raises(KeyboardInterrupt):
        write_loose(file, NEW, is_ours)
    assert tree(tmp_path) == {"figures.json": b"ours: 1\n"}
