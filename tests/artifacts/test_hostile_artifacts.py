"""Artifacts that somebody made on purpose, with digests that agree, are refused at little cost."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from artifact_examples import READERS, edit_manifest, noise, replace_file, write
from torch import nn

from nnit.artifacts.arrays import read_array, write_arrays
from nnit.artifacts.canonical import canonical_file, parse_json
from nnit.artifacts.describe import describe_path
from nnit.artifacts.durable import exchange
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import publish
from nnit.artifacts.reading import open_artifact, verify
from nnit.artifacts.zoo import read_zoo, write_zoo
from nnit.errors import DamagedArtifactError, MissingArtifactError
from nnit.flat.model import FlatConfig
from nnit.ghn.model import GhnConfig
from nnit.mlp import PolicyInterface
from nnit.training import build_from_arrays
from nnit.zoo.members import ZooMember, build_zoo

MANY = 20_000
INTERFACE = PolicyInterface("PushCube-v1", "pd_joint_delta_pos", 3, 2, 50, (0.0,) * 3, (1.0,) * 3)

pytestmark = pytest.mark.seconds


def seconds_of(data: bytes) -> float:
    """Return how long a text takes to be refused as JSON."""
    begun = time.process_time()
    with pytest.raises(DamagedArtifactError):
        parse_json(data, "x")
    return time.process_time() - begun


def test_a_repeated_key_among_many_is_found_at_once():
    """The time grows with the number of keys, not with its square."""
    keys = ",".join(f'"{k}":0' for k in (*range(MANY), MANY - 1))
    assert seconds_of(f"{{{keys}}}".encode()) < 1


def test_values_packed_tightly_are_refused_before_they_take_memory():
    """Twenty times their bytes is what empty lists would take."""
    data = b"[" + b"[]," * 5_000_000 + b"[]]"
    assert seconds_of(data) < 1
    assert len(parse_json(b"[" + b"0," * MANY + b"0]", "x")) == MANY + 1


@pytest.mark.parametrize(
    "data",
    [b'{"a":' * 400 + b"1" + b"}" * 400, b"[" * 65 + b"]" * 65, b'"\\ud800"', b'{"\\uDFFF":1}'],
)
def test_deep_nesting_and_half_pairs_are_refused(data):
    """What Python could read, but not everything after it could write."""
    with pytest.raises(DamagedArtifactError, match=r"nested deeper|not valid JSON"):
        parse_json(data, "x")
    assert parse_json(b'"\\ud83d\\ude00"', "x") == "\U0001f600"
    assert parse_json(b"[" * 64 + b"]" * 64, "x")


def test_a_pipe_as_a_manifest_is_refused(tmp_path):
    """Nobody waits for a writer that never comes; neither behind a file's name."""
    write("ghn", tmp_path / "ghn")
    for name in ("model.safetensors", "manifest.json"):
        (tmp_path / "ghn" / name).unlink()
        os.mkfifo(tmp_path / "ghn" / name)
        with pytest.raises(DamagedArtifactError, match=f"{name}: is n"):
            open_artifact(tmp_path / "ghn")
        assert verify(tmp_path / "ghn")


def test_an_unreadable_folder_is_not_called_missing(tmp_path):
    """The line says that permission is denied."""
    write("ghn", tmp_path / "inner" / "ghn")
    script = (
        "import os, sys; from pathlib import Path\n"
        "from nnit.artifacts.reading import open_artifact\n"
        "os.seteuid(65534)\n"
        "try: open_artifact(Path(sys.argv[1]))\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    if os.geteuid():
        script = script.replace("os.seteuid(65534)", "")
    for folder in (tmp_path / "inner" / "ghn", tmp_path / "inner"):
        folder.chmod(0)
        found = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "inner" / "ghn")],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        )
        folder.chmod(0o755)
        assert "cannot be read (Permission denied)" in found.stdout, found


def test_an_array_that_swells_is_refused(tmp_path):
    """A few kilobytes of zeros don't become gigabytes; what nnit writes is far from the bound."""
    with publish(tmp_path / "zoo", "zoo", Provenance("x", {}, 0), {}) as writer:
        write_arrays(writer, {"x": np.zeros(2**26, np.uint8), "y": np.zeros(2**26 + 1, np.uint8)})
    artifact = open_artifact(tmp_path / "zoo")
    assert read_array(artifact, "x", "uint8", (None,)).nbytes == 2**26
    with pytest.raises(DamagedArtifactError, match=f"bytes for {2**26 + 1}"):
        read_array(artifact, "y", "uint8", (None,))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("chunk_key_encoding", {"name": "default", "configuration": {"separator": "."}}),
        ("chunk_key_encoding", {"name": "v2", "configuration": {"separator": "/"}}),
        ("fill_value", 1),
        ("storage_transformers", [{"name": "x"}]),
        ("more", 1),
    ],
)
def test_other_names_of_chunks_than_ours_are_refused(place, value, tmp_path):
    """Under another name zarr finds no chunk, and would read zeros."""
    with publish(tmp_path / "zoo", "zoo", Provenance("x", {}, 0), {}) as writer:
        write_arrays(writer, {"x": np.ones((4, 3), np.float32)})
    name = "arrays.zarr/x/zarr.json"
    fields = json.loads((tmp_path / "zoo" / name).read_bytes())
    replace_file(tmp_path / "zoo", name, json.dumps({**fields, place: value}).encode())
    with pytest.raises(DamagedArtifactError, match=place):
        read_array(open_artifact(tmp_path / "zoo"), "x", "float32", (None, 3))


@pytest.mark.parametrize(
    "change",
    [
        {"branch": -1},
        {"branch": 2**31 - 1},
        {"fine_tune_steps": -1},
        {"loss": -0.1},
        {"loss": 1e308},
    ],
)
def test_meaningless_numbers_are_neither_written_nor_read(change, tmp_path):
    """A zoo has branches and steps that can be, and losses that can be added up."""
    good = ZooMember((4,), 0, 1, 0.5, 1.0)
    weights = noise(0, INTERFACE.spec((4,)).num_parameters)
    write_zoo(tmp_path / "zoo", build_zoo([good], [weights], INTERFACE), Provenance("x", {}, 0))
    with pytest.raises(ValueError, match=next(iter(change)).split("_")[0]):
        write_zoo(
            tmp_path / "bad",
            build_zoo([good._replace(**change)], [weights], INTERFACE),
            Provenance("x", {}, 0),
        )
    ((name, value),) = change.items()
    changed = np.array([value], read_zoo(tmp_path / "zoo")[1].spec(name).dtype)
    with publish(tmp_path / "array", "zoo", Provenance("x", {}, 0), {}) as writer:
        write_arrays(writer, {name: changed})
    file = f"arrays.zarr/{name}/c/0"
    replace_file(tmp_path / "zoo", file, (tmp_path / "array" / file).read_bytes())
    with pytest.raises(DamagedArtifactError, match=name.split("_")[0]):
        read_zoo(tmp_path / "zoo")


def test_a_zoo_of_immense_weights_is_refused(tmp_path):
    """Finite numbers whose squares are not."""
    weights = np.full(INTERFACE.spec((4,)).num_parameters, 3e38, np.float32)
    zoo = build_zoo([ZooMember((4,), 0, 1, 0.5, 1.0)], [weights], INTERFACE)
    with pytest.raises(ValueError, match="weights: holds NaN or infinity, or a number beyond"):
        write_zoo(tmp_path / "zoo", zoo, Provenance("x", {}, 0))


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("tokens", "weight_mean", [1e308, 0, 0]),
        ("tokens", "weight_std", [1, 1]),
        ("tokens", "bias_std", [1, 0, 1]),
        ("tokens", "bias_std", [1, 1, 1e-300]),
    ],
)
def test_impossible_statistics_are_refused(kind, field, value, tmp_path):
    """Three numbers of each, that can be divided by."""
    write(kind, tmp_path / kind)
    edit_manifest(
        tmp_path / kind, lambda top: top["attributes"]["standardizer"].update({field: value})
    )
    with pytest.raises(DamagedArtifactError, match=field):
        READERS[kind](tmp_path / kind)


@pytest.mark.parametrize("field", ["floor", "alpha", "tolerance"])
def test_a_frontier_with_impossible_rules_is_refused(field, tmp_path):
    """Shares are within 0 to 1."""
    write("frontier", tmp_path / "frontier")
    top = json.loads((tmp_path / "frontier" / "frontier.json").read_bytes())
    top["rules"][field] = 1.5
    replace_file(tmp_path / "frontier", "frontier.json", canonical_file(top))
    with pytest.raises(DamagedArtifactError, match=rf"{field}: must be .* equal to 1 \(got 1.5\)"):
        READERS["frontier"](tmp_path / "frontier")


def test_a_frontier_says_how_many_tests_share_an_error(tmp_path):
    """Else each could have one of its own, and any be confirmed by luck."""
    write("frontier", tmp_path / "frontier")
    top = json.loads((tmp_path / "frontier" / "frontier.json").read_bytes())
    replace_file(tmp_path / "frontier", "frontier.json", canonical_file({**top, "tests": None}))
    with pytest.raises(DamagedArtifactError, match="tests: must be a number"):
        READERS["frontier"](tmp_path / "frontier")


def test_inspect_checks_the_hashes_of_a_small_artifact(tmp_path):
    """As every reader of one does."""
    write("ghn", tmp_path / "ghn")
    file = tmp_path / "ghn" / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(DamagedArtifactError, match="its bytes changed"):
        describe_path(tmp_path / "ghn")


def test_a_model_of_too_many_blocks_is_refused_before_it_is_built():
    """Neither time nor memory follows from numbers that the tensors don't back."""
    sizes = {"obs_dim": 3, "act_dim": 2, "widest": 24, "deepest": 2, "latents": 8, "width": 8}
    with pytest.raises(ValueError, match="depth to 256"):
        FlatConfig(**sizes, depth=2**20)
    with pytest.raises(ValueError, match="rounds"):
        GhnConfig(rounds=2**15)
    with pytest.raises(RuntimeError, match="bias: found None, expected"):  # 4 TiB
        build_from_arrays(lambda: nn.Linear(2**20, 2**20), {"weight": np.zeros((1, 1))})


def zoo_of(version: int, path: Path) -> str:
    """Write a zoo whose every weight and loss is ``version``, and return its digest."""
    weights = np.full(INTERFACE.spec((8, 8)).num_parameters, version, np.float32)
    zoo = build_zoo([ZooMember((8, 8), 0, 1, float(version), 1.0)], [weights], INTERFACE)
    write_zoo(path, zoo, Provenance("x", {"version": version}, 0), force=True)
    return open_artifact(path).digest


def exchanging(one: Path, other: Path, until: Path) -> int:
    """Fork a process that exchanges two folders until a file is there; return its id."""
    child = os.fork()
    if child:
        return child
    try:
        while not until.exists():
            exchange(one, other)
    finally:
        os._exit(0)


def test_what_is_read_is_of_one_moment(tmp_path):
    """While two zoos are exchanged, every read is wholly one of them, under its own digest."""
    one, other, end = tmp_path / "one", tmp_path / "other", tmp_path / "end"
    versions = {zoo_of(1, one): 1, zoo_of(2, other): 2}
    child = exchanging(one, other, end)
    found = set()
    try:
        for _ in range(150):
            zoo, artifact = read_zoo(one)
            version = versions[artifact.digest]
            assert (zoo.weights == version).all()
            assert zoo.members[0].loss == version
            found.add(version)
    finally:
        end.touch()
        os.waitpid(child, 0)
    assert found == {1, 2}


def test_a_replacement_is_no_damage(tmp_path):
    """While a zoo is replaced with --force over and over, no reader takes it for damaged."""
    path, end = tmp_path / "zoo", tmp_path / "end"
    versions = {zoo_of(version, tmp_path / "x"): version for version in (1, 2)}
    zoo_of(1, path)
    child = os.fork()
    if not child:
        try:
            while not end.exists():
                for version in (1, 2):
                    zoo_of(version, path)
        finally:
            os._exit(0)
    try:
        for _ in range(100):
            zoo, artifact = read_zoo(path)
            assert (zoo.weights == versions[artifact.digest]).all()
    finally:
        end.touch()
        os.waitpid(child, 0)


def test_a_replaced_artifact_can_still_be_read(tmp_path):
    """What was opened stays what it was, even after it is moved."""
    write("ghn", tmp_path / "ghn")
    artifact = open_artifact(tmp_path / "ghn")
    (tmp_path / "ghn").rename(tmp_path / "moved")
    assert artifact.file("model.safetensors").read_bytes()
    with pytest.raises(MissingArtifactError):
        open_artifact(tmp_path / "ghn")
