"""The entry point ``nnit``.

Ctrl-C may come while the rest is being imported, which takes tenths of a second. So this imports
little, and takes the signal over first.
"""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code; ``nnit_cli.outcome`` says which there are.

    Args:
        argv: The words behind ``nnit``; by default those that the process was called with, which
            is about to end then.
    """
    before = signal.signal(signal.SIGINT, _end_at_once)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for some takes long
    try:
        from nnit_cli.outcome import run

        return run(sys.argv[1:] if argv is None else argv)
    finally:
        if argv is not None:
            signal.signal(signal.SIGINT, before)


def _end_at_once(number: int, _frame: FrameType | None) -> None:
    """End before there is anything to save, or after it: without a traceback of what goes on."""
    with suppress(OSError):  # nobody may read it any more
        os.write(2, b"nnit: interrupted\n")
    os._exit(128 + number)
