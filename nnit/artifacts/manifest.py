"""The manifest: what an artifact is, where it came from, and the hash of each of its files."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from nnit import __version__
from nnit.artifacts.canonical import (
    JsonObject,
    canonical_file,
    canonical_json,
    normalise,
    parse_canonical,
)
from nnit.errors import DamagedArtifactError, UnknownSchemaError

MANIFEST_NAME = "manifest.json"
MAX_MANIFEST_BYTES = 64 * 2**20
MAX_DIMS = 8
HALF = "bfloat16"  # of tensors alone
DTYPES = ("bool", "float32", "float64", "int8", "int16", "int32", "int64", "uint8")
NOT_INSTALLED = "not installed"  # in the place of a version
RECORDED_PACKAGES = ("mani_skill", "numpy", "safetensors", "torch", "zarr")

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_SEAL = "manifest_sha256"


class Kind(NamedTuple):
    """A kind of artifact."""

    command: str  # what makes it
    schema: int  # what this nnit writes, of one task
    readable: tuple[int, ...]  # what this nnit reads
    several: int = 0  # what it writes of several tasks; 0: the kind has none
    half: int = 0  # what it writes where its tensors are bfloat16; 0: they never are


KINDS: dict[str, Kind] = {
    "demos": Kind("nnit demos", 1, (1,)),
    "ghn": Kind("nnit ghn-train", 1, (1,)),
    "zoo": Kind("nnit zoo-export", 1, (1,)),
    "tokens": Kind("nnit tokenize", 1, (1, 2), 2),
    "generator": Kind("nnit diffuse-train", 1, (1, 2, 3), 2, 3),
    "flat": Kind("nnit flat-train", 1, (1,)),
    "samples": Kind("nnit sample", 2, (1, 2)),
    "rollouts": Kind("nnit rollout", 3, (1, 2, 3)),
    "frontier": Kind("nnit frontier", 2, (1, 2)),
    "audit": Kind("nnit audit", 1, (1,)),
    "alignment": Kind("nnit align-report", 2, (1, 2)),
}


@dataclass(frozen=True)
class Provenance:
    """What an artifact was made from.

    Raises:
        TypeError: ``params`` holds what JSON cannot say.
        ValueError: NaN in ``params``, or a parent's digest is not a SHA-256 in hex.
    """

    stage: str  # the command, such as "zoo-export"
    params: Mapping[str, Any]  # all that decides the content, beside the parents and the seed
    seed: int
    parents: Mapping[str, str] = field(default_factory=dict)  # name -> digest of the artifact

    def __post_init__(self) -> None:
        for name, digest in self.parents.items():
            if not _SHA256.fullmatch(digest):
                raise ValueError(f"parent {name}: {digest!r} is not a SHA-256 digest")
        object.__setattr__(self, "params", normalise(self.params))
        object.__setattr__(self, "parents", normalise(self.parents))


class ArraySpec(NamedTuple):
    """Shape and element type of an array."""

    shape: tuple[int, ...]
    dtype: str  # one of DTYPES, or HALF


class FileEntry(NamedTuple):
    """What a file of the artifact must be."""

    size: int  # bytes
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """All that ``manifest.json`` says."""

    kind: str
    schema: int
    nnit_version: str
    stage: str
    params: dict[str, Any]
    seed: int
    parents: dict[str, str]
    versions: dict[str, str]  # package -> version that wrote the artifact
    attributes: dict[str, Any]  # what the kind keeps beside its arrays
    arrays: dict[str, ArraySpec]
    files: dict[str, FileEntry]  # path within the folder, with "/"

    @property
    def num_bytes(self) -> int:
        """Size of all files except the manifest."""
        return sum(entry.size for entry in self.files.values())

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of every file and every field: the artifact's identity."""
        digest = hashlib.sha256()
        for path, entry in sorted(self.files.items()):
            digest.update(f"{path}\0{entry.size}\0{entry.sha256}\n".encode())
        fields = self._fields()
        del fields["files"]
        digest.update(canonical_json(fields).encode())
        return digest.hexdigest()

    def to_bytes(self) -> bytes:
        """Return the bytes of ``manifest.json``, sealed with their own SHA-256."""
        fields = self._fields()
        return canonical_file({**fields, _SEAL: _seal(fields)})

    def _fields(self) -> dict[str, Any]:
        return {
            **asdict(replace(self, arrays={}, files={})),
            "arrays": {name: spec._asdict() for name, spec in self.arrays.items()},
            "files": {name: entry._asdict() for name, entry in self.files.items()},
        }


def recorded_versions() -> dict[str, str]:
    """Return the versions of the packages that an artifact's bytes depend on."""
    return {package: installed_version(package) for package in RECORDED_PACKAGES}


def installed_version(package: str) -> str:
    """Return the version of a package that is installed, without importing it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return NOT_INSTALLED


def new_manifest(
    kind: str,
    provenance: Provenance,
    attributes: Mapping[str, Any],
    arrays: Mapping[str, ArraySpec],
    files: Mapping[str, FileEntry],
) -> Manifest:
    """Make the manifest of an artifact that this nnit is writing."""
    several = "interfaces" in attributes and KINDS[kind].several
    half = any(spec.dtype == HALF for spec in arrays.values()) and KINDS[kind].half
    return Manifest(
        kind=kind,
        schema=half or several or KINDS[kind].schema,
        nnit_version=__version__,
        stage=provenance.stage,
        params=dict(provenance.params),
        seed=provenance.seed,
        parents=dict(provenance.parents),
        versions=recorded_versions(),
        attributes=normalise(attributes),
        arrays=dict(arrays),
        files=dict(files),
    )


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Read the bytes of a ``manifest.json``, trusting nothing.

    Args:
        data: The file's bytes.
        where: The file's path, for messages.

    Raises:
        DamagedArtifactError: any bit differs from what was written, or a field is impossible.
        UnknownSchemaError: written by another, probably newer, nnit.
    """
    top = JsonObject(parse_canonical(data, where), where)
    seal = top.text(_SEAL)
    fields = {name: value for name, value in top.value.items() if name != _SEAL}
    if seal != _seal(fields):
        raise DamagedArtifactError(f"{where}: {_SEAL}: does not match the rest of the file")
    kind = _parse_kind(top)
    top.only([*Manifest.__dataclass_fields__, _SEAL])
    return Manifest(
        kind=kind,
        schema=top.integer("schema"),
        nnit_version=top.text("nnit_version"),
        stage=top.text("stage"),
        params=top.object("params").value,
        seed=top.integer("seed"),
        parents=_parse_digests(top.object("parents")),
        versions=_parse_texts(top.object("versions")),
        attributes=top.object("attributes").value,
        arrays=_parse_arrays(top.object("arrays")),
        files=_parse_files(top.object("files")),
    )


def is_safe_path(path: str) -> bool:
    """Whether ``path`` is relative, stays inside its folder and is not the manifest."""
    parts = path.split("/")
    spelled = PurePosixPath(path).as_posix() == path
    return spelled and path != MANIFEST_NAME and all(_NAME.fullmatch(part) for part in parts)


def _seal(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(fields).encode()).hexdigest()


def _parse_kind(top: JsonObject) -> str:
    kind, schema = top.text("kind"), top.integer("schema", 1)
    if kind not in KINDS:
        raise UnknownSchemaError(
            f"{top.where}: kind: found {kind!r}, expected one of {', '.join(KINDS)}; "
            "a newer nnit may have written it"
        )
    if schema not in KINDS[kind].readable:
        readable = ", ".join(map(str, KINDS[kind].readable))
        raise UnknownSchemaError(
            f"{top.where}: schema: found {schema}, expected one of {readable} for {kind}; "
            f"install the nnit that wrote it ({top.value.get('nnit_version')}) or make it again "
            f"with `{KINDS[kind].command}`"
        )
    return kind


def _parse_digests(parents: JsonObject) -> dict[str, str]:
    digests = _parse_texts(parents)
    for name, digest in digests.items():
        if not _SHA256.fullmatch(digest):
            parents.refuse(name, "a SHA-256 in hex")
    return digests


def _parse_texts(texts: JsonObject) -> dict[str, str]:
    return {name: texts.text(name) for name in texts.value}


def _parse_arrays(arrays: JsonObject) -> dict[str, ArraySpec]:
    specs = {}
    for name in arrays.value:
        entry = arrays.object(name).only(ArraySpec._fields)
        shape = entry.integers("shape", 0, 2**62)
        if len(shape) > MAX_DIMS:
            entry.refuse("shape", f"at most {MAX_DIMS} dimensions")
        if entry.text("dtype") not in (*DTYPES, HALF):
            entry.refuse("dtype", f"one of {', '.join((*DTYPES, HALF))}")
        specs[name] = ArraySpec(shape, entry.text("dtype"))
    return specs


def _parse_files(files: JsonObject) -> dict[str, FileEntry]:
    entries = {}
    for path in files.value:
        if not is_safe_path(path):
            raise DamagedArtifactError(
                f"{files.where}: found path {path!r}, expected one inside the artifact"
            )
        entry = files.object(path).only(FileEntry._fields)
        if not _SHA256.fullmatch(entry.text("sha256")):
            entry.refuse("sha256", "a SHA-256 in hex")
        entries[path] = FileEntry(entry.integer("size", 0), entry.text("sha256"))
    return entries
