"""Time the tests: ``python -m tests.times results/tests.json``, with nothing else running.

What fails is not timed: its exit code is this one's.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

TARGETS = ("test-fast", "test")


def main() -> None:
    """Run make's targets; write how long each took, and what pytest counted."""
    out = Path(sys.argv[1])
    timed = {}
    for target in TARGETS:
        start = time.monotonic()
        done = subprocess.run(["make", target], capture_output=True, text=True, check=False)
        seconds = round(time.monotonic() - start, 1)
        counted = re.findall(r"^(?:\d+ \w+(?:, )?)+(?= in )", done.stdout, re.MULTILINE)
        print(f"make {target}: {seconds} s, {', '.join(counted)}", flush=True)
        if done.returncode:
            print(done.stdout[-3000:], done.stderr[-3000:], sep="\n", file=sys.stderr)
            sys.exit(done.returncode)
        timed[target] = {"seconds": seconds, "tests": counted[-1]}
    cores = len(os.sched_getaffinity(0))
    found = {"command": f"python -m tests.times {out}", "cores": cores, **timed}
    out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
