"""Run a command and measure every DVC stage in it: seconds and peak memory of all its processes.

    python -m benchmarks.watch results/pipeline.json -- make repro

Memory is the proportional set size (each shared page is divided among the processes that share
it), summed over the processes of a stage and sampled a few times a second. Linux only.
"""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

SAMPLE_EVERY_S = 0.25


def stage_of(pid: str) -> str | None:
    """Return the DVC stage that a process belongs to, from its environment."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    for entry in environment:
        if entry.startswith(b"DVC_STAGE="):
            return entry.partition(b"=")[2].decode()
    return None


def memory_of(pid: str) -> int:
    """Return the proportional set size of a process, in KiB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def sample(peaks: dict[str, int], seen: dict[str, tuple[float, float]]) -> None:
    """Look once at all processes, and update peak memory and times by stage."""
    now, totals = time.monotonic(), {}
    for pid in (entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        stage = stage_of(pid)
        if stage is not None:
            totals[stage] = totals.get(stage, 0) + memory_of(pid)
    for stage, total in totals.items():
        peaks[stage] = max(peaks.get(stage, 0), total)
        first, _ = seen.get(stage, (now, now))
        seen[stage] = (first, now)


def main() -> int:
    """Run the command after ``--``; write the figures to the file before it."""
    result_file, command = Path(sys.argv[1]), sys.argv[sys.argv.index("--") + 1 :]
    peaks: dict[str, int] = {}
    seen: dict[str, tuple[float, float]] = {}
    started = time.monotonic()
    process = subprocess.Popen(command)
    while process.poll() is None:
        sample(peaks, seen)
        time.sleep(SAMPLE_EVERY_S)
    figures = {
        "command": f"python -m benchmarks.watch {result_file} -- {' '.join(command)}",
        "cores": len(os.sched_getaffinity(0)),
        "processor": platform.processor() or platform.machine(),
        "total_s": round(time.monotonic() - started, 1),
        "stages": {
            stage: {
                "seconds": round(last - first, 1),
                "peak_memory_gib": round(peaks[stage] / 2**20, 2),
            }
            for stage, (first, last) in seen.items()
        },
    }
    result_file.parent.mkdir(parents=True, exist_ok=True)
    result_file.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
