"""Run a command and write how long it took, and how many seconds its processes computed.

    python -m benchmarks.timed results/PickCube-v1/seconds/zoo.json nnit zoo-export ...

The second figure hardly depends on what else the machine had to do. The seconds of a command that
was interrupted are kept beside the file, and count when it has gone on to its end.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

INTERRUPTED = (130, 143)  # exit codes


def read_seconds(path: Path, command: str) -> tuple[float, float]:
    """Return the seconds and processor seconds of earlier parts of a command."""
    if path.exists():
        before = json.loads(path.read_text())
        if before["command"] == command:
            return before["seconds"], before["processor_s"]
    return 0.0, 0.0


def main(words: list[str]) -> int:
    """Run the command; write its seconds where it succeeds; return its exit code."""
    path, command = Path(words[0]), " ".join(words[1:])
    parts = path.with_name(f"{path.name}.interrupted")
    started = time.monotonic()
    code = subprocess.run(words[1:], check=False).returncode
    if code == 0 or code in INTERRUPTED:
        path.parent.mkdir(parents=True, exist_ok=True)
        seconds, processor_s = read_seconds(parts, command)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)  # its workers too
        measured = {
            "command": command,
            "seconds": round(seconds + time.monotonic() - started, 1),
            "processor_s": round(processor_s + used.ru_utime + used.ru_stime, 1),
            "cores": len(os.sched_getaffinity(0)),
        }
        (path if code == 0 else parts).write_text(json.dumps(measured) + "\n")
    if code == 0:
        parts.unlink(missing_ok=True)
    return code


if __name__ == "__main__":
    signal.signal(signal.SIGINT, lambda *_: None)  # the command has it too, and says when it's done
    sys.exit(main(sys.argv[1:]))
