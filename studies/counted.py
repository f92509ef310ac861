"""Run a command on one core, such that its parent counts what all of its processes computed.

    python studies/counted.py CORE nnit zoo-export ...

The system counts for a parent only the children that were waited for. A command's workers come from
a server, which outlives the command for a moment: it is waited for here.
"""

import ctypes
import os
import signal
import subprocess
import sys
from contextlib import suppress

PR_SET_CHILD_SUBREAPER = 36  # prctl(2): orphans of what is begun here become its children


def main(core: int, words: list[str]) -> int:
    """Run the command, pass signals on, wait for all that it began; return its exit code."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    os.sched_setaffinity(0, {core})
    process = subprocess.Popen(words)
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, lambda number, _: process.send_signal(number))
    code = process.wait()
    with suppress(ChildProcessError):
        while True:
            os.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
