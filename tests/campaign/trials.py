"""Runs trials in processes of their own, which may crash, hang and take memory without end."""

import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from nnit.errors import NnitError

HANG_S = 5.0  # of computing
PATIENCE_S = 30.0  # of waiting, by the clock
MEMORY_BYTES = 2**30  # of a process with all it has imported
ADDRESSES_BYTES = 4 * 2**30  # beyond those of the start: the machine itself is not attacked
BATCH = 50
REPOSITORY = Path(__file__).parents[2]
COLUMNS = ("trials", "accepted", "crashed", "hung", "over_memory", "bytes_lost")


class Fault(NamedTuple):
    """How an attack succeeded."""

    kind: str  # accepted, crashed, hung, over_memory or lost
    text: str
    num_bytes: int = 0  # of somebody's that are lost
    times: int = 1  # within the trial


class Attack(NamedTuple):
    """A kind of attack: a row of the table."""

    name: str
    trials: int
    trial: Callable[[int, random.Random, Path], Fault | None]  # number, chance, an empty folder
    unit: int = 1  # what a trial counts as
    patience_s: float = PATIENCE_S


class Numbered(NamedTuple):
    """A trial of a part: numbers count on over all of its attacks."""

    number: int
    attack: Attack
    index: int  # among those of the attack


def numbered(attacks: Sequence[Attack], share: float = 1.0) -> Iterator[Numbered]:
    """Yield all trials of a part, or a share of those of each attack, evenly spread."""
    start = 0
    for attack in attacks:
        count = min(attack.trials, max(1, round(share * attack.trials)))
        for k in range(count):
            index = k * attack.trials // count + k % (attack.trials // count)
            yield Numbered(start + index, attack, index)
        start += attack.trials


def run_trial(trial: Numbered, seed: int, folder: Path) -> Fault | None:
    """Run one trial here; a refusal in nnit's own words is what should happen."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    chance = random.Random(f"{seed} {trial.attack.name} {trial.index}")
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak of memory counts from here
    start = time.process_time()
    try:
        fault = trial.attack.trial(trial.index, chance, folder)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
        fault = fault_of(error)
    seconds, peak = time.process_time() - start, _peak_bytes()
    if fault is None and seconds > HANG_S:
        return Fault("hung", f"{seconds:.0f} s of computing")
    if fault is None and peak > MEMORY_BYTES:
        return Fault("over_memory", f"{peak / 2**30:.1f} GiB")
    return fault._replace(text=fault.text.replace(str(folder), "")) if fault else None


def fault_of(error: BaseException) -> Fault | None:
    """Return what an error of the code under attack means; None for one in nnit's own words."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    where = _where(chain[-1])
    if any(isinstance(one, MemoryError) for one in chain):
        return Fault("over_memory", f"memory refused {where}")
    if isinstance(error, NnitError):
        return None
    return Fault("crashed", f"{type(error).__name__} {_where(error)}: {str(error)[:150]}")


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if Path(f.filename).is_relative_to(REPOSITORY)] or frames[-1:]
    return " ".join(f"in {Path(f.filename).name}:{f.name}" for f in ours[-1:])


def _peak_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return 1024 * int(line.split()[1])
    return 0


class _Child:
    """A process that runs some trials, and the one that it is at."""

    def __init__(self, trials: Sequence[Numbered], seed: int, folder: Path) -> None:
        self.channel, there = multiprocessing.Pipe(duplex=False)
        self.left = deque(trials)
        self.since = time.monotonic()
        context = multiprocessing.get_context("fork")
        self.process = context.Process(target=_serve, args=(trials, seed, folder, there))
        self.process.start()
        there.close()

    def kill(self) -> None:
        """End it and all that it started."""
        for end in (lambda: os.killpg(self.process.pid, signal.SIGKILL), self.process.kill):
            with suppress(ProcessLookupError):
                end()
        self.process.join()
        self.channel.close()


def _serve(trials: Sequence[Numbered], seed: int, folder: Path, channel: Connection) -> None:
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    sys.stdout, sys.stderr = open(1, "w"), open(2, "w")  # noqa: SIM115
    size = 4096 * int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (size + ADDRESSES_BYTES, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for trial in trials:
        channel.send(run_trial(trial, seed, folder / str(os.getpid()) / "trial"))
    shutil.rmtree(folder / str(os.getpid()), ignore_errors=True)


def run_trials(
    trials: Sequence[Numbered], seed: int, folder: Path, *, workers: int, deadline: float
) -> dict[int, Fault | None]:
    """Run trials, a few processes at a time, and return what came of each that was run."""
    batches = deque(trials[k : k + BATCH] for k in range(0, len(trials), BATCH))
    running: list[_Child] = []
    found: dict[int, Fault | None] = {}
    while running or (batches and time.monotonic() < deadline):
        while batches and len(running) < workers and time.monotonic() < deadline:
            running.append(_Child(batches.popleft(), seed, folder))
        ready = wait([child.channel for child in running], timeout=1.0)
        for child in list(running):
            fault = None
            if child.channel in ready:
                try:
                    fault = child.channel.recv()
                except EOFError:
                    child.process.join()
                    fault = Fault("crashed", f"the process ended with {child.process.exitcode}")
            elif time.monotonic() - child.since < child.left[0].attack.patience_s:
                continue
            else:
                fault = Fault("hung", "nothing within the time")
            found[child.left.popleft().number] = fault
            child.since = time.monotonic()
            ended = fault is not None and fault.text.startswith(("the process", "nothing within"))
            if ended or not child.left:
                if child.left:
                    batches.appendleft(list(child.left))
                elif not ended:
                    child.process.join(1)
                child.kill()
                running.remove(child)
    return found


def rows_of(trials: Sequence[Numbered], found: dict[int, Fault | None]) -> list[dict[str, Any]]:
    """Count what came of the trials of each attack."""
    rows: dict[str, dict[str, Any]] = {}
    for trial in trials:
        if trial.number in found:
            name, fault = trial.attack.name, found[trial.number]
            row = rows.setdefault(name, {"attack": name, **dict.fromkeys(COLUMNS, 0)})
            row["trials"] += trial.attack.unit
            if fault is not None:
                row["bytes_lost"] += fault.num_bytes
                row["accepted" if fault.kind == "lost" else fault.kind] += fault.times
    return list(rows.values())


def failures_of(
    part: str, trials: Sequence[Numbered], found: dict[int, Fault | None], seed: int
) -> list[dict[str, Any]]:
    """Group the faults of a part by what they are; each has the command that shows it."""
    groups: dict[tuple[str, str, str], dict[str, Any]] = {}
    for trial in trials:
        fault = found.get(trial.number)
        if fault is not None:
            key = (trial.attack.name, fault.kind, fault.text.partition(": ")[0])
            group = groups.setdefault(
                key,
                {
                    "attack": trial.attack.name,
                    "fault": fault.kind,
                    "what": json.loads(json.dumps(fault.text).encode("utf-8", "replace")),
                    "times": 0,
                    "again": f"python -m tests.campaign --part {part} --seed {seed} "
                    f"--only {trial.number}",
                },
            )
            group["times"] += 1
    return list(groups.values())
