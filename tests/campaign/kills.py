"""Writers that are killed, or that the disk fails, at every step; and disks that are full."""

import ctypes
import errno
import os
import pickle
import random
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import artifact_examples as examples
import numpy as np

from nnit.artifacts import durable
from nnit.artifacts.durable import disk_errors, replace_file
from nnit.artifacts.reading import open_artifact, verify
from nnit.artifacts.state import UnitStore, clear_state, load_state, save_state
from nnit.errors import NnitError, ResourceError

from .corpus import NAMES, WRITERS, write_all
from .mutations import spoiled
from .steps import BROKEN, DONE, run_until, without_exchange
from .trials import Attack, Fault, fault_of

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)
STRANGERS = {  # what lies beside the output and is nobody's business
    "notes.txt": b"mine",
    "out.txt": b"mine too",
    ".out.old-backup/keep": b"an old copy",
    ".out.tmp-notes": b"a temporary note",
    ".out.tmp-1.tmp-77-0123abcd/part": b"of the running writer of .out.tmp-1",
    "out.state/diary.txt": b"beside the state",
    "out.state/mine.safetensors": b"not written by nnit",
    "out.state/units/mine.txt": b"beside the units",
    "out2/manifest.json": b"{}",
}
STEPPED = ("zoo", "samples", "rollouts", "generator of two tasks")  # one publisher writes them all
OLD, NEW = {"w": np.arange(500.0)}, {"w": np.arange(500.0) * 2}
CLONE_NEWNS, MS_REC_PRIVATE = 0x00020000, 0x4000 | 1 << 18


class Scenario(NamedTuple):
    """Something that is written."""

    name: str
    prepare: Callable[[Path], object]  # the folder -> what is there before
    write: Callable[[Path], object]  # what may be interrupted, and then is done again
    check: Callable[[Path, bool], str]  # what is wrong before it is done again; "": nothing
    ends: Callable[[Path], str]  # what is wrong after it was done again
    steps: int = 0


def attacks(base: Path) -> list[Attack]:
    """Return the attacks; each scenario is run once to count its steps."""
    write_all(base)
    published = [_artifact(base, name, old) for name in STEPPED for old in (False, True)]
    stateful = [_state(False), _state(True), _units(False), _units(True), _one_file()]
    found = []
    for exchange in (True, False):
        where = f"{'with' if exchange else 'without'} exchange of names"
        ready = [_counted(one, base, exchange) for one in published]
        found += [
            _stepped(
                f"artifact: killed at every step, {where}", ready, killed=True, exchange=exchange
            ),
            _stepped(
                f"artifact: every step fails, {where}", ready, killed=False, exchange=exchange
            ),
        ]
    ready = [_counted(one, base, True) for one in stateful]
    found += [
        _stepped("state and small files: killed at every step", ready, killed=True, exchange=True),
        _stepped("state and small files: every step fails", ready, killed=False, exchange=True),
    ]
    found.append(Attack("somebody's files within an output", 300, partial(_within, base)))
    limited = len(published) * 16
    found.append(Attack("artifact: a limit to files' sizes", limited, partial(_limit, published)))
    if _in_fork(lambda: _small_disk(base, 1)) is None:
        found.append(Attack("artifact: a full disk", limited, partial(_full, published)))
    return found


def _stepped(name: str, scenarios: list[Scenario], *, killed: bool, exchange: bool) -> Attack:
    starts = [0, *accumulate(one.steps for one in scenarios)]

    def trial(k: int, _: random.Random, folder: Path) -> Fault | None:
        number = next(i for i in range(len(scenarios)) if k < starts[i + 1])
        step = k - starts[number] + 1
        error = None if killed else ERRORS[(number + step) % len(ERRORS)]
        with _file_system(exchange):
            return _interrupt(
                scenarios[number],
                folder,
                lambda write: run_until(write, step, error),
                killed=killed,
                replaced_in_two=killed and not exchange,
            )

    return Attack(name, starts[-1], trial)


def _interrupt(
    scenario: Scenario,
    folder: Path,
    run: Callable[[Callable[[], object]], Any],
    *,
    killed: bool,
    replaced_in_two: bool = False,
) -> Fault | None:
    """Prepare, write until the interruption, look, write again, and look again."""
    for name, data in STRANGERS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    scenario.prepare(folder)
    ended = run(lambda: scenario.write(folder))
    what = f"{scenario.name}: {ended.text}"
    if ended.code == BROKEN or (ended.code == -9) != killed:
        return Fault("crashed", f"ended with {ended.code}: {what}")
    try:
        wrong, size = scenario.check(folder, replaced_in_two), 1
        if not wrong:
            scenario.write(folder)
            wrong, size = scenario.ends(folder), 0
    except Exception as error:  # noqa: BLE001 - nothing may fail once the disk is well again
        fault = fault_of(error)
        return Fault("crashed", f"afterwards, {fault.text if fault else error!r}: {what}")
    lost = [name for name, data in STRANGERS.items() if not _holds(folder / name, data)]
    size += sum(len(STRANGERS[name]) for name in lost)
    wrong = ", ".join([*([wrong] if wrong else []), *lost])
    return Fault("lost", f"{wrong}: {what}", size) if wrong else None


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.read_bytes() == data


def _remains(folder: Path, *own: str) -> str:
    known = {*own, *(name.partition("/")[0] for name in STRANGERS)}
    more = sorted(entry.name for entry in folder.iterdir() if entry.name not in known)
    return f"remains: {', '.join(name.partition('-')[0] for name in more)}" if more else ""


def _artifact(base: Path, name: str, existing: bool) -> Scenario:
    new, twin = base / name, base / f"{name}-twin"
    digests = [open_artifact(path).digest for path in (new, twin)]

    def prepare(folder: Path) -> None:
        if existing:
            shutil.copytree(twin, folder / "out")

    def whole(path: Path) -> bool:
        return verify(path) == [] and open_artifact(path).digest in digests

    def check(folder: Path, replaced_in_two: bool) -> str:
        if (folder / "out").exists():
            return "" if whole(folder / "out") else "not whole"
        aside = replaced_in_two and any(
            whole(path) for path in folder.glob(".out.old-*-*") if path.name not in STRANGERS
        )
        return "" if aside or not existing else "the old one is gone"

    def ends(folder: Path) -> str:
        if examples.tree(folder / "out") != examples.tree(new):
            return "other bytes"
        return _remains(folder, "out")

    def write(folder: Path) -> None:
        WRITERS[name](folder / "out", force=True)

    title = f"{name}, {'replaced' if existing else 'new'}"
    return Scenario(title, prepare, write, check, ends)


def _state(existing: bool) -> Scenario:
    def prepare(folder: Path) -> None:
        if existing:
            save_state(folder / "out", "key", 1, OLD, {})

    def check(folder: Path, _: bool) -> str:
        state = load_state(folder / "out", "key")
        if state is None:
            return "the state is gone" if existing else ""
        wanted = {1: OLD, 2: NEW}[state.step]
        return "" if np.array_equal(state.tensors["w"], wanted["w"]) else "not whole"

    def write(folder: Path) -> None:
        save_state(folder / "out", "key", 2, NEW, {})

    def ends(folder: Path) -> str:
        state = load_state(folder / "out", "key")
        if state is None or state.step != 2:
            return "the state is another"
        clear_state(folder / "out")
        return _remains(folder) or _remains_of_state(folder)

    return Scenario(f"state, {'replaced' if existing else 'new'}", prepare, write, check, ends)


def _units(existing: bool) -> Scenario:
    def prepare(folder: Path) -> None:
        if existing:
            UnitStore(folder / "out", "key").save("a", NEW)

    def check(folder: Path, _: bool) -> str:
        unit = UnitStore(folder / "out", "key").load("a")
        if unit is None:
            return "the unit is gone" if existing else ""
        return "" if np.array_equal(unit["w"], NEW["w"]) else "not whole"

    def write(folder: Path) -> None:
        store = UnitStore(folder / "out", "key")
        for unit in ("a", "b"):
            store.save(unit, NEW)

    def ends(folder: Path) -> str:
        clear_state(folder / "out")
        return _remains(folder) or _remains_of_state(folder)

    return Scenario(f"units, {'kept' if existing else 'new'}", prepare, write, check, ends)


def _remains_of_state(folder: Path) -> str:
    found = set(examples.tree(folder / "out.state"))
    more = found - {name.removeprefix("out.state/") for name in STRANGERS}
    return f"remains in the state: {sorted(more)[0][:12]}" if more else ""


def _one_file() -> Scenario:
    def check(folder: Path, _: bool) -> str:
        data = (folder / "figures").read_bytes() if (folder / "figures").exists() else b""
        return "" if data in (b"old" * 999, b"new" * 999) else "not whole"

    def write(folder: Path) -> None:
        with disk_errors(folder / "figures"):
            replace_file(folder / "figures", b"new" * 999)

    return Scenario(
        "one file, replaced",
        lambda folder: (folder / "figures").write_bytes(b"old" * 999),
        write,
        check,
        lambda folder: "" if _holds(folder / "figures", b"new" * 999) else "other bytes",
    )


def _within(base: Path, k: int, chance: random.Random, folder: Path) -> Fault | None:
    """Write where somebody has put files of his own, over artifacts that are whole or damaged."""
    name = NAMES[k % len(NAMES)]
    out, models = folder / "out", folder / "models"
    shutil.copytree(base / f"{name}-twin", out)
    models.mkdir()
    (folder / "out.state").symlink_to("models")
    mine = [out / "notes.txt", models / "mine.safetensors", models / "units/mine.safetensors"]
    whole = out / "manifest.json"
    data = whole.read_bytes()
    whole.write_bytes(chance.choice((data, spoiled(data, chance), data[: len(data) // 2], b"")))
    target = chance.choice((out, out, out / "inner"))
    for file in mine[chance.randrange(2) :]:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(STRANGERS["notes.txt"])
    kept = {**examples.tree(out), **examples.tree(models)}
    try:
        if chance.random() < 0.5:
            save_state(folder / "out", "key", 1, OLD, {})
            clear_state(folder / "out")
        else:
            WRITERS[name](target, force=True)
    except NnitError:
        changed = {**examples.tree(out), **examples.tree(models)} != kept
        return Fault("lost", f"refused, but changed: {name}") if changed else None
    if target != out and target.exists() and whole.read_bytes() == data:
        return Fault("accepted", f"written within another artifact: {name}")
    found = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    lost = list(kept.values()).count(STRANGERS["notes.txt"]) - found.count(STRANGERS["notes.txt"])
    return Fault("lost", f"somebody's files: {name}", 4 * lost) if lost > 0 else None


def _counted(scenario: Scenario, base: Path, exchange: bool) -> Scenario:
    folder = base / "counted"
    (folder / "out.state/units").mkdir(parents=True)  # as beside the strangers
    scenario.prepare(folder)
    with _file_system(exchange):
        ended = run_until(lambda: scenario.write(folder), 0)
    shutil.rmtree(folder)
    assert ended.code == DONE, ended
    return scenario._replace(steps=int(ended.text))


@contextmanager
def _file_system(exchange: bool) -> Iterator[None]:
    kept = durable._rename
    if not exchange:
        durable._rename = without_exchange
    try:
        yield
    finally:
        durable._rename = kept


def _limit(scenarios: list[Scenario], k: int, _: random.Random, folder: Path) -> Fault | None:
    """Let no file grow beyond a size."""
    scenario, size = scenarios[k % len(scenarios)], 100 * (k // len(scenarios))

    def write(work: Callable[[], object]) -> Any:
        def limited() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            work()

        return run_until(limited, 0)

    return _interrupt(scenario, folder, write, killed=False)


def _full(scenarios: list[Scenario], k: int, _: random.Random, folder: Path) -> Fault | None:
    """Write to a small disk of its own that is full, all but a few pages."""
    scenario, pages = scenarios[k % len(scenarios)], k // len(scenarios)

    def write(work: Callable[[], object]) -> Any:
        free = os.statvfs(folder).f_bavail - pages
        ballast = folder / "ballast"
        ballast.write_bytes(bytes(4096 * max(0, free)))
        try:
            return run_until(work, 0)
        finally:
            ballast.unlink()

    def inside() -> Fault | None:
        _small_disk(folder, 2**20)
        return _interrupt(scenario, folder, write, killed=False)

    return _in_fork(inside)


def _small_disk(folder: Path, size: int) -> None:
    """Mount a disk that only this process sees and that goes with it.

    Raises:
        ResourceError: that is not permitted here.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    calls = (
        lambda: libc.unshare(CLONE_NEWNS),
        lambda: libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None),
        lambda: libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, f"size={size}".encode()),
    )
    for call in calls:
        if call():
            raise ResourceError(f"no disk of its own: {os.strerror(ctypes.get_errno())}")


def _in_fork(action: Callable[[], Any]) -> Any:
    """Return what a forked process returns, or its error as a fault."""
    here, there = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            answer = action()
        except BaseException as error:  # noqa: BLE001 - the parent is told
            answer = Fault("crashed", repr(error))
        os.write(there, pickle.dumps(answer))
        os._exit(0)
    os.close(there)
    with open(here, "rb") as channel:  # noqa: PTH123
        data = channel.read()
    os.waitpid(process, 0)
    return pickle.loads(data)
