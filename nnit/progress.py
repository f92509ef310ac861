"""How long-running library code tells its caller where it is, and learns that it should stop.

The terminal room has an implementation with a bar and an ETA; ``silent`` is for everybody else.
"""

from typing import Protocol

from nnit.errors import InterruptedRunError


class Progress(Protocol):
    """What long-running code reports to."""

    def start(self, label: str, total: int, done: int = 0) -> None:
        """Begin a part of the work: ``total`` units in all, ``done`` of them before (resumed)."""
        ...

    def advance(self, units: int = 1, *, share: float | None = None, **figures: float) -> None:
        """``units`` more are finished; ``figures`` (a loss, say) are shown beside the bar.

        Where some units take longer than others, ``share`` is how much of the work these were, of
        what was left when the part began.
        """
        ...

    def note(self, line: str) -> None:
        """Show one line of information, such as the device that was chosen."""
        ...

    def stop_signal(self) -> int:
        """Return the number of the signal that asks to stop, or 0.

        Resumable work polls it after each unit, saves its state and raises
        ``InterruptedRunError``.
        """
        ...


class SilentProgress:
    """Reports nothing and never asks to stop."""

    def start(self, label: str, total: int, done: int = 0) -> None:
        """Do nothing."""

    def advance(self, units: int = 1, *, share: float | None = None, **figures: float) -> None:
        """Do nothing."""

    def note(self, line: str) -> None:
        """Do nothing."""

    def stop_signal(self) -> int:
        """Return 0: go on."""
        return 0


silent = SilentProgress()


def raise_if_stopped(progress: Progress, line: str) -> None:
    """Stop work that the caller asked to stop.

    Args:
        progress: Knows whether it did.
        line: What was done, for the user.

    Raises:
        InterruptedRunError: it did.
    """
    if signal_number := progress.stop_signal():
        raise InterruptedRunError(signal_number, line)
