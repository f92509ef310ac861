"""The manifest: what an artifact is, where it came from, and the hash of each of its files."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import PurePosixPath
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from nnit import __version__
from nnit.artifacts.canonical import canonical_file, canonical_json, normalise, parse_canonical
from nnit.artifacts.records import Extent, Items, Record, Whole, parse_record, satisfying
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
Sha256 = Annotated[str, satisfying(_SHA256.fullmatch, "a SHA-256 in hex")]


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
    "frontier": Kind("nnit frontier", 4, (1, 2, 3, 4)),
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

    shape: Annotated[Items[Extent], Field(max_length=MAX_DIMS)]
    dtype: Annotated[
        str, satisfying((*DTYPES, HALF).__contains__, f"one of {', '.join((*DTYPES, HALF))}")
    ]


class FileEntry(NamedTuple):
    """What a file of the artifact must be."""

    size: Extent  # bytes
    sha256: Sha256


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
    value = parse_canonical(data, where)
    fields = dict(value) if isinstance(value, dict) else {}
    if fields.pop(_SEAL, None) != _seal(fields):
        raise DamagedArtifactError(f"{where}: {_SEAL}: does not match the rest of the file")
    _require_readable(parse_record(_Head, fields, where), where)
    found = parse_record(_Fields, fields, where)
    types = {"parents": Sha256, "versions": str, "arrays": ArraySpec, "files": FileEntry}
    entries = {
        name: {
            key: parse_record(type_, entry, f"{where}: {name}: {key}")
            for key, entry in getattr(found, name).items()
        }
        for name, type_ in types.items()
    }
    for path in found.files:
        if not is_safe_path(path):
            raise DamagedArtifactError(
                f"{where}: files: found path {path!r}, expected one inside the artifact"
            )
    return Manifest(**{**fields, **entries})


def is_safe_path(path: str) -> bool:
    """Whether ``path`` is relative, stays inside its folder and is not the manifest."""
    parts = path.split("/")
    spelled = PurePosixPath(path).as_posix() == path
    return spelled and path != MANIFEST_NAME and all(_NAME.fullmatch(part) for part in parts)


def _seal(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(fields).encode()).hexdigest()


class _Head(Record, extra="ignore"):
    kind: str
    version: Annotated[Whole, Field(alias="schema", ge=1)]
    nnit_version: str


class _Fields(_Head, extra="forbid"):
    stage: str
    params: dict[str, Any]
    seed: Whole
    parents: dict[str, Any]
    versions: dict[str, Any]
    attributes: dict[str, Any]
    arrays: dict[str, Any]
    files: dict[str, Any]


def _require_readable(head: _Head, where: str) -> None:
    if head.kind not in KINDS:
        raise UnknownSchemaError(
            f"{where}: kind: found {head.kind!r}, expected one of {', '.join(KINDS)}; "
            "a newer nnit may have written it"
        )
    kind = KINDS[head.kind]
    if head.version not in kind.readable:
        readable = ", ".join(map(str, kind.readable))
        raise UnknownSchemaError(
            f"{where}: schema: found {head.version}, expected one of {readable} for {head.kind}; "
            f"install the nnit that wrote it ({head.nnit_version}) or make it again "
            f"with `{kind.command}`"
        )
