"""What the commands share that can go on where they were stopped: resuming, checkpoints."""

import math
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nnit import __version__
from nnit.artifacts.canonical import canonical_json
from nnit.artifacts.log import require_free_log
from nnit.artifacts.state import (
    SavedPart,
    State,
    UnitStore,
    clear_state,
    load_state,
    save_state,
    saved_parts,
    shard_output,
    state_folder,
)
from nnit.distributed import gathered, of_first, signal_of_any
from nnit.engine import all_shards
from nnit.errors import InterruptedRunError, ParamsError, RankLostError, UsageError
from nnit.progress import Progress
from nnit.seeding import digest_text
from stages.algorithms import VERSIONS
from stages.params import RunOptions
from stages.training_log import RUN_IDS, StepLog, Told, open_log

CURVE_POINTS = 200  # of a loss curve
UNREAD = 10  # steps on a GPU between two looks at what they gave: looking waits for it
LOSS = "loss"
WAY_ON = "go on with the same command and --resume"


class Step(Protocol):
    """What a training yields."""

    @property
    def step(self) -> int:
        """Steps done."""
        ...

    @property
    def loss(self) -> float:
        """The loss that was minimised."""
        ...


@dataclass(frozen=True)
class Run:
    """A resumable run: its output, and what decides its result."""

    out: Path
    key: str  # digest of parameters, seed and inputs
    options: RunOptions
    params: Mapping[str, Any] = field(default_factory=dict)  # of a training, for trackers


def run_key(stage: str, params: Mapping[str, Any], seed: int, parents: Mapping[str, str]) -> str:
    """Return the digest of all that decides a stage's result."""
    decides = {
        "stage": stage,
        "nnit": __version__,
        "algorithm": VERSIONS[stage],
        "params": params,
        "seed": seed,
        "parents": parents,
    }
    return digest_text(canonical_json(decides))


def find_state(run: Run) -> State | None:
    """Return the state of a training to go on from, None to begin.

    Of several ranks the first one looks, and tells the others.

    Raises:
        UsageError: as ``settle``; ranks were started with different parameters or inputs; there is
            no place for the log.
        DamagedArtifactError: the state is not what was written.
        RankLostError: another rank has ended.
    """
    ranks, state = run.options.ranks, None
    (first, *_), *others = gathered(ranks, [run.key])
    strange = [str(rank) for rank, (key,) in enumerate(others, start=1) if key != first]
    if strange:  # all ranks say so, of which the first one is heard
        raise UsageError(
            f"{run.out}: other parameters, inputs or nnit than rank 0 has rank "
            f"{', '.join(strange)}; start all alike"
        )
    if ranks.is_first:
        require_free_log(run.out)
        settle(run)
        state = load_state(run.out, run.key)
    return of_first(ranks, state)


def open_units(run: Run) -> UnitStore:
    """Return the store of a run's finished units; it holds those to go on from.

    A shard has a store of its own, and sees the units of the others; merging sees those of all.

    Raises:
        UsageError: as ``settle``; or what is to be merged is of other parameters or inputs.
        DamagedArtifactError: what is stored is not what was written.
    """
    shard, merged = run.options.shard, run.options.merged
    if shard is not None:
        others = [shard_output(run.out, one) for one in shard.others]
        run = replace(run, out=shard_output(run.out, shard))
    else:
        others = [shard_output(run.out, one) for one in all_shards(merged)]
        refuse_strange_shards(run, others)
    settle(run)
    return UnitStore(run.out, run.key, others)


def refuse_strange_shards(run: Run, shards: Sequence[Path]) -> None:
    """Refuse to merge shards of other runs.

    Raises:
        UsageError: a line lists them.
        DamagedArtifactError: what is stored is not what was written.
    """
    strange = [
        str(number)
        for number, out in enumerate(shards, start=1)
        if any(part.key != run.key for part in saved_parts(out))
    ]
    if strange:
        raise UsageError(
            f"{run.out}: of {len(shards)} shards these have other parameters, inputs or nnit: "
            f"{', '.join(strange)}; run them again with --force, or merge with what they had"
        )


def settle(run: Run) -> None:
    """Keep what an interrupted run left of this output, or remove it, as the flags say.

    Work is neither used nor lost without being asked for. ``--resume`` goes on from what is of
    this very run, and refuses what is of another: of other parameters or inputs. ``--force``
    starts over. Both together go on from what is of this run and remove the rest.

    Raises:
        UsageError: the flags don't say what to do with what is there.
        DamagedArtifactError: what is there is not what was written.
    """
    parts, flags = saved_parts(run.out), run.options
    others = [part for part in parts if part.key != run.key]
    if flags.force:
        clear_state(run.out, keep=run.key if flags.resume else None)
    elif others:
        raise UsageError(
            f"{run.out}: {_shown(others)} with other parameters, inputs or nnit; start over with "
            f"--force, or remove {state_folder(run.out)}"
        )
    elif parts and not flags.resume:
        raise UsageError(
            f"{run.out}: {_shown(parts)}; go on with --resume, or start over with --force"
        )


def _shown(parts: Sequence[SavedPart]) -> str:
    """Say what is saved."""
    steps = [part.step for part in parts if part.step is not None]
    if steps:
        return f"an interrupted run is saved at step {steps[0]}"
    count = len(parts)
    units = "1 finished unit" if count == 1 else f"{count} finished units"
    return f"{units} of an interrupted run {'is' if count == 1 else 'are'} saved"


def follow(
    steps: Iterator[Step],
    run: Run,
    progress: Progress,
    *,
    total: int,
    every: int,
    arrays: Callable[[], dict[str, np.ndarray]],
    state: State | None,
    shown: str = LOSS,
    beside: Sequence[str] = (),
    logged: Sequence[str] = (),
    counted: str = "",
    saves_when_lost: bool = True,
) -> list[tuple[int, float]]:
    """Run a training to its end, saving its state on the way and when asked to stop.

    The first of several ranks logs every step: see ``stages.training_log``.

    Args:
        steps: The training, from where ``state`` left it.
        run: The output and its key.
        progress: Told of every step; asked whether to stop.
        total: Steps in all.
        every: Steps between checkpoints.
        arrays: Returns what the next step depends on.
        state: Where the training was resumed, if it was.
        shown: What the curve is called on the terminal. All but a loss may be missing at a step.
        beside: Further figures of a step that the terminal shows where there are any.
        logged: Further figures of a step that are logged.
        counted: What a step goes through a number of, such as its ``tokens``.
        saves_when_lost: Whether ``arrays`` are still those of the last step where another rank
            ends: not where a step changes weights several times.

    Returns:
        The loss curve: (steps done, mean loss since the point before).

    Raises:
        ParamsError: the loss is no number any more.
        InterruptedRunError: stopped by a signal; the state is saved.
        RankLostError: another rank has ended; the state is saved, or the last checkpoint is kept.
        DamagedArtifactError: the log of the steps that were done before is not whole.
    """
    told, names = Told(shown, logged, counted), run.options.trackers
    opened = (
        open_log(run.out, told, run.params, state, names)
        if run.options.ranks.is_first
        else nullcontext(StepLog(told))
    )
    counters = state.counters if state else {"curve": [], "pending": []}
    curve: list[list[float]] = list(counters["curve"])
    pending: list[float] = list(counters["pending"])
    interval = max(1, total // CURVE_POINTS)
    ranks = run.options.ranks
    read_every = 1 if run.options.device == "cpu" else UNREAD
    unread: list[Step] = []
    done = state.step if state else 0

    def read(log: StepLog) -> None:
        log.write(unread)
        for step in unread:
            if math.isfinite(step.loss):
                pending.append(step.loss)
            elif shown == LOSS:
                raise ParamsError(
                    f"{run.out}: the loss is {step.loss} at step {step.step} of {total}; start "
                    "over with a lower --learning-rate and --force"
                )
            if step.step % interval == 0 and pending:
                curve.append([step.step, float(np.mean(pending))])
                pending.clear()
            figures = {name: getattr(step, name) for name in beside}
            further = {name: figure for name, figure in figures.items() if figure is not None}
            progress.advance(1, **{shown: step.loss}, **further)
        unread.clear()

    def save(log: StepLog) -> None:
        read(log)
        if ranks.is_first:
            log.sync()  # first: a state whose steps are not in the log could not be gone on from
            saved = {"curve": curve, "pending": pending, RUN_IDS: log.run_ids}
            save_state(run.out, run.key, done, arrays(), saved)

    with opened as log:
        try:
            for step in steps:
                unread.append(step)
                done = step.step
                if done % read_every == 0 or done == total:
                    read(log)
                stop = signal_of_any(ranks, progress.stop_signal())
                if done < total and (stop or done % every == 0):
                    save(log)
                    if stop:
                        raise InterruptedRunError(stop, _stopped(run.out, stop, done, total))
        except RankLostError:
            kept = "state saved" if saves_when_lost else "the last checkpoint is kept"
            if saves_when_lost:
                save(log)
            line = f"{run.out}: another rank ended at step {done} of {total}, {kept}; {WAY_ON}"
            raise RankLostError(line) from None
    return [(int(at), loss) for at, loss in curve]


@contextmanager
def naming_the_way_on(out: Path) -> Iterator[None]:
    """Say of interrupted work whose finished units are kept which output it was, and how to go on.

    Raises:
        InterruptedRunError: with the same signal.
    """
    try:
        yield
    except InterruptedRunError as error:
        line = f"{out}: {error}; finished work is saved; {WAY_ON}"
        raise InterruptedRunError(error.signal_number, line) from None


def _stopped(out: Path, stop: int, step: int, total: int) -> str:
    name = signal.Signals(stop).name
    return f"{out}: stopped by {name} at step {step} of {total}, state saved; {WAY_ON}"
