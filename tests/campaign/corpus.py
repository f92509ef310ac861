"""The artifacts that are attacked: a small one of every kind, written by nnit itself."""

import shutil
from collections.abc import Callable
from pathlib import Path

import artifact_examples as examples

from nnit.artifacts.manifest import KINDS
from nnit.artifacts.model import write_model
from nnit.artifacts.tokens import write_tokens


def _write_tokens(path: Path, *, force: bool = False) -> None:
    write_tokens(path, examples.tokens_of_two_tasks(), examples.provenance(), force=force)


def _write_generator(path: Path, *, force: bool = False) -> None:
    both = [examples.INTERFACE, examples.OTHER]
    origin = examples.provenance()
    write_model(path, "generator", {}, examples.TENSORS, both, {}, origin, force=force)


def _writer(kind: str) -> Callable[..., None]:
    return lambda path, *, force=False: examples.write(kind, path, force=force)


WRITERS: dict[str, Callable[..., None]] = {
    **{kind: _writer(kind) for kind in KINDS},
    "tokens of two tasks": _write_tokens,
    "generator of two tasks": _write_generator,
}
NAMES = tuple(WRITERS)


def read(name: str, path: Path) -> object:
    """Read an artifact with the reader of its kind."""
    return examples.READERS[name.partition(" ")[0]](path)


def write_all(base: Path) -> None:
    """Write every artifact into a folder, and ``NAME-twin``: the same shape, other bytes."""
    for name, write in WRITERS.items():
        write(base / name)
        twin = base / f"{name}-twin"
        shutil.copytree(base / name, twin)
        for file in data_files(twin):
            data = (twin / file).read_bytes()
            examples.replace_file(twin, file, data[:-1] + bytes([data[-1] ^ 1]))


def data_files(path: Path) -> list[str]:
    """Return the names of an artifact's files but for the manifest."""
    return sorted(set(examples.tree(path)) - {"manifest.json"})
