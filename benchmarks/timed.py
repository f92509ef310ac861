"""Run a command and write how long it took.

    python -m benchmarks.timed results/PickCube-v1/seconds/zoo.json nnit zoo-export ...

Of a command that was interrupted and goes on later, only the last part is counted.
"""

import json
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
        seconds = round(time.monotonic() - started, 1)
        path.write_text(json.dumps({"command": " ".join(command), "seconds": seconds}) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
