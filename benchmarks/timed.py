"""Run a command and write how long it took, and how many seconds its processes computed.

    python -m benchmarks.timed results/PickCube-v1/seconds/zoo.json nnit zoo-export ...

The second figure hardly depends on what else the machine had to do. Of a command that was
interrupted and goes on later, only the last part is counted.
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path


def main(words: list[str]) -> int:
    """Run the command; write its seconds where it succeeds; return its exit code."""
    out, *command = words
    started = time.monotonic()
    code = subprocess.run(command, check=False).returncode
    if code == 0:
        path = Path(out)
        path.parent.mkdir(parents=True, exist_ok=True)
        seconds = time.monotonic() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)  # its workers too
        measured = {
            "command": " ".join(command),
            "seconds": round(seconds, 1),
            "processor_s": round(used.ru_utime + used.ru_stime, 1),
            "cores": len(os.sched_getaffinity(0)),
        }
        path.write_text(json.dumps(measured) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
