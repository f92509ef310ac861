"""Damage: bytes and files of an artifact that are not those that were written."""

import os
import random
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from nnit.artifacts.reading import verify
from nnit.errors import NnitError

from .corpus import NAMES, data_files, read, write_all
from .trials import Attack, Fault

Harm = Callable[[Path, Path, random.Random], None]


def attacks(base: Path) -> list[Attack]:
    """Return the attacks; the artifacts lie in ``base`` afterwards."""
    write_all(base)
    return [
        Attack(name, per_artifact * len(NAMES), partial(_trial, base, harm))
        for name, (per_artifact, harm) in HARMS.items()
    ]


def _trial(base: Path, harm: Harm, k: int, chance: random.Random, folder: Path) -> Fault | None:
    name = NAMES[k % len(NAMES)]
    path = folder / "artifact"
    shutil.copytree(base / name, path)
    harm(path, base / f"{name}-twin", chance)
    ways = {"verify": _verify, "reader": read}
    unseen = [way for way, found in ways.items() if not _notices(found, name, path)]
    return Fault("accepted", f"{name}, by {' and '.join(unseen)}") if unseen else None


def _notices(found: Callable[[str, Path], object], name: str, path: Path) -> bool:
    try:
        found(name, path)
    except NnitError:
        return True
    return False


def _verify(_: str, path: Path) -> None:
    faults = verify(path)
    if faults:
        raise NnitError(*faults)


def _any_file(path: Path, chance: random.Random) -> Path:
    return path / chance.choice([*data_files(path), "manifest.json"])


def _flip(path: Path, _: Path, chance: random.Random) -> None:
    file = _any_file(path, chance)
    data = bytearray(file.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    file.write_bytes(data)


def _truncate(path: Path, _: Path, chance: random.Random) -> None:
    file = _any_file(path, chance)
    os.truncate(file, chance.randrange(file.stat().st_size))


def _append(path: Path, _: Path, chance: random.Random) -> None:
    with _any_file(path, chance).open("ab") as file:
        file.write(chance.randbytes(chance.choice((1, 2, 100, 5000))))


def _exchange_within(path: Path, twin: Path, chance: random.Random) -> None:
    files = [*data_files(path), "manifest.json"]
    content = {file: (path / file).read_bytes() for file in files}
    pairs = [(a, b) for a in files for b in files if content[a] != content[b]]
    one, other = chance.choice(pairs)
    (path / one).write_bytes(content[other])
    (path / other).write_bytes(content[one])


def _exchange_between(path: Path, twin: Path, chance: random.Random) -> None:
    files = [*data_files(path), "manifest.json"]
    for file in chance.sample(files, chance.randrange(1, len(files))):
        shutil.copyfile(twin / file, path / file)


def _rename(path: Path, _: Path, chance: random.Random) -> None:
    file = _any_file(path, chance)
    file.rename(file.with_name(chance.choice((f"{file.name}x", f".{file.name}", "00"))))


def _add(path: Path, _: Path, chance: random.Random) -> None:
    folder = chance.choice([path, *(entry for entry in path.rglob("*") if entry.is_dir())])
    name = chance.choice(("extra", ".hidden", "manifest.json~", "zarr.json.bak", "a b", "é"))
    (folder / name).write_bytes(chance.choice((b"", b"x" * 100)))


def _remove(path: Path, _: Path, chance: random.Random) -> None:
    _any_file(path, chance).unlink()


def _other_than_a_file(path: Path, twin: Path, chance: random.Random) -> None:
    file, away = _any_file(path, chance), path.with_name("away")
    file.rename(away)
    turn = chance.choice(("link", "loop", "folder", "fifo", "linked folder"))
    if turn == "link":
        file.symlink_to(away)
    elif turn == "loop":
        file.symlink_to(file)
    elif turn == "folder":
        file.mkdir()
    elif turn == "fifo":
        os.mkfifo(file)
    else:
        away.rename(file)
        around = file.parent if file.parent != path else path / data_files(path)[0]
        around.rename(away)
        around.symlink_to(away)


HARMS: dict[str, tuple[int, Harm]] = {  # how often for each artifact
    "a bit of a file flipped": (1000, _flip),
    "a file cut short": (200, _truncate),
    "bytes appended to a file": (100, _append),
    "two files of an artifact exchanged": (100, _exchange_within),
    "files of another artifact of the kind": (100, _exchange_between),
    "a file renamed": (100, _rename),
    "a file added": (100, _add),
    "a file removed": (50, _remove),
    "a link, a FIFO or a folder instead of a file": (100, _other_than_a_file),
}
