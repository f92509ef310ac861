"""Ctrl-C and SIGTERM: the first asks the run to stop and save, the second ends the process.

Where nothing is under way that could be saved, the first ends the command at once.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType

from nnit.ranks import ranks_of

PATIENCE_S = 3.0  # how long after the request somebody must have asked for it
AGAIN_S = 0.01  # how long after an interrupt was lost it is raised once more
NOTICE = b"\nnnit: stopping and saving; once more to stop at once\n"
STOPPING = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Which signal asked to stop, if any.

    A command that can be resumed polls it, saves its state and raises ``InterruptedRunError``.
    Where nobody polls for ``PATIENCE_S``, or could, KeyboardInterrupt ends the command, so that
    temporary files are removed on the way out.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self.is_first = ranks_of(os.environ).is_first  # of processes that train together
        self._heard = self._working = False

    def poll(self) -> int:
        """Return the signal's number, or 0."""
        self._heard = self._heard or self.signal_number != 0
        return self.signal_number

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the two signals over while the block runs; only in the main thread."""
        before = {number: signal.signal(number, self._on_stop) for number in STOPPING}
        before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._on_alarm)
        hook = sys.unraisablehook
        sys.unraisablehook = partial(self._on_unraisable, hook)
        try:
            yield
        finally:
            sys.unraisablehook = hook
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Take the first signal as a request while the block runs, and not as the end.

        Raises:
            KeyboardInterrupt: a signal came before, and something swallowed that it was the end, as
                compiled modules do while they are imported.
        """
        if self.signal_number:
            raise KeyboardInterrupt
        self._working = True
        try:
            yield
        finally:
            self._working = False

    def _on_stop(self, number: int, _frame: FrameType | None) -> None:
        if self.signal_number:
            os._exit(128 + number)
        self.signal_number = number
        if not self._working:
            raise KeyboardInterrupt
        if self.is_first:
            with suppress(OSError):  # who read stderr may be gone; to save is what counts
                os.write(2, NOTICE)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)

    def _on_unraisable(
        self, hook: Callable[["sys.UnraisableHookArgs"], object], lost: "sys.UnraisableHookArgs"
    ) -> None:
        """Raise again what Python drops in a ``__del__`` or a callback, as those of imports."""
        if issubclass(lost.exc_type, KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
        else:
            hook(lost)

    def _on_alarm(self, _number: int, _frame: FrameType | None) -> None:
        if not self._heard:
            raise KeyboardInterrupt


stop_request = StopRequest()
