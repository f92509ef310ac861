"""What is found when bytes, files or whole artifacts are not what was written."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest
from artifact_examples import edit_manifest, tree, write

from nnit.artifacts.manifest import KINDS
from nnit.artifacts.reading import open_artifact, verify
from nnit.artifacts.zoo import read_zoo
from nnit.errors import (
    DamagedArtifactError,
    MissingArtifactError,
    NnitError,
    UnknownSchemaError,
    WrongKindError,
)

pytestmark = pytest.mark.seconds


def flip(file: Path, position: int, bit: int) -> None:
    """Invert one bit of a file."""
    with file.open("r+b") as stream:
        stream.seek(position)
        byte = stream.read(1)[0]
        stream.seek(position)
        stream.write(bytes([byte ^ (1 << bit)]))


def found(path: Path) -> bool:
    """Whether ``verify`` sees that something is wrong."""
    try:
        return bool(verify(path))
    except NnitError:
        return True


def test_verify_of_a_whole_artifact_reports_nothing(tmp_path):
    """An artifact as it was written has no faults."""
    for kind in KINDS:
        write(kind, tmp_path / kind)
        assert verify(tmp_path / kind) == []


@pytest.mark.parametrize("kind", KINDS)
def test_any_flipped_bit_of_any_file_is_found(kind, tmp_path):
    """Over every file of an artifact, manifest included, no single-bit flip passes ``verify``."""
    path = tmp_path / kind
    write(kind, path)
    files = tree(path)
    chooser = random.Random(1)
    spots = [
        (name, position)
        for name, data in files.items()
        for position in chooser.sample(range(len(data)), min(len(data), -(-520 // len(files))))
    ]
    while len(spots) < 500:
        name = chooser.choice(sorted(files))
        spots.append((name, chooser.randrange(len(files[name]))))
    for name, position in spots:
        bit = chooser.randrange(8)
        flip(path / name, position, bit)
        assert found(path), f"{name}: bit {bit} of byte {position}"
        flip(path / name, position, bit)
    assert verify(path) == []


def test_every_single_bit_of_the_manifest_is_protected(tmp_path):
    """No bit of a manifest can change unseen, those of spaces and escapes included."""
    path = tmp_path / "ghn"
    write("ghn", path)
    file = path / "manifest.json"
    for position in range(file.stat().st_size):
        for bit in range(8):
            flip(file, position, bit)
            assert found(path), f"bit {bit} of byte {position}"
            flip(file, position, bit)
    assert verify(path) == []


def test_other_json_of_the_same_meaning_is_refused(tmp_path):
    """Spaces, escapes and the order of keys are part of what was written."""
    path = tmp_path / "ghn"
    write("ghn", path)
    file = path / "manifest.json"
    data = file.read_bytes()
    fields = json.loads(data)
    spellings = [
        data + b"\n",
        json.dumps(fields).encode(),
        json.dumps(dict(reversed(fields.items())), indent=1).encode() + b"\n",
        data.replace(b'"ghn"', b'"\\u0067hn"', 1),
        data.replace(b'"kind"', b'"kind": "zoo",\n "kind"', 1),
    ]
    for spelling in spellings:
        assert spelling != data
        file.write_bytes(spelling)
        with pytest.raises(DamagedArtifactError, match=r"manifest\.json"):
            open_artifact(path)


@pytest.mark.parametrize(
    ("kind", "check"), [("zoo", "sizes"), ("samples", "small"), ("ghn", "all")]
)
def test_missing_emptied_truncated_and_extra_files_are_found_at_opening(kind, check, tmp_path):
    """Whatever check is asked for, the set of files and their sizes are compared."""
    original = tmp_path / "original"
    write(kind, original)
    for name in tree(original):
        if name == "manifest.json":
            continue
        for harm in ("delete", "empty", "truncate", "extend"):
            path = tmp_path / "copy"
            shutil.copytree(original, path)
            size = (path / name).stat().st_size
            if harm == "delete":
                (path / name).unlink()
            else:
                os.truncate(path / name, {"empty": 0, "truncate": size - 1}.get(harm, size + 1))
            with pytest.raises(DamagedArtifactError, match=name):
                open_artifact(path, kind, check=check)
            shutil.rmtree(path)
    (original / "more").write_bytes(b"")
    with pytest.raises(DamagedArtifactError, match="not part of the artifact"):
        open_artifact(original, kind, check=check)


def test_all_faults_are_named_but_not_endlessly(tmp_path):
    """The first five faults have a line each, the rest is counted."""
    write("zoo", tmp_path / "zoo")
    for name in tree(tmp_path / "zoo"):
        if name.endswith("zarr.json"):
            (tmp_path / "zoo" / name).unlink()
    with pytest.raises(DamagedArtifactError) as caught:
        open_artifact(tmp_path / "zoo")
    assert len(caught.value.faults) == 6
    assert caught.value.faults[-1].endswith("and 5 more")


def test_a_missing_artifact_says_what_makes_it(tmp_path):
    """The message holds the command for the kind, and the name that was nearly typed."""
    with pytest.raises(MissingArtifactError, match="nnit zoo-export") as caught:
        open_artifact(tmp_path / "zoo", "zoo")
    assert caught.value.exit_code == 4
    write("zoo", tmp_path / "zoo-small")
    with pytest.raises(MissingArtifactError, match=r"did you mean .*zoo-small"):
        open_artifact(tmp_path / "zoo-smal", "zoo")
    (tmp_path / "zoo-small" / "manifest.json").unlink()
    with pytest.raises(MissingArtifactError, match=r"no manifest\.json"):
        open_artifact(tmp_path / "zoo-small", "zoo")
    (tmp_path / "file").write_text("x")
    with pytest.raises(MissingArtifactError, match="is a file"):
        open_artifact(tmp_path / "file", "zoo")


def test_another_kind_is_refused_by_name(tmp_path):
    """The message says what was found, what was expected and what makes that."""
    write("demos", tmp_path / "d")
    with pytest.raises(WrongKindError, match=r"kind demos, expected ghn or zoo.*nnit ghn-train"):
        open_artifact(tmp_path / "d", "ghn", "zoo")


def test_a_newer_schema_is_named_with_the_nnit_that_wrote_it(tmp_path):
    """An artifact of a later nnit is not damage: the message says which version it needs."""
    write("zoo", tmp_path / "zoo")

    def age(fields):
        fields.update(schema=2, nnit_version="9.1.0", something_new=[1, 2])

    edit_manifest(tmp_path / "zoo", age)
    with pytest.raises(UnknownSchemaError, match=r"found 2, expected one of 1.*9\.1\.0"):
        open_artifact(tmp_path / "zoo", "zoo")
    edit_manifest(tmp_path / "zoo", lambda fields: fields.update(kind="oracle", schema=1))
    with pytest.raises(UnknownSchemaError, match="oracle"):
        open_artifact(tmp_path / "zoo", "zoo")


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../b", "a//b", "./a", "", "a\\b"])
def test_paths_that_leave_the_folder_are_refused(name, tmp_path):
    """A manifest cannot make nnit look outside its folder."""
    write("ghn", tmp_path / "ghn")
    entry = {"size": 1, "sha256": "0" * 64}
    edit_manifest(tmp_path / "ghn", lambda fields: fields["files"].update({name: entry}))
    with pytest.raises(DamagedArtifactError, match="inside the artifact"):
        open_artifact(tmp_path / "ghn", check="sizes")


def test_links_are_refused(tmp_path):
    """A link instead of a file, a folder or the manifest is damage, wherever it leads."""
    for name in ("model.safetensors", "manifest.json"):
        path = tmp_path / name
        write("ghn", path)
        (path / name).rename(tmp_path / "elsewhere")
        (path / name).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(DamagedArtifactError, match="is a link"):
            open_artifact(path)
        assert verify(path)
    path = tmp_path / "zoo"
    write("zoo", path)
    (path / "arrays.zarr").rename(tmp_path / "arrays")
    (path / "arrays.zarr").symlink_to(tmp_path / "arrays")
    with pytest.raises(DamagedArtifactError, match="is a link"):
        open_artifact(path)


def test_a_link_to_a_whole_artifact_is_followed(tmp_path):
    """The folder itself may be named by a link."""
    write("ghn", tmp_path / "ghn")
    (tmp_path / "link").symlink_to(tmp_path / "ghn")
    assert open_artifact(tmp_path / "link").digest == open_artifact(tmp_path / "ghn").digest


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schema", "1"),
        ("schema", True),
        ("schema", 0),
        ("seed", 1.5),
        ("stage", None),
        ("params", []),
        ("parents", {"zoo": "x"}),
        ("versions", {"torch": 2}),
        ("attributes", "x"),
        ("arrays", {"a": {"shape": [-1], "dtype": "float32"}}),
        ("arrays", {"a": {"shape": [1] * 9, "dtype": "float32"}}),
        ("arrays", {"a": {"shape": [1], "dtype": "object"}}),
        ("arrays", {"a": {"shape": [1]}}),
        ("files", {"a": {"size": -1, "sha256": "0" * 64}}),
        ("files", {"a": {"size": 1, "sha256": "0" * 63 + "X"}}),
        ("unknown", 1),
    ],
)
def test_every_wrong_field_of_a_sealed_manifest_is_named(name, value, tmp_path):
    """A manifest whose seal is right but whose fields are not is refused field by field."""
    write("ghn", tmp_path / "ghn")
    edit_manifest(tmp_path / "ghn", lambda fields: fields.update({name: value}))
    with pytest.raises(DamagedArtifactError, match=name):
        open_artifact(tmp_path / "ghn", check="sizes")


def test_networks_with_another_activation_are_refused(tmp_path):
    """Nothing here trains or runs them."""
    write("zoo", tmp_path / "zoo")
    edit_manifest(
        tmp_path / "zoo",
        lambda fields: fields["attributes"]["interface"].update(activation="tanh"),
    )
    with pytest.raises(DamagedArtifactError, match="activation: must be 'relu'"):
        read_zoo(tmp_path / "zoo")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04\x95\x0c\x00\x00\x00",
        b"[1, 2]",
        b"null",
        b"{",
        b'{"kind": NaN}',
        b'{"kind": 1e999}',
        b"[" * 100_000,
        b'{"a":' * 500 + b"1" + b"}" * 500,
        b"\xff\xfe{}",
        b"1" * 5000,
    ],
)
def test_a_manifest_that_is_not_ours_is_damage(data, tmp_path):
    """Pickles, deep nesting, NaN and other JSON give one typed error, not a crash."""
    write("ghn", tmp_path / "ghn")
    (tmp_path / "ghn" / "manifest.json").write_bytes(data)
    with pytest.raises(DamagedArtifactError) as caught:
        open_artifact(tmp_path / "ghn")
    assert len(str(caught.value).splitlines()) == 1


def test_parents_and_params_are_part_of_the_identity(tmp_path):
    """The digest changes with any field of the manifest, not only with the files."""
    write("ghn", tmp_path / "ghn")
    digests = {open_artifact(tmp_path / "ghn").digest}
    for name, value in {"params": {}, "parents": {}, "seed": 8, "stage": "other"}.items():
        edit_manifest(tmp_path / "ghn", lambda fields, n=name, v=value: fields.update({n: v}))
        digests.add(open_artifact(tmp_path / "ghn").digest)
    assert len(digests) == 5
