"""Make all parts of the plan that are missing, as many at once as there are cores.

A part is taken where it was made by the same words with the same parameters, from the same inputs,
by the same algorithms; else it is made again. Each runs on a core of its own.
"""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, NamedTuple

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nnit.artifacts.canonical import canonical_json
from nnit.artifacts.manifest import MANIFEST_NAME
from nnit.seeding import digest_text
from stages.algorithms import VERSIONS
from stages.params_file import load_params
from studies.plan import OF_STUDIES, Part

COUNTED = str(Path(__file__).with_name("counted.py"))  # by its path, whatever the working folder
RECIPE, INTERRUPTED = "recipe.json", "interrupted.json"
READ_BY_ALL = ("architectures", "ghn_train", "zoo_export")  # sections beside a command's own
RESUMING = ("ghn-train", "zoo-export", "zoo-alone", "diffuse-train", "flat-train", "baseline")
ALGORITHMS = {"evaluate": "rollout", "alarms": "rollout", "align-report": "audit"}


class Running(NamedTuple):
    """A command at work."""

    part: Part
    process: subprocess.Popen[bytes]
    core: int
    started: float


def make_all(parts: Iterable[Part], then: Callable[[Part], None] | None = None) -> list[str]:
    """Make parts that are missing, each after what it is made of, else in their order.

    Where a command fails, all goes on that needs nothing of it; a line about each is returned. An
    interrupt is passed on to the commands, which keep what they have. ``then`` is called with each
    part that was made.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn()) as progress:
        workshop = Workshop(parts)
        shown = progress.add_task("parts", total=len(workshop.parts))
        try:
            while workshop.fill():
                progress.update(shown, completed=workshop.made)
                part, line = workshop.reap()
                progress.console.print(line, markup=False)
                if then is not None and not is_missing(part):
                    then(part)
        except KeyboardInterrupt:
            workshop.stop()
            raise
        progress.update(shown, completed=workshop.made)
    return workshop.failures


class Workshop:
    """Commands at work, one on each core; parts that come first are made first."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self.parts = {part.out: part for part in parts}
        self.made, self.failures = 0, list[str]()
        self._rank = {out: place for place, out in enumerate(self.parts)}
        self._order = TopologicalSorter({out: part.inputs for out, part in self.parts.items()})
        self._order.prepare()
        self._ready = list[Path]()
        self._free, self._running = sorted(os.sched_getaffinity(0)), dict[int, Running]()

    def fill(self) -> bool:
        """Begin as much as there are cores for; whether anything is at work."""
        self._ready += self._order.get_ready()
        while self._ready and self._free:
            out = min(self._ready, key=lambda out: self._rank.get(out, -1))
            self._ready.remove(out)
            part = self.parts.get(out)
            if part is not None and is_missing(part):
                core = self._free.pop(0)
                process = start(part, core)
                self._running[process.pid] = Running(part, process, core, time.monotonic())
            else:
                self._finish(out)
        return bool(self._running)

    def reap(self) -> tuple[Part, str]:
        """Wait for a command to end; return what it made, and a line about it."""
        pid, status, used = os.wait4(-1, 0)
        part, process, core, started = self._running.pop(pid)
        self._free.append(core)
        code = process.returncode = os.waitstatus_to_exitcode(status)
        if code:
            self.failures.append(failure(part, code))
            return part, self.failures[-1]
        seconds = seconds_of(started, used)
        keep(part, seconds)
        self._finish(part.out)
        return part, f"{part.out}: {seconds['wall']:.0f} s"

    def stop(self) -> None:
        """Ask all commands to stop, and wait until they have kept what they have."""
        for one in self._running.values():
            one.process.terminate()
        for pid, one in self._running.items():
            _, status, used = os.wait4(pid, 0)
            one.process.returncode = os.waitstatus_to_exitcode(status)
            note_interrupted(one.part, seconds_of(one.started, used))

    def _finish(self, out: Path) -> None:
        self._order.done(out)
        self._ready += self._order.get_ready()
        self.made += out in self.parts


def is_missing(part: Part) -> bool:
    """Whether a part has to be made: it is not there, or was made in another way."""
    kept = beside(part.out, RECIPE)
    return not (
        all(path.exists() for path in (part.out, kept, *part.inputs))
        and json.loads(kept.read_text())["recipe"] == recipe_of(part)
    )


def start(part: Part, core: int) -> subprocess.Popen[bytes]:
    """Begin to make a part on a core; what the command says goes beside its output."""
    part.out.parent.mkdir(parents=True, exist_ok=True)
    with beside(part.out, "log").open("w") as log:
        words = [sys.executable, COUNTED, str(core), *command_of(part)]
        return subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)


def seconds_of(started: float, used: resource.struct_rusage) -> dict[str, float]:
    """Return how long a command took, and how long its processes computed."""
    processor = used.ru_utime + used.ru_stime
    return {"wall": round(time.monotonic() - started, 1), "processor": round(processor, 1)}


def keep(part: Part, seconds: dict[str, float]) -> None:
    """Keep how a part was made, beside it; what it took before interrupts counts too."""
    made = {**in_all(part, seconds), "words": part.words}
    beside(part.out, RECIPE).write_text(json.dumps(made))
    beside(part.out, INTERRUPTED).unlink(missing_ok=True)


def note_interrupted(part: Part, seconds: dict[str, float]) -> None:
    """Keep what a command took that goes on later from where it was; others begin anew."""
    if part.words[0] in RESUMING:
        beside(part.out, INTERRUPTED).write_text(json.dumps(in_all(part, seconds)))


def in_all(part: Part, seconds: dict[str, float]) -> dict[str, Any]:
    """Return the recipe, and the seconds with those that were noted of it."""
    path, recipe = beside(part.out, INTERRUPTED), recipe_of(part)
    noted = json.loads(path.read_text()) if path.exists() else {}
    if noted.get("recipe") == recipe:
        seconds = {name: value + noted["seconds"][name] for name, value in seconds.items()}
    return {"recipe": recipe, "seconds": seconds}


def failure(part: Part, code: int) -> str:
    """Return a line about a command that failed."""
    log = beside(part.out, "log")
    said = log.read_text().strip().splitlines()[-1:] or ["nothing was said"]
    return f"{part.out}: exit code {code}: {said[0]} ({log})"


def command_of(part: Part) -> list[str]:
    """Return what is run."""
    program, *words = part.words
    own = ["--out", str(part.out)]
    if program in OF_STUDIES:
        return [sys.executable, "-m", OF_STUDIES[program], *words, *own]
    own += ["--params", str(part.params), "--seed", str(part.seed), "--force"]
    resume = ["--resume"] if program in RESUMING else []
    return [sys.executable, "-m", "nnit_cli", program, *words, *own, *resume]


def recipe_of(part: Part) -> str:
    """Return the digest of all that decides a part, what its inputs hold included."""
    return digest_of(part, [content_digest(path) for path in part.inputs])


def planned(parts: Mapping[str, Part]) -> dict[str, str]:
    """Return the digest of all that decides each part, of inputs how they are made.

    It can be had where nothing was made, so that a result without its artifacts can be known again.
    """
    found: dict[Path, str] = {}
    for part in parts.values():
        found[part.out] = digest_of(
            part, [found.get(path) or content_digest(path) for path in part.inputs]
        )
    return {name: found[part.out] for name, part in parts.items()}


def digest_of(part: Part, inputs: list[str]) -> str:
    """Return a digest of a part's words, algorithm, seed and parameters, and of its inputs'."""
    algorithm = ALGORITHMS.get(part.words[0], part.words[0])
    sections = (part.words[0].replace("-", "_"), algorithm.replace("-", "_"), *READ_BY_ALL)
    params = load_params(part.params).model_dump(mode="json")
    typed = [path for path in map(Path, part.words) if path.is_file() and path != part.params]
    return digest_text(
        canonical_json(
            {
                "words": list(part.words),
                "algorithm": VERSIONS[algorithm],
                "seed": part.seed,
                "params": {name: params.get(name) for name in sections},
                "from": inputs,
                "typed": [content_digest(path) for path in typed],
            }
        )
    )


def content_digest(path: Path) -> str:
    """Return a digest of what an artifact or a file holds.

    Of an artifact it is that of its files, so that words in a manifest stale nothing.
    """
    if not path.is_dir():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    manifest: dict[str, Any] = json.loads((path / MANIFEST_NAME).read_text())
    return digest_text(canonical_json(manifest["files"]))


def beside(out: Path, ending: str) -> Path:
    """Return a file beside an output."""
    return out.with_name(f"{out.name}.{ending}")
