"""How a run of the command line ends: every error becomes one line a fault and an exit code.

0 done; 1 a bug of nnit; 2 usage; 3 invalid parameters; 4 missing input or wrong kind of artifact;
5 damaged artifact or unknown schema; 6 no disk, memory or device; 7 quality gate not met; 130 and
143 interrupted by SIGINT and SIGTERM.
"""

import errno
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import Any, TextIO

from nnit.errors import (
    InterruptedRunError,
    NnitError,
    ParamsError,
    RankLostError,
    ResourceError,
    UsageError,
    unit_of,
)
from nnit.ranks import ranks_of
from nnit_cli.app import build_app
from nnit_cli.console import accept_any_text, print_error, print_traceback
from nnit_cli.signals import stop_request

DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG)
FIRST_SPEAKS_S = 20.0  # how long other ranks wait for the first one's words
OUT_OF_MEMORY = "needs more memory than there is; use a smaller batch or fewer --workers"


def run(words: Sequence[str]) -> int:
    """Run the command line with the words behind ``nnit`` and return its exit code."""

    def command() -> object:
        with stop_request.listening():
            return build_app()(list(words), prog_name="nnit", standalone_mode=False)

    accept_any_text()
    return guarded(command, debug="--debug" in words)


class Stream:
    """Stdout or stderr, of a command that goes on when whoever reads it, ``head`` say, has left.

    What is written then is lost, and nothing else: the command is judged, and has its exit code.

    Args:
        stream: What is written to.
        lost: What may go wrong with it. Of stderr that is everything, a full disk too: work is not
            lost for its log.
    """

    def __init__(self, stream: TextIO, lost: type[OSError] = BrokenPipeError) -> None:
        self._stream, self._lost = stream, lost

    def write(self, text: str) -> int:
        """Write text, if anybody reads it."""
        try:
            return self._stream.write(text)
        except self._lost:
            self.discard()
            return len(text)

    def flush(self) -> None:
        """Write what is left, if anybody reads it."""
        try:
            self._stream.flush()
        except self._lost:
            self.discard()

    def discard(self) -> None:
        """Have all that is written from now on go nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a stream has
        return getattr(self._stream, name)


@contextmanager
def readers_may_leave() -> Iterator[Stream]:
    """Put up with readers of stdout and stderr that leave, and yield stdout."""
    given = sys.stdout, sys.stderr
    out = Stream(sys.stdout or StringIO())  # None: was closed from the start
    err = Stream(sys.stderr or StringIO(), OSError)
    sys.stdout, sys.stderr = out, err  # type: ignore[assignment]
    try:
        yield out
    finally:
        sys.stdout, sys.stderr = given


def guarded(action: Callable[[], object], *, debug: bool) -> int:
    """Run ``action`` and return the exit code that its outcome stands for.

    Args:
        action: What to do; an integer that it returns is its exit code.
        debug: Print the traceback of an error too.
    """
    with readers_may_leave() as out:
        code = _code_of(action, out, debug=debug)
        try:
            out.flush()
        except OSError:  # a full disk: said already, or less than the error that came first
            out.discard()
        return code


def _code_of(action: Callable[[], object], out: Stream, *, debug: bool) -> int:
    """Run ``action``, print its error, and return its exit code."""
    try:
        code = action()
        out.flush()
    except KeyboardInterrupt:
        return _interrupted()
    except SystemExit as leaving:
        if isinstance(leaving.__context__, BrokenPipeError):
            return _report(leaving.__context__)  # Typer takes every pipe for stdout
        return leaving.code if isinstance(leaving.code, int) else 1
    except Exception as error:  # noqa: BLE001 - the boundary
        if debug:
            print_traceback(error)
        return _report(error)
    if code == 128 + signal.SIGINT:
        return _interrupted()  # what Typer makes of KeyboardInterrupt
    return code if isinstance(code, int) else 0


def _report(error: Exception) -> int:
    """Print an error's lines and return its exit code."""
    if isinstance(error, NnitError):
        fault = error
    elif _is_out_of_memory(error):
        fault = ResourceError(f"{OUT_OF_MEMORY} ({_summary_of(error)})")
    elif isinstance(error, OSError) and error.errno in DISK_FAULTS:
        fault = ResourceError(f"{error.filename or 'output'}: {error.strerror}")
    elif hasattr(error, "format_message"):  # what Typer raises for a wrong command line
        return _report_usage(error)
    elif stop_request.signal_number:
        return _interrupted()  # what a library made of KeyboardInterrupt while it was imported
    else:
        print_error(f"internal error: {_summary_of(error)}")
        _print_unit(error)
        print_error("this is a bug; please report it with what --debug prints")
        return 1
    ranks = ranks_of(os.environ)
    if ranks.is_first:
        of_rank = ""
    elif isinstance(fault, UsageError | ParamsError):
        return _leave_words_to_the_first(fault.exit_code)
    elif isinstance(fault, RankLostError | InterruptedRunError):
        return fault.exit_code  # the first one says the same
    else:
        of_rank = f"rank {ranks.rank}: "
    for line in fault.faults or (type(fault).__name__,):
        print_error(f"{of_rank}{line}")
    _print_unit(error)
    return fault.exit_code


def _leave_words_to_the_first(code: int) -> int:
    """Wait for torchrun to end this rank: it ends all when one ends, the first one unheard too."""
    time.sleep(FIRST_SPEAKS_S)
    return code


def _print_unit(error: Exception) -> None:
    """Say which unit of work an error comes from, if it is any."""
    if unit := unit_of(error):
        print_error(f"in the unit {unit}")


def _report_usage(error: Exception) -> int:
    """Print what is wrong with the command line; a bare ``nnit`` has printed its help by then."""
    if not ranks_of(os.environ).is_first:
        return _leave_words_to_the_first(2)
    if type(error).__name__ != "NoArgsIsHelpError":
        message = error.format_message()  # type: ignore[attr-defined]
        context = getattr(error, "ctx", None)
        print_error(" ".join(message.split()))
        if context is not None:
            print_error(f"see {context.command_path} --help")
    return 2


def _interrupted() -> int:
    if stop_request.is_first:
        print_error("interrupted")
    return 128 + (stop_request.signal_number or signal.SIGINT)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out; torch says so in its own types, and torch isn't imported here."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or (isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error))


def _summary_of(error: Exception) -> str:
    """Return type and message of an error on one line."""
    lines = "".join(traceback.format_exception_only(error)).splitlines()
    return next((line for line in lines if line.strip()), type(error).__name__)
