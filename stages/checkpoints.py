"""What the two trainings share around their loop: resuming, checkpoints, stopping."""

import math
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nnit import __version__
from nnit.artifacts.canonical import canonical_json
from nnit.artifacts.state import OtherState, State, clear_state, load_state, save_state
from nnit.errors import InterruptedRunError, ParamsError, UsageError
from nnit.progress import Progress
from nnit.seeding import digest_text
from stages.params import RunOptions

CURVE_POINTS = 200  # of a loss curve
LOSS = "loss"


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


def run_key(stage: str, params: Mapping[str, Any], seed: int, parents: Mapping[str, str]) -> str:
    """Return the digest of all that decides a stage's result."""
    decides = {
        "stage": stage,
        "nnit": __version__,
        "params": params,
        "seed": seed,
        "parents": parents,
    }
    return digest_text(canonical_json(decides))


def find_state(run: Run, progress: Progress) -> State | None:
    """Return the state to go on from, None to begin.

    Raises:
        UsageError: there is state of this very run, and neither ``--resume`` nor ``--force``.
        DamagedArtifactError: the state is not what was written.
    """
    if run.options.force and not run.options.resume:
        clear_state(run.out)
        return None
    state = load_state(run.out, run.key)
    if isinstance(state, OtherState):
        progress.note(
            f"{run.out}: the saved state at step {state.step} is of other parameters or inputs; "
            "starting from the beginning"
        )
        return None
    if state is not None and not run.options.resume:
        raise UsageError(
            f"{run.out}: an interrupted run is saved at step {state.step}; "
            "go on with --resume, or start over with --force"
        )
    return state


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
) -> list[tuple[int, float]]:
    """Run a training to its end, saving its state on the way and when asked to stop.

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

    Returns:
        The loss curve: (steps done, mean loss since the point before).

    Raises:
        ParamsError: the loss is no number any more.
        InterruptedRunError: stopped by a signal; the state is saved.
    """
    counters = state.counters if state else {"curve": [], "pending": []}
    curve: list[list[float]] = list(counters["curve"])
    pending: list[float] = list(counters["pending"])
    interval = max(1, total // CURVE_POINTS)
    for step in steps:
        if math.isfinite(step.loss):
            pending.append(step.loss)
        elif shown == LOSS:
            raise ParamsError(
                f"{run.out}: the loss is {step.loss} at step {step.step} of {total}; start over "
                "with a lower --learning-rate and --force"
            )
        if step.step % interval == 0 and pending:
            curve.append([step.step, float(np.mean(pending))])
            pending = []
        figures = {name: getattr(step, name) for name in beside}
        further = {name: figure for name, figure in figures.items() if figure is not None}
        progress.advance(1, **{shown: step.loss}, **further)
        stop = progress.stop_signal()
        if step.step < total and (stop or step.step % every == 0):
            saved = {"curve": curve, "pending": pending}
            save_state(run.out, run.key, step.step, arrays(), saved)
            if stop:
                raise InterruptedRunError(stop, _stopped(run.out, stop, step.step, total))
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
        line = f"{out}: {error}; finished work is saved; go on with the same command and --resume"
        raise InterruptedRunError(error.signal_number, line) from None


def _stopped(out: Path, stop: int, step: int, total: int) -> str:
    name = signal.Signals(stop).name
    return (
        f"{out}: stopped by {name} at step {step} of {total}, state saved; "
        "go on with the same command and --resume"
    )
