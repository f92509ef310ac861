"""Reading while an output is being replaced: one artifact or the other, never a bit of both."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import artifact_examples as examples

from nnit.artifacts.describe import describe_path
from nnit.artifacts.durable import exchange
from nnit.artifacts.reading import verify
from nnit.errors import DamagedArtifactError

from .corpus import NAMES, WRITERS, read, write_all
from .resealed import spoil_arrays
from .trials import Attack, Fault

READS = 100  # of a trial, while another process exchanges or replaces
TRIALS = 3  # of each artifact
PAUSE_S = 0.2  # between replacements: faster than any command, slower than a second try


def attacks(base: Path) -> list[Attack]:
    """Return the attacks; the artifacts lie in ``base`` afterwards."""
    write_all(base)
    for name in NAMES:
        _make_readable_twin(name, base / f"{name}-other", base / name)
    count = TRIALS * len(NAMES)
    return [
        Attack(
            "reading while two artifacts are exchanged", count, partial(_exchanged, base), READS
        ),
        Attack("reading while --force replaces", count, partial(_replaced, base), READS),
    ]


def _make_readable_twin(name: str, twin: Path, original: Path) -> None:
    """Write a valid artifact of the same shape with other content."""
    shutil.copytree(original, twin)
    manifest = examples.json.loads((twin / "manifest.json").read_bytes())
    if (twin / "arrays.zarr").is_dir():

        def spoil(found):
            for array in found.values():
                if array.dtype.kind == "f":
                    array[...] = array[::-1].copy()

        spoil_arrays(twin, spoil)
    elif name.startswith(("ghn", "flat", "generator")):
        kept = dict(examples.TENSORS)
        examples.TENSORS.update({key: -value for key, value in kept.items()})
        try:
            WRITERS[name](twin, force=True)
        finally:
            examples.TENSORS.update(kept)
    else:
        interface = {**manifest["attributes"]["interface"], "horizon": 77}
        for file in twin.glob("network-*/config.json"):
            config = {**examples.json.loads(file.read_bytes()), "horizon": 77}
            examples.replace_file(
                twin, str(file.relative_to(twin)), examples.canonical_file(config)
            )
        examples.edit_manifest(
            twin, lambda fields: fields["attributes"].update(interface=interface)
        )
    read(name, twin)


def _exchanged(base: Path, k: int, chance: random.Random, folder: Path) -> Fault | None:
    """Exchange without pause: what is read is whole, where reading succeeds."""
    name = NAMES[k % len(NAMES)]
    path, other = folder / "out", folder / "other"
    shutil.copytree(base / name, path)
    shutil.copytree(base / f"{name}-other", other)

    def swap() -> None:
        exchange(path, other)
        time.sleep(chance.random() / 2000)

    with _process(swap):
        return _read_often(base, name, path, tolerant=True)


def _replaced(base: Path, k: int, chance: random.Random, folder: Path) -> Fault | None:
    """Replace as commands do: reading always succeeds."""
    name = NAMES[k % len(NAMES)]
    path = folder / "out"
    shutil.copytree(base / name, path)
    sources = [base / name, base / f"{name}-other"]

    def replace() -> None:
        fresh = folder / "fresh"
        shutil.copytree(sources[0], fresh)
        exchange(fresh, path)
        shutil.rmtree(fresh)
        sources.reverse()
        time.sleep(PAUSE_S)

    with _process(replace):
        return _read_often(base, name, path, tolerant=False)


def _read_often(base: Path, name: str, path: Path, *, tolerant: bool) -> Fault | None:
    known = {
        artifact.digest: value
        for value, artifact in (read(name, base / name), read(name, base / f"{name}-other"))
    }
    wrong = []
    for number in range(READS):
        try:
            if number % 4 == 2:
                good = describe_path(path)["digest"] in known
                wrong += [] if good else ["described as something else"]
            elif number % 4 == 3:
                wrong += [] if tolerant else verify(path)[:1]
            else:
                value, artifact = read(name, path)
                examples.assert_same(value, known[artifact.digest])
        except DamagedArtifactError as error:
            wrong += [] if tolerant else [f"called damaged, {error.faults[0]}"]
        except (AssertionError, KeyError):
            wrong.append("not the content of the digest")
    return Fault("accepted", f"{wrong[0]}: {name}", times=len(wrong)) if wrong else None


@contextmanager
def _process(step: Callable[[], None]) -> Iterator[None]:
    """Repeat a step in another process while the block runs."""
    parent = os.getpid()
    process = os.fork()
    if process == 0:
        while os.getppid() == parent:
            step()
        os._exit(0)
    try:
        yield
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
