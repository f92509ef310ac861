"""Measure what a step of the two trainings takes on the CPU, and on a GPU where there is one.

    python -m benchmarks.devices results/devices.json --demos DEMOS --tokens TOKENS

A few steps of ``nnit ghn-train`` and of ``nnit diffuse-train`` with the default parameters; the
first ones, which load the device's libraries, do not count. Nothing else should run meanwhile.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from nnit.progress import SilentProgress
from stages import diffuse_train, ghn_train
from stages.params import Params, RunOptions

WARM_UP = 10  # steps that do not count
STEPS = {"cpu": 20, "cuda:0": 60}


class Stopwatch(SilentProgress):
    """Notes when each step was finished."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def advance(self, units: int = 1, **figures: float) -> None:
        """Note the time."""
        del units, figures
        self.times.append(time.perf_counter())

    def seconds_per_step(self) -> float:
        """Return the median over the steps that count."""
        counted = self.times[WARM_UP:]
        return statistics.median(after - before for before, after in pairwise(counted))


def parameters(steps: int) -> Params:
    """Return the default parameters with few steps."""
    training = {"steps": steps, "checkpoint_every": steps}
    return Params.model_validate({"ghn_train": training, "diffuse_train": training})


def measure(device: str, demos: Path, tokens: Path) -> dict[str, float]:
    """Return the seconds of a step of each training."""
    params, options = parameters(STEPS[device]), RunOptions(device=device)
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        watch = Stopwatch()
        outputs = ghn_train.Outputs(folder / "ghn")
        ghn_train.run(params, ghn_train.Inputs(demos), outputs, options=options, progress=watch)
        found["ghn-train"] = watch.seconds_per_step()
        watch = Stopwatch()
        inputs = diffuse_train.Inputs(tokens)
        made = diffuse_train.Outputs(folder / "generator")
        diffuse_train.run(params, inputs, made, options=options, progress=watch)
        found["diffuse-train"] = watch.seconds_per_step()
    return found


def name_of(device: str) -> str:
    """Return what a device is called."""
    import torch

    if device != "cpu":
        return torch.cuda.get_device_name(0)
    return platform.processor() or platform.machine()


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("--demos", type=Path, required=True)
    parser.add_argument("--tokens", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Measure every device, and write the file."""
    import torch

    arguments = parse_arguments()
    devices = ["cpu", *(["cuda:0"] if torch.cuda.is_available() else [])]
    found: dict[str, Any] = {}
    for device in devices:
        seconds = measure(device, arguments.demos, arguments.tokens)
        found[device] = {"name": name_of(device), "seconds_per_step": seconds}
        print(device, seconds, flush=True)
    figures = {
        "command": f"python -m benchmarks.devices {arguments.out} --demos DEMOS --tokens TOKENS",
        "torch": torch.__version__,
        "cores": len(os.sched_getaffinity(0)),
        "devices": found,
    }
    arguments.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
