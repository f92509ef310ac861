"""Dask's workers beside local ones: what they cost, and what is lost when they are killed.

    python -m benchmarks.engines artifacts results/scaling.json

Two workers each, on an idle machine of two cores. ``rollout`` and ``zoo-export`` run on a folder of
artifacts with both engines in turn; 1,000 units of 0.1 s are held against the 50 s that they would
take without any overhead; and while units run, ten workers are killed at random.
"""

import argparse
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from nnit.artifacts.reading import open_artifact
from nnit.engine import Engine
from nnit.parallel import map_units

WORKERS = 2
UNITS, UNIT_S = 1000, 0.1
KILLS, KILLED_UNITS, KILLED_UNIT_S = 10, 60, 0.5


class Nap(NamedTuple):
    """A unit that does nothing for a while, and leaves its process id in a folder meanwhile."""

    number: int
    seconds: float
    folder: Path


def nap(unit: Nap) -> int:
    """Return the unit's number."""
    mark = unit.folder / str(os.getpid())
    mark.touch()
    time.sleep(unit.seconds)
    mark.unlink(missing_ok=True)
    return unit.number


@contextmanager
def dask_workers(folder: Path) -> Iterator[str]:
    """Run a scheduler and its workers; give its HOST:PORT."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        host, port = free.getsockname()
    address = f"{host}:{port}"
    of_workers = ["worker", address, "--nthreads", "1", "--nworkers", str(WORKERS)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "dask", *words, "--no-dashboard"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for words in (["scheduler", "--host", host, "--port", str(port)], of_workers)
    ]
    try:
        yield address
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def overhead(engine: Engine, folder: Path) -> float:
    """Return by how much 1,000 short units take longer than they would without any overhead."""
    map_units(nap, [Nap(k, 0.0, folder) for k in range(WORKERS)], engine)  # workers have begun
    started = time.perf_counter()
    map_units(nap, [Nap(k, UNIT_S, folder) for k in range(UNITS)], engine)
    return (time.perf_counter() - started) / (UNITS * UNIT_S / WORKERS) - 1


def lost_units(engine: Engine, folder: Path) -> dict[str, int]:
    """Kill workers at random while units run; return how many units have no result."""
    draw, killed, over = random.Random(0), [0], threading.Event()

    def kill() -> None:
        while killed[0] < KILLS and not over.wait(draw.uniform(0.5, 2.0)):
            marks = list(folder.iterdir())
            if marks:
                mark = draw.choice(marks)
                with suppress(ProcessLookupError):
                    os.kill(int(mark.name), signal.SIGKILL)
                    killed[0] += 1
                mark.unlink(missing_ok=True)

    killer = threading.Thread(target=kill)
    killer.start()
    done: list[int] = []
    while killed[0] < KILLS:
        done = map_units(nap, [Nap(k, KILLED_UNIT_S, folder) for k in range(KILLED_UNITS)], engine)
    over.set()
    killer.join()
    return {"killed": killed[0], "units_lost": len(set(range(KILLED_UNITS)) - set(done))}


def command_times(words: list[str], address: str, folder: Path, pairs: int) -> dict[str, object]:
    """Run a command with both engines in turn; return seconds, and whether bytes are the same."""
    flags = {"local": ["--workers", str(WORKERS)], "dask": ["--executor", f"dask://{address}"]}
    seconds: dict[str, list[float]] = {name: [] for name in flags}
    for pair in range(pairs + 1):  # the first is not counted: Dask's workers import then
        for name, engine in flags.items():
            out = ["--out", str(folder / f"{words[0]}-{name}"), "--force", "--quiet"]
            started = time.perf_counter()
            subprocess.run([sys.executable, "-m", "nnit_cli", *words, *engine, *out], check=True)
            seconds[name] += [time.perf_counter() - started] if pair else []
    medians = {f"{name}_s": round(statistics.median(found), 2) for name, found in seconds.items()}
    ratios = [d / one for one, d in zip(seconds["local"], seconds["dask"], strict=True)]
    same = len({open_artifact(folder / f"{words[0]}-{name}").digest for name in flags}) == 1
    return {**medians, "ratio": round(statistics.median(ratios), 3), "same_bytes": same}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifacts", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--words", nargs="*", default=[], help="for both commands: --params, say")
    arguments = parser.parse_args()
    at = arguments.artifacts.absolute()
    commands = {
        "rollout": ["rollout", str(at / "samples"), "--ghn", str(at / "ghn")],
        "zoo-export": ["zoo-export", str(at / "ghn")],
    }
    with tempfile.TemporaryDirectory() as temporary, dask_workers(Path(temporary)) as address:
        marks = Path(temporary, "marks")
        marks.mkdir()
        engines = {"local": Engine(WORKERS), "dask": Engine(scheduler=address)}
        for name, words in commands.items():
            both = [*words, *arguments.words]
            keep(
                arguments.out, name, command_times(both, address, Path(temporary), arguments.pairs)
            )
        for name, engine in engines.items():
            keep(arguments.out, f"overhead_{name}", round(overhead(engine, marks), 4))
            keep(arguments.out, f"kills_{name}", lost_units(engine, marks))


def keep(path: Path, name: str, found: object) -> None:
    """Write a figure beside those that are there."""
    kept = json.loads(path.read_text()) if path.exists() else {}
    kept["engines"] = {**kept.get("engines", {}), name: found}
    path.write_text(json.dumps(kept, indent=2) + "\n")
    print(json.dumps({name: found}), flush=True)


if __name__ == "__main__":
    from benchmarks.engines import main  # by its name, Dask's workers find the units

    main()
