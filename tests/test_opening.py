"""Files from anywhere are opened without waiting and read up to a bound."""

import os

import pytest

from nnit.errors import DamagedArtifactError, MissingArtifactError
from nnit.opening import open_regular, read_bounded


def test_a_regular_file_is_read_whole(tmp_path):
    """By its name or through a link, up to its bound."""
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    (tmp_path / "link").symlink_to(file)
    assert read_bounded(file, 5) == read_bounded(tmp_path / "link", 6) == b"12345"
    with pytest.raises(DamagedArtifactError, match=f"{file}: larger than 4 bytes"):
        read_bounded(file, 4)


def test_what_is_no_regular_file_is_refused(tmp_path):
    """A pipe would make its reader wait, a device has no end, a folder has no bytes."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path / "pipe", tmp_path / "folder", "/dev/zero"):
        with pytest.raises(DamagedArtifactError, match=f"{path}: is not a regular file"):
            open_regular(path)
    with pytest.raises(DamagedArtifactError, match="cannot be read"):
        open_regular(tmp_path / "loop")
    (tmp_path / "file").touch()
    for name in ("none", "file/inside", "a\0b"):
        with pytest.raises(MissingArtifactError, match="no such file"):
            open_regular(tmp_path / name)
