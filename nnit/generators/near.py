"""Generators in folders: those in and below the working folder, for whoever looks for one."""

import os
from collections.abc import Iterator
from pathlib import Path

from nnit.artifacts.canonical import parse_json
from nnit.artifacts.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES
from nnit.errors import NnitError
from nnit.opening import read_bounded

DEEPEST = 3  # folders below the one that is searched
MAX_FOLDERS = 20_000  # that are looked into


def folders_with_manifests(folder: Path = Path(), deepest: int = DEEPEST) -> Iterator[Path]:
    """Yield the folders in and below one that hold a manifest; hidden ones are left out."""
    seen, level = 0, [folder]
    for _ in range(deepest + 1):
        below: list[Path] = []
        for one in level:
            seen += 1
            if seen > MAX_FOLDERS:
                return
            if (one / MANIFEST_NAME).is_file():
                yield one
            below += _folders_in(one)
        level = below


def generators_near(folder: Path = Path()) -> list[Path]:
    """Return where generators lie in and below a folder; what can't be read is none."""
    return sorted(one for one in folders_with_manifests(folder) if _kind_of(one) == "generator")


def _folders_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            found = [
                Path(entry)
                for entry in entries
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            ]
    except OSError:
        return []
    return sorted(found)


def _kind_of(folder: Path) -> object:
    try:
        data = parse_json(read_bounded(folder / MANIFEST_NAME, MAX_MANIFEST_BYTES), str(folder))
    except (NnitError, OSError):
        return None
    return data.get("kind") if isinstance(data, dict) else None
