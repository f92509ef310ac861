"""Run what nnit does on a GPU, hold it against the CPU, and measure both; ``make gpu-check``.

    python -m benchmarks.gpu results/gpu.json

The small profile's pipeline on the GPU; both trainings and the sampler there and on the CPU, in
float32, where figures must agree, and as fast as each can; rollouts, reinforcement learning and
the frontier on the GPU. Takes some minutes. Nothing else should run meanwhile.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from nnit.artifacts.samples import read_samples
from nnit.machine import resolve_device
from nnit.progress import SilentProgress
from stages import diffuse_train, ghn_train
from stages.params import Params, RunOptions

PROFILE = Path("profiles/demo.yaml")
COMPARED_STEPS = 40  # of trainings in float32
CLOSE = 0.02  # how far losses and weights of two devices may be apart, relatively
WARM_UP, STEPS = 10, {"cpu": 20, "cuda": 60}  # of timed trainings; the first don't count
LARGE_BATCH = 16_384  # tokens
GATE = ("--arch", "64,48", "--arch", "248,252,256", "--arch", "256,256,256,256")
TRAININGS = ("ghn-train", "diffuse-train")
LEAST_SUCCESS = 0.9


class Stopwatch(SilentProgress):
    """Notes when each step was finished."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def advance(self, units: int = 1, **figures: float) -> None:
        """Note the time."""
        del units, figures
        self.times.append(time.perf_counter())

    def seconds_per_step(self) -> float:
        """Return the mean over the steps that count: a GPU's are noted some at a time."""
        counted = self.times[WARM_UP:]
        return (counted[-1] - counted[0]) / (len(counted) - 1)


def run(folder: Path, *words: str) -> dict[str, Any]:
    """Run a command; return its summary and its seconds."""
    metrics = folder / f"{words[0]}.json"
    shared = ["--params", str(PROFILE), "--force", "--quiet", "--metrics", str(metrics)]
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "nnit_cli", *words, *shared], check=True)
    return {"seconds": time.perf_counter() - started, **json.loads(metrics.read_text())}


def pipeline(at: Path, device: str) -> dict[str, Any]:
    """The small pipeline on a device; physics on the CPU."""
    on = ["--device", device]
    made = {
        "demos": run(at, "demos", "-o", f"{at}/demos"),
        "ghn-train": run(at, "ghn-train", f"{at}/demos", *on),
        "zoo-export": run(at, "zoo-export", f"{at}/ghn", "--demos", f"{at}/demos", *on),
        "tokenize": run(at, "tokenize", f"{at}/zoo"),
        "diffuse-train": run(at, "diffuse-train", f"{at}/tokens", "--demos", f"{at}/demos", *on),
        "sample": run(at, "sample", "--model", f"{at}/generator", "--held-out", *on),
        "rollout": run(at, "rollout", f"{at}/samples"),
    }
    return {
        "seconds": {name: summary["seconds"] for name, summary in made.items()},
        "success": made["rollout"]["success_once"],
    }


def train(
    at: Path, name: str, device: str, options: dict[str, Any], *, compiled: bool = False
) -> tuple[np.ndarray, float]:
    """Train on the small pipeline's artifacts; return the loss curve, and a step's seconds."""
    stage, inputs = {
        "ghn-train": (ghn_train, ghn_train.Inputs(at / "demos")),
        "diffuse-train": (
            diffuse_train,
            diffuse_train.Inputs(at / "tokens", demos=(at / "demos",)),
        ),
    }[name]
    params = Params.model_validate({name.replace("-", "_"): options})
    watch, curve = Stopwatch(), at / "curve.csv"
    stage.run(
        params,
        inputs,
        stage.Outputs(at / "trained" / name, curve),
        options=RunOptions(device=device, force=True, compile=compiled),
        progress=watch,
    )
    return np.loadtxt(curve, delimiter=",", skiprows=1)[:, 1], watch.seconds_per_step()


def compare(at: Path, device: str) -> dict[str, float]:
    """Return how far losses and weights of a device are from the CPU's, relatively, at most."""
    short = {"steps": COMPARED_STEPS, "checkpoint_every": COMPARED_STEPS, "precision": "float32"}
    found = {}
    for name in TRAININGS:
        ours, theirs = (train(at, name, which, short)[0] for which in (device, "cpu"))
        found[name] = float(np.max(np.abs(ours / theirs - 1)))
    weights = []
    for which in (device, "cpu"):
        run(at, "sample", "--model", f"{at}/generator", *GATE, "--device", which, "-o", f"{at}/s")
        weights.append([one.network.weights for one in read_samples(at / "s")[0].samples])
    found["sample"] = max(
        float(np.abs(ours - theirs).max() / theirs.std())
        for ours, theirs in zip(*weights, strict=True)
    )
    return found


def time_steps(at: Path, device: str) -> dict[str, float]:
    """Return the seconds of a step of each training, with the default sizes."""
    steps = STEPS[device.partition(":")[0]]
    sizes = {"steps": steps, "checkpoint_every": steps}
    found = {name: train(at, name, device, sizes)[1] for name in TRAININGS}
    if device != "cpu":
        name = "diffuse-train"
        found[f"{name} --compile"] = train(at, name, device, sizes, compiled=True)[1]
        large = {**sizes, "tokens_per_batch": LARGE_BATCH}
        found[f"{name} --tokens-per-batch {LARGE_BATCH}"] = train(at, name, device, large)[1]
    return found


def frontier(at: Path, device: str) -> dict[str, Any]:
    """Look for the smallest network that does the job."""
    asked = ["--model", f"{at}/generator", "--shapes", "40", "-o", f"{at}/frontier"]
    return run(at, "frontier", *asked, "--device", device)


def on_gpu_alone(at: Path) -> dict[str, Any]:
    """What only a GPU has: many environments at once, for rollouts and for learning."""
    simulated = ["--sim-backend", "physx_cuda"]
    rollout = run(at, "rollout", f"{at}/samples", *simulated, "-o", f"{at}/on-gpu")
    learning = ["--objective", "ppo", "--iterations", "2", "-o", f"{at}/ppo"]
    return {
        "rollout": {name: rollout[name] for name in ("seconds", "success_once")},
        "ghn-train --objective ppo": run(at, "ghn-train", *learning, *simulated)["seconds"],
    }


def main(
    out: Path,
    device: Annotated[str, typer.Option(help="cpu tries the script where there is no GPU.")] = "",
) -> None:
    """Run everything, and write the file; ends with 7 where something is not as it should be."""
    import torch

    device = resolve_device(device or "cuda:0")
    at = Path("build/gpu")
    at.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {
        "command": f"python -m benchmarks.gpu {out}",
        "torch": torch.__version__,
        "device": device if device == "cpu" else torch.cuda.get_device_name(device),
        "cores": len(os.sched_getaffinity(0)),
        "pipeline": pipeline(at, device),
        "apart": compare(at, device),
        "seconds_per_step": {one: time_steps(at, one) for one in dict.fromkeys([device, "cpu"])},
        "seconds_of_frontier": frontier(at, device)["seconds"],
    }
    if device != "cpu":
        figures["on_gpu_alone"] = on_gpu_alone(at)
    out.write_text(json.dumps(figures, indent=2) + "\n")
    print(out.read_text())
    close = max(figures["apart"].values()) <= CLOSE
    raise typer.Exit(0 if close and figures["pipeline"]["success"] >= LEAST_SUCCESS else 7)


if __name__ == "__main__":
    typer.run(main)
