"""Arrays and tensors: exact round trips, few files, and no trust in what is read."""

import json
import math

import numpy as np
import pytest
import safetensors.numpy
from artifact_examples import edit_manifest, provenance, replace_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from zarr.storage import LocalStore

from nnit.artifacts import arrays as arrays_module
from nnit.artifacts.arrays import read_array, write_arrays
from nnit.artifacts.manifest import DTYPES, ArraySpec
from nnit.artifacts.publish import publish
from nnit.artifacts.reading import open_artifact
from nnit.artifacts.weights import read_tensors, tensor_bytes, write_tensors
from nnit.errors import DamagedArtifactError, NnitError, ResourceError

ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(np.dtype(dtype), hnp.array_shapes(min_dims=1, max_dims=3, min_side=0))
)
BRIEF = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

pytestmark = pytest.mark.seconds


def stored(path, **arrays):
    """Write arrays as an artifact and open it."""
    with publish(path, "zoo", provenance(), {}, force=True) as writer:
        write_arrays(writer, arrays)
    return open_artifact(path)


def same(one, other):
    """Whether two arrays have the same type, shape and bits."""
    equal = one.dtype == other.dtype and one.shape == other.shape
    return equal and one.tobytes() == other.tobytes()


@BRIEF
@given(array=ARRAYS)
def test_any_array_comes_back_bit_for_bit(array, tmp_path):
    """Every element type, empty axes, NaN payloads and negative zeros survive."""
    artifact = stored(tmp_path / "zoo", x=array)
    assert same(read_array(artifact, "x", array.dtype.name, array.shape), array)


@pytest.mark.parametrize("rows", [1, 99, 100, 101, 799, 800, 801, 12_345])
def test_arrays_cut_into_chunks_and_shards_come_back(rows, tmp_path, monkeypatch):
    """Lengths around the edges of chunks and shards are exact, also of non-contiguous arrays."""
    monkeypatch.setattr(arrays_module, "CHUNK_BYTES", 1200)
    monkeypatch.setattr(arrays_module, "SHARD_BYTES", 9600)
    array = np.random.default_rng(0).standard_normal((3, rows), np.float32).T
    artifact = stored(tmp_path / "zoo", x=array, zeros=np.zeros((rows, 2)))
    assert same(read_array(artifact, "x", "float32", (None, 3)), np.ascontiguousarray(array))
    assert same(read_array(artifact, "zeros", "float64", (rows, 2)), np.zeros((rows, 2)))


@pytest.mark.parametrize("count", [1, 8, 20])
def test_an_artifact_never_has_more_than_64_files(count, tmp_path, monkeypatch):
    """However large the arrays are beside the shard size, the shards grow instead."""
    monkeypatch.setattr(arrays_module, "CHUNK_BYTES", 64)
    monkeypatch.setattr(arrays_module, "SHARD_BYTES", 128)
    sizes = np.random.default_rng(count).integers(1, 4_000, count)
    arrays = {f"x{k}": np.arange(size) for k, size in enumerate(sizes)}
    artifact = stored(tmp_path / "zoo", **arrays)
    assert len(artifact.manifest.files) + 1 <= 64
    for name, array in arrays.items():
        assert same(read_array(artifact, name, "int64", array.shape), array)


def test_unstorable_arrays_are_refused(tmp_path):
    """Objects, text, scalars and too many arrays are the caller's mistake."""
    for array in (np.array([{}]), np.array(["x"]), np.array(1.0), np.ones(2, np.complex64)):
        with pytest.raises(ValueError, match="cannot be stored"):
            stored(tmp_path / "zoo", x=array)
    with pytest.raises(ValueError, match="do not fit"):
        stored(tmp_path / "zoo", **{f"x{k}": np.ones(1) for k in range(40)})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("lost", ["x/zarr.json", "x/c/0/0"])
def test_a_file_that_zarr_lost_is_noticed(lost, tmp_path, monkeypatch):
    """An artifact without one of its files isn't published."""
    keep = LocalStore.set

    async def forgetful(store, key, value):
        if key != lost:
            await keep(store, key, value)

    monkeypatch.setattr(LocalStore, "set", forgetful)
    with pytest.raises(ResourceError, match="failed to read or write"):
        stored(tmp_path / "zoo", x=np.ones((4, 3), np.float32))
    assert list(tmp_path.iterdir()) == []


def test_the_reader_says_which_shape_it_wanted(tmp_path):
    """Another type, another number of axes or another length is named, found and expected."""
    artifact = stored(tmp_path / "zoo", x=np.ones((4, 3), np.float32))
    for dtype, shape in (("int32", (4, 3)), ("float32", (12,)), ("float32", (None, 2))):
        with pytest.raises(DamagedArtifactError, match=r"found float32 \(4, 3\), expected"):
            read_array(artifact, "x", dtype, shape)
    with pytest.raises(DamagedArtifactError, match="'y' is missing"):
        read_array(artifact, "y", "float32", (None,))


def edited_zarr(path, edit):
    """Change ``zarr.json`` of array x and make the manifest agree."""
    name = "arrays.zarr/x/zarr.json"
    fields = json.loads((path / name).read_bytes())
    edit(fields)
    replace_file(path, name, json.dumps(fields).encode())


def resized(shape):
    """Return an edit of ``zarr.json`` that claims another shape."""
    return lambda fields: fields.update(shape=shape)


def with_inner(**fields):
    """Return an edit of the configuration of the shards."""
    return lambda top: top["codecs"][0]["configuration"].update(fields)


def shards_of(shape):
    """Return an edit that claims larger shards."""
    return lambda top: top["chunk_grid"]["configuration"].update(chunk_shape=shape)


@pytest.mark.parametrize(
    "edit",
    [
        resized([2**40, 3]),
        resized([5, 3]),
        resized([-4, 3]),
        resized("4"),
        resized([]),
        shards_of([2**50, 3]),
        shards_of([4, 2]),
        shards_of([]),
        with_inner(chunk_shape=[2**50, 3]),
        with_inner(chunk_shape=[0, 3]),
        with_inner(codecs=[{"name": "bytes"}, {"name": "numcodecs.pickle"}]),
        lambda top: top.update(codecs=[{"name": "bytes", "configuration": {"endian": "big"}}]),
        lambda top: top.update(codecs=[]),
        lambda top: top.update(data_type="object"),
        lambda top: top.update(data_type="float64"),
        lambda top: top.update(data_type="bfloat16"),
        lambda top: top.pop("chunk_grid"),
        lambda top: top.update(zarr_format=9),
        lambda top: top.update(fill_value="x"),
    ],
)
def test_false_array_metadata_is_refused_before_memory_is_taken(edit, tmp_path):
    """A zarr.json that says anything else than was written is damage, though the hashes agree."""
    path = tmp_path / "zoo"
    stored(path, x=np.ones((4, 3), np.float32))
    edited_zarr(path, edit)
    with pytest.raises(DamagedArtifactError):
        read_array(open_artifact(path), "x", "float32", (None, 3))


def test_a_shape_beyond_memory_is_refused(tmp_path):
    """An artifact that consistently claims 12 TiB takes no memory."""
    path = tmp_path / "zoo"
    stored(path, x=np.ones((4, 3), np.float32))
    edited_zarr(path, lambda top: (resized([2**40, 3])(top), shards_of([2**40, 3])(top)))
    edit_manifest(path, lambda top: top["arrays"]["x"].update(shape=[2**40, 3]))
    with pytest.raises((ResourceError, DamagedArtifactError)):
        read_array(open_artifact(path), "x", "float32", (None, 3))


def test_a_missing_chunk_is_never_zeros(tmp_path):
    """Neither a shard that the manifest forgot nor one that holds no chunk reads as zeros."""
    path = tmp_path / "zoo"
    stored(path, x=np.ones((4, 3), np.float32))
    shard = "arrays.zarr/x/c/0/0"
    kept = (path / shard).read_bytes()
    from google_crc32c import value as crc32c  # zarr's own checksum of the index

    index = b"\xff" * 16
    replace_file(path, shard, kept[:-20] + index + crc32c(index).to_bytes(4, "little"))
    with pytest.raises(DamagedArtifactError, match="a chunk is missing"):
        read_array(open_artifact(path), "x", "float32", (None, 3))
    (path / shard).unlink()
    edit_manifest(path, lambda fields: fields["files"].pop(shard))
    with pytest.raises(DamagedArtifactError, match="missing or too short"):
        read_array(open_artifact(path), "x", "float32", (None, 3))


def test_every_flipped_bit_of_a_chunk_is_found_while_reading(tmp_path):
    """The checksum inside the shard is a second guard, for artifacts too large to hash."""
    path = tmp_path / "zoo"
    array = np.random.default_rng(0).standard_normal((16, 4), np.float32)
    stored(path, x=array)
    file = path / "arrays.zarr/x/c/0/0"
    data = file.read_bytes()
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << (position % 8)
        file.write_bytes(changed)
        with pytest.raises(DamagedArtifactError):
            read_array(open_artifact(path, check="sizes"), "x", "float32", (None, 4))


TENSORS = st.dictionaries(
    st.text("abc.01_", min_size=1, max_size=8),
    st.sampled_from(DTYPES).flatmap(
        lambda dtype: hnp.arrays(np.dtype(dtype), hnp.array_shapes(min_dims=0, min_side=0))
    ),
    max_size=5,
)


@BRIEF
@given(tensors=TENSORS)
def test_any_tensors_come_back_bit_for_bit(tensors, tmp_path):
    """Names, types, shapes down to scalars, and metadata survive; the same content, same bytes."""
    file = tmp_path / "x.safetensors"
    metadata = {"b": [1, 0.1, None], "a": {"x": "é\u2028"}}
    file.write_bytes(tensor_bytes(tensors, metadata, finite=False))
    found = read_tensors(file, finite=False)
    assert found.metadata == metadata
    assert found.tensors.keys() == tensors.keys()
    assert all(same(found.tensors[name], tensors[name]) for name in tensors)
    backwards = dict(reversed(tensors.items()))
    assert tensor_bytes(backwards, metadata, finite=False) == file.read_bytes()


def test_strided_tensors_are_written_as_they_look(tmp_path):
    """A transposed view is not written in the order of its memory, and what is read is writable."""
    tensor = np.arange(6, dtype=np.float32).reshape(2, 3).T
    write_tensors(tmp_path / "x", {"t": tensor}, {})
    found = read_tensors(tmp_path / "x").tensors["t"]
    assert same(found, np.ascontiguousarray(tensor))
    found[0] = 1


def test_non_finite_tensors_are_refused_both_ways(tmp_path):
    """NaN and infinity neither go in nor come out."""
    for value in (math.nan, math.inf):
        tensors = {"t": np.array([1, value], np.float32)}
        with pytest.raises(ValueError, match="NaN or infinity"):
            write_tensors(tmp_path / "x", tensors, {})
        (tmp_path / "x").write_bytes(tensor_bytes(tensors, {}, finite=False))
        with pytest.raises(DamagedArtifactError, match="NaN or infinity"):
            read_tensors(tmp_path / "x")


def test_other_tensors_than_expected_are_named(tmp_path):
    """A missing, unknown or reshaped tensor is refused, however hostile its name."""
    name = "../../etc/passwd"
    write_tensors(tmp_path / "x", {name: np.ones((2, 3), np.float32)}, {})
    spec = ArraySpec((2, 3), "float32")
    assert read_tensors(tmp_path / "x", {name: spec}).tensors
    for expected, message in (
        ({"a": spec}, "unknown tensor|missing"),
        ({name: spec, "a": spec}, "'a' is missing"),
        ({}, "unknown tensor"),
        ({name: ArraySpec((3, 2), "float32")}, r"found float32 \(2, 3\), expected"),
        ({name: ArraySpec((2, 3), "float64")}, "expected float64"),
    ):
        with pytest.raises(DamagedArtifactError, match=message):
            read_tensors(tmp_path / "x", expected)


def with_header(header, data=b"\0" * 8):
    """Return a safetensors file with this JSON header."""
    return len(header).to_bytes(8, "little") + header + data


ENTRY = '{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
META = '"__metadata__":{"nnit":"{}"}'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"12345",
        b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00",
        (2**60).to_bytes(8, "little") + b"{}",
        with_header(b"{}"),
        with_header(b"not json"),
        with_header(f'{{{META},"a":{ENTRY},"a":{ENTRY}}}'.encode()),
        with_header(f'{{{META},"a":{ENTRY},"b":{ENTRY}}}'.encode()),
        with_header(f'{{{META},"a":{ENTRY}}}'.encode(), b"\0" * 7),
        with_header(f'{{{META},"a":{ENTRY}}}'.encode(), b"\0" * 9),
        with_header(f'{{{META},"a":{ENTRY.replace("[2]", "[1099511627776]")}}}'.encode()),
        with_header(f'{{{META},"a":{ENTRY.replace("F32", "F99")}}}'.encode()),
        with_header(f'{{"__metadata__":{{"nnit":"{{}}","x":"y"}},"a":{ENTRY}}}'.encode()),
        with_header(f'{{"__metadata__":{{"nnit":"\\ud800"}},"a":{ENTRY}}}'.encode()),
        with_header(f'{{"__metadata__":{{"nnit":"[]"}},"a":{ENTRY}}}'.encode()),
        safetensors.numpy.save({"a": np.ones(2)}),
    ],
)
def test_files_that_are_not_ours_are_damage(data, tmp_path):
    """Pickles, repeated names, overlaps, wrong lengths and foreign headers: one typed error."""
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(DamagedArtifactError):
        read_tensors(tmp_path / "x")


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(position=st.integers(0, 10_000), value=st.integers(0, 255), cut=st.integers(0, 10_000))
def test_random_damage_of_a_tensor_file_never_crashes(position, value, cut, tmp_path):
    """Whatever byte is changed and wherever the file ends, the outcome is a value or our error."""
    data = bytearray(tensor_bytes({"a": np.arange(9.0), "b": np.ones(3, bool)}, {"k": [1]}))
    data[position % len(data)] = value
    (tmp_path / "x").write_bytes(data[: len(data) - cut % 3])
    try:
        read_tensors(tmp_path / "x")
    except NnitError as error:
        assert error.exit_code in (5, 6)  # noqa: PT017  # either outcome is right
