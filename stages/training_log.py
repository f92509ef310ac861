"""What a training tells of each step: to the log beside its output, and to trackers."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from nnit.artifacts.log import SECONDS, STEP, TrainingLog, kept_steps
from nnit.artifacts.state import State
from nnit.trackers import TrackedRun, Tracker, open_tracker

RUN_IDS = "run_ids"  # of trackers, among the counters of a state


class Told(NamedTuple):
    """Which attributes of a step the log has."""

    value: str = "loss"  # what the log calls the step's ``loss``
    further: Sequence[str] = ()  # figures, under their own names
    counted: str = ""  # how much it went through, as a rate: ``tokens`` is ``tokens_per_second``


class StepLog:
    """Tells the log and the trackers of each step; without a log, nobody.

    Args:
        told: What it tells.
        log: Open for this training.
        trackers: By name.
        before_s: What steps took that were done before.
    """

    def __init__(
        self,
        told: Told,
        log: TrainingLog | None = None,
        trackers: Mapping[str, Tracker] | None = None,
        before_s: float = 0.0,
    ) -> None:
        self._told, self._log, self._trackers = told, log, trackers or {}
        self._before_s = before_s
        self._began = self._last = time.monotonic()

    @property
    def run_ids(self) -> dict[str, str | None]:
        """By what trackers know this training when it is resumed."""
        return {name: tracker.run_id for name, tracker in self._trackers.items()}

    def write(self, steps: Sequence[Any]) -> None:
        """Tell of steps whose figures are known at once.

        Raises:
            ResourceError: no disk or no permission.
        """
        if self._log is None or not steps:
            return
        now = time.monotonic()
        took, self._last = max(now - self._last, 1e-9), now
        times = {SECONDS: round(self._before_s + now - self._began, 3)}
        if counted := self._told.counted:
            rate = sum(getattr(step, counted) for step in steps) / took
            times[f"{counted}_per_second"] = float(f"{rate:.6g}")
        for step in steps:
            named = {self._told.value: step.loss}
            named |= {name: getattr(step, name) for name in self._told.further}
            figures = {STEP: step.step, **{k: _finite(v) for k, v in named.items()}, **times}
            self._log.write(figures)
            for tracker in self._trackers.values():
                tracker.write(figures)
        self._log.flush()

    def sync(self) -> None:
        """Keep what was told, before a state says that its steps are done."""
        if self._log is not None:
            self._log.sync()


@contextmanager
def open_log(
    out: Path, told: Told, params: Mapping[str, Any], state: State | None, names: Sequence[str]
) -> Iterator[StepLog]:
    """Yield what is told of each step; the log and the trackers go on behind those of a state.

    Args:
        out: What the training writes.
        told: What is told of a step.
        params: What decides the result.
        state: Where the training was resumed, if it was.
        names: Trackers.

    Raises:
        DamagedArtifactError: the log of steps that were done before is not whole.
        ResourceError: no disk or no permission.
        UsageError: a tracker does not start.
    """
    kept = kept_steps(out, state.step if state else 0)
    run_ids = state.counters.get(RUN_IDS, {}) if state else {}
    with ExitStack() as opened:
        trackers = {}
        for name in names:
            run = TrackedRun(out, params, kept, run_ids.get(name))
            trackers[name] = opened.enter_context(closing(open_tracker(name, run)))
        log = opened.enter_context(closing(TrainingLog(out, kept)))  # last: nothing stops us now
        yield StepLog(told, log, trackers, kept[-1].get(SECONDS, 0.0) if kept else 0.0)


def write_log(out: Path, losses: Iterable[float]) -> None:
    """Write the log of a training that is over, of which nothing is known but losses.

    Raises:
        ResourceError: no disk or no permission.
    """
    with closing(TrainingLog(out, ())) as log:
        for step, loss in enumerate(losses, start=1):
            log.write({STEP: step, "loss": _finite(float(loss))})


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
