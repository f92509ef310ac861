"""Tell tools that follow experiments the figures of a training: TensorBoard, W&B, DVCLive.

Each is an extra of the package, and imported when it is asked for. They see what the log beside the
artifact has (``nnit.artifacts.log``), step by step, and decide nothing.
"""

import importlib.util
import os
import secrets
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from nnit.errors import UsageError

STEP = "step"
PROJECT = "nnit"  # of W&B, where WANDB_PROJECT names no other

Figures = Mapping[str, Any]  # of a step: "step", and numbers or None by name


class TrackerName(StrEnum):
    """The tools, by the names of their packages and of our extras."""

    TENSORBOARD = "tensorboard"
    WANDB = "wandb"
    DVCLIVE = "dvclive"


class TrackedRun(NamedTuple):
    """What a tracker is told of a training before its first step."""

    out: Path  # the artifact that it writes
    params: Mapping[str, Any]  # what decides its result
    kept: Sequence[Figures]  # of the steps that were done before, where it is resumed
    run_id: str | None  # what ``Tracker.run_id`` was then


class Tracker(Protocol):
    """One tool, open for one training."""

    run_id: str | None  # by which it knows a training that is resumed, if it needs that

    def write(self, figures: Figures) -> None:
        """Tell it the figures of a step."""
        ...

    def close(self) -> None:
        """Have it write what is left."""
        ...


def require_trackers(names: Sequence[str]) -> None:
    """Make sure that the packages are installed.

    Raises:
        UsageError: some are not; a line for each.
    """
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(*(f"--log {name}: needs nnit[{name}]; {_way(name)}" for name in missing))


def open_tracker(name: str, run: TrackedRun) -> Tracker:
    """Start a tool, or have it go on with a training that is resumed.

    Raises:
        UsageError: W&B is not told who logs in, or does not start.
    """
    return _TRACKERS[TrackerName(name)](run)


def folder_of(out: Path, name: str) -> Path:
    """Return where a tool writes its files: beside the artifact."""
    target = Path(os.path.realpath(out))
    return target.with_name(f"{target.name}.{name}")


class TensorBoardTracker:
    """Writes event files into ``<out>.tensorboard/``."""

    run_id = None

    def __init__(self, run: TrackedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        done = run.kept[-1][STEP] if run.kept else 0
        # What earlier files there say of the steps from here on is not shown any more.
        self._writer = SummaryWriter(
            str(folder_of(run.out, "tensorboard")), purge_step=done + 1, flush_secs=10
        )

    def write(self, figures: Figures) -> None:
        """Add a point to the curve of each figure."""
        for name, value in _numbers(figures).items():
            self._writer.add_scalar(name, value, figures[STEP])

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()


class WandbTracker:
    """Logs a run to W&B, or into ``wandb/`` beside the artifact with ``WANDB_MODE=offline``."""

    def __init__(self, run: TrackedRun) -> None:
        import wandb
        from wandb.errors import Error

        self.run_id: str | None = run.run_id or secrets.token_hex(4)
        try:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                dir=os.environ.get("WANDB_DIR", str(folder_of(run.out, "wandb").parent)),
                name=run.out.name,
                id=self.run_id,
                resume="allow",
                config=dict(run.params),
                settings=wandb.Settings(console="off"),
            )
        except Error as error:
            (line, *_) = str(error).splitlines() or [type(error).__name__]
            raise UsageError(
                f"--log wandb: {line.rstrip('.')}; or set WANDB_MODE=offline"
            ) from None

    def write(self, figures: Figures) -> None:
        """Log the figures at their step; W&B takes a step once, the first time."""
        self._run.log(_numbers(figures), step=figures[STEP])

    def close(self) -> None:
        """Have everything sent or written."""
        self._run.finish()


class DvcliveTracker:
    """Writes tables and a summary into ``<out>.dvclive/``."""

    run_id = None

    def __init__(self, run: TrackedRun) -> None:
        from dvclive.live import Live

        self._live = Live(
            str(folder_of(run.out, "dvclive")), report=None, save_dvc_exp=False, dvcyaml=None
        )
        self._live.log_params(dict(run.params))
        for figures in run.kept:  # its tables grow alone: of a killed run they have too many steps
            self.write(figures)

    def write(self, figures: Figures) -> None:
        """Add a row to the table of each figure."""
        self._live.step = figures[STEP]
        for name, value in _numbers(figures).items():
            self._live.log_metric(name, value)

    def close(self) -> None:
        """Write the summary."""
        self._live.end()


_TRACKERS = {
    TrackerName.TENSORBOARD: TensorBoardTracker,
    TrackerName.WANDB: WandbTracker,
    TrackerName.DVCLIVE: DvcliveTracker,
}


def _numbers(figures: Figures) -> dict[str, float]:
    return {name: value for name, value in figures.items() if name != STEP and value is not None}


def _way(name: str) -> str:
    return f"pip install 'nnit[{name}]'"
