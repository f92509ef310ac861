"""Run what nnit does on a GPU, hold it against the CPU, and measure both; ``make gpu-check``.

    python -m tests.gpu results/gpu.json

The small profile's pipeline on the GPU; both trainings and the sampler there and on the CPU, in
float32, where figures must agree, and as fast as each can; a rank of torchrun; rollouts,
reinforcement learning and the frontier on the GPU. Takes some minutes. Nothing else should run
meanwhile. The file is written after each part, so that a part that fails loses no other.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from nnit.artifacts.samples import read_samples
from nnit.errors import NnitError
from nnit.machine import resolve_device
from nnit.progress import SilentProgress
from stages import diffuse_train, ghn_train
from stages.params import Params, RunOptions

SMALL = Path("profiles/demo.yaml")
COMPARED_STEPS = 40  # of trainings in float32
CLOSE = 0.02  # how far losses and weights of two devices may be apart, relatively
WARM_UP, STEPS = 10, {"cpu": 20, "cuda": 60}  # of timed trainings; the first don't count
LARGE_BATCH = 16_384  # tokens
GATE = ("--arch", "64,48", "--arch", "248,252,256", "--arch", "256,256,256,256")
TRAININGS = ("ghn-train", "diffuse-train")
LEAST_SUCCESS = 0.9
NNIT = (sys.executable, "-m", "nnit_cli")
ONE_RANK = (sys.executable, "-m", "torch.distributed.run", "--standalone", "-m", "nnit")


class Stopwatch(SilentProgress):
    """Notes when each step was finished."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def advance(self, units: int = 1, *, share: float | None = None, **figures: float) -> None:
        """Note the time."""
        del units, figures
        self.times.append(time.perf_counter())

    def seconds_per_step(self) -> float:
        """Return the mean over the steps that count: a GPU's are noted some at a time."""
        counted = self.times[WARM_UP:]
        return (counted[-1] - counted[0]) / (len(counted) - 1)


def run(folder: Path, *words: str, program: tuple[str, ...] = NNIT) -> dict[str, Any]:
    """Run a command; return its summary and its seconds.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    metrics = folder / f"{words[0]}.json"
    shared = ["--params", str(SMALL), "--force", "--quiet", "--metrics", str(metrics)]
    started = time.perf_counter()
    ended = subprocess.run(
        [*program, *words, *shared], check=False, stderr=subprocess.PIPE, text=True
    )
    if ended.returncode:
        raise RuntimeError(f"{words[0]}: exit code {ended.returncode}: {ended.stderr[-1500:]}")
    return {"seconds": time.perf_counter() - started, **json.loads(metrics.read_text())}


def pipeline(at: Path, device: str) -> dict[str, Any]:
    """The small profile's pipeline on a device; physics on the CPU."""
    at.mkdir(parents=True, exist_ok=True)
    on = ["--device", device]
    made = {
        words[0]: run(at, *words)
        for words in (
            ("demos", "-o", f"{at}/demos"),
            ("ghn-train", f"{at}/demos", *on),
            ("zoo-export", f"{at}/ghn", "--demos", f"{at}/demos", *on),
            ("tokenize", f"{at}/zoo"),
            ("diffuse-train", f"{at}/tokens", "--demos", f"{at}/demos", *on),
            ("sample", "--model", f"{at}/generator", "--held-out", *on),
            ("rollout", f"{at}/samples"),
        )
    }
    return {
        "seconds": {name: round(summary["seconds"], 1) for name, summary in made.items()},
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
        large = {**sizes, "tokens_per_batch": LARGE_BATCH}
        name = f"diffuse-train --tokens-per-batch {LARGE_BATCH}"
        found[name] = train(at, "diffuse-train", device, large)[1]
    return found


def compiled(at: Path, device: str) -> float:
    """Return the seconds of a compiled step of the diffusion."""
    sizes = {"steps": STEPS["cuda"], "checkpoint_every": STEPS["cuda"]}
    return train(at, "diffuse-train", device, sizes, compiled=True)[1]


def rank(at: Path, device: str) -> dict[str, float]:
    """Train in one rank of torchrun (nccl on a GPU) and without it; return both last losses."""
    words = ["diffuse-train", f"{at}/tokens", "--steps", str(COMPARED_STEPS)]
    words += ["--precision", "float32", "--device", device, "-o", f"{at}/ranks"]
    return {
        name: run(at, *words, program=program)["loss"]
        for name, program in (("torchrun", ONE_RANK), ("alone", NNIT))
    }


def frontier(at: Path, device: str) -> float:
    """Look for the smallest network that does the job; return the seconds."""
    asked = ["--model", f"{at}/generator", "--shapes", "40", "-o", f"{at}/frontier"]
    return run(at, "frontier", *asked, "--device", device)["seconds"]


def many_rollouts(at: Path) -> dict[str, Any]:
    """Roll networks out in many environments at once, which only a GPU has."""
    words = ["rollout", f"{at}/samples", "--sim-backend", "physx_cuda", "-o", f"{at}/on-gpu"]
    rollout = run(at, *words)
    return {name: rollout[name] for name in ("seconds", "success_once")}


def learning(at: Path) -> float:
    """Learn by reward in many environments at once; return the seconds of two iterations."""
    words = ["--objective", "ppo", "--iterations", "2", "-o", f"{at}/ppo"]
    return run(at, "ghn-train", *words, "--sim-backend", "physx_cuda")["seconds"]


def main(
    out: Path,
    device: Annotated[str, typer.Option(help="cpu tries the script where there is no GPU.")] = "",
    only: Annotated[str, typer.Option(help="Parts whose names have this in them.")] = "",
) -> None:
    """Run everything, and write the file; ends with 7 where something is not as it should be."""
    import torch

    device = resolve_device(device or "cuda:0")
    at = Path("build/gpu")
    figures: dict[str, Any] = {
        "command": "make gpu-check",
        "torch": torch.__version__,
        "device": device if device == "cpu" else torch.cuda.get_device_name(device),
        "cores": len(os.sched_getaffinity(0)),
    }
    parts: dict[str, Callable[[], Any]] = {
        "pipeline": lambda: pipeline(at, device),
        "apart": lambda: compare(at, device),
        "seconds_per_step": lambda: {
            one: time_steps(at, one) for one in dict.fromkeys([device, "cpu"])
        },
        "loss_in_a_rank": lambda: rank(at, device),
        "seconds_of_frontier": lambda: frontier(at, device),
    }
    if device != "cpu":
        parts |= {
            "rollout --sim-backend physx_cuda": lambda: many_rollouts(at),
            "ghn-train --objective ppo --sim-backend physx_cuda": lambda: learning(at),
            "seconds_per_step --compile": lambda: compiled(at, device),  # may take longest
        }
    for name, part in parts.items():
        if only not in name:
            continue
        try:
            figures[name] = part()
        except (RuntimeError, NnitError) as error:
            figures[name] = {"failed": str(error)}
        out.write_text(json.dumps(figures, indent=2) + "\n")
        print(json.dumps({name: figures[name]}), flush=True)
    raise typer.Exit(0 if as_it_should_be(figures) else 7)


def as_it_should_be(figures: dict[str, Any]) -> bool:
    """Whether nothing failed, the GPU agrees with the CPU, and networks work."""
    if any(isinstance(found, dict) and "failed" in found for found in figures.values()):
        return False
    close = max(figures.get("apart", {"": 0.0}).values()) <= CLOSE
    made = figures.get("pipeline", {"success": 1.0})
    return close and made["success"] >= LEAST_SUCCESS


if __name__ == "__main__":
    typer.run(main)
