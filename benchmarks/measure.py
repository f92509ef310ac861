"""Measure what docs/speed.md says, on the artifacts of ``make repro``.

    python -m benchmarks.measure results/benchmarks.json

Whole commands are timed as processes on one core, several times, and the median counts, the first
one aside. Nothing else should run on the machine meanwhile.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from nnit.artifacts.reading import open_artifact
from nnit.artifacts.samples import read_samples
from nnit.rollout.rates import measure_rates

ONE_CORE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
AT = Path("build/bench")
COMMANDS = {  # how often each is timed
    "nnit --help": 7,
    "nnit sample --help": 7,
    "nnit sample --arch 12x": 7,
    "nnit inspect artifacts/generator": 7,
    "nnit inspect artifacts/zoo": 7,
    "nnit verify artifacts/samples": 7,
    "nnit tasks": 7,
    "nnit models": 7,
    "nnit params sample": 7,
    f"nnit sample --task PickCube-v1 --arch 128,256,128 --force -o {AT}/samples --model common": 5,
    f"nnit rollout {AT}/samples --episodes 20 --force --out {AT}/rollouts": 3,
    f"nnit demos -n 300 --force --out {AT}/demos": 1,
    f"nnit report artifacts --out {AT}/report.html": 2,
    "dvc repro": 2,  # nothing has changed
}
MISTAKES = {"nnit sample --arch 12x": 2}  # exit codes


def run_timed(
    words: list[str], *, environment: dict[str, str] | None = None, code: int = 0
) -> float:
    """Run a command to its end, which has to be by this exit code; return its seconds."""
    more = {**os.environ, **(environment or {})}
    started = time.perf_counter()
    ended = subprocess.run(words, check=False, capture_output=True, env=more)
    assert ended.returncode == code, (words, ended.stderr)
    return time.perf_counter() - started


def measure_commands() -> dict[str, float]:
    """Return the median seconds of each command."""
    found = {}
    for command, repeats in COMMANDS.items():
        words = ["taskset", "-c", "0", *command.split()]
        code = MISTAKES.get(command, 0)
        times = [run_timed(words, environment=ONE_CORE, code=code) for _ in range(repeats + 1)]
        found[command] = round(statistics.median(times[1:]), 3)
    return found


def measure_simulation() -> dict[str, float]:
    """Control steps of a rollout a second, beside the official environment's, in one run."""
    samples, _ = read_samples(Path("artifacts/samples"))
    network = samples.samples[0].network
    rates = measure_rates(samples.interface, network.hidden_dims, network.weights)
    return {"direct": rates.direct, "official": rates.official, "ratio": rates.ratio}


def measure_workers() -> dict[str, Any]:
    """``nnit rollout`` with one and with two workers, in turn."""
    words = ["nnit", "rollout", "artifacts/samples", "--force"]
    out = {workers: AT / f"workers-{workers}" for workers in ("1", "2")}
    seconds: dict[str, list[float]] = {workers: [] for workers in out}
    for workers in list(out) * 2:
        more = ["--workers", workers, "--out", str(out[workers])]
        seconds[workers].append(run_timed([*words, *more]))
    return {
        "seconds": seconds,
        "ratio": statistics.median(one / two for one, two in zip(*seconds.values(), strict=True)),
        "same_result": len({open_artifact(path).digest for path in out.values()}) == 1,
    }


if __name__ == "__main__":
    figures = {
        "command": "make bench",
        "cores": len(os.sched_getaffinity(0)),
        "seconds": measure_commands(),
        "control_steps_a_second": measure_simulation(),
        "workers": measure_workers(),
    }
    Path(sys.argv[1]).write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
