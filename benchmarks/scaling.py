"""Measure how trainings grow with processes, and say what that means for many of them.

    python -m benchmarks.scaling results/scaling.json --demos DEMOS --tokens TOKENS

Times steps of ``nnit diffuse-train`` in one process and in two under torchrun, one thread each, in
turn; and the parts of a step that more processes do not share. Nothing else should run meanwhile.
docs/machines.md has the model.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from nnit.diffusion.path import sample_times
from nnit.diffusion.step import draw_noise
from nnit.generators.trained import read_generator
from nnit.seeding import torch_generator

TOKENS_PER_BATCH = 4096
FEW, MANY = 4, 16  # steps; the difference counts, not what a process needs to begin
REPEATS = 3
CONTENT = 272  # numbers of a token
LENGTH = 128  # tokens of a network, about the mean of a zoo's
# What is assumed of GPUs: a share of so many tokens takes so long, and gradients travel so fast, as
# NCCL's rings have them over 100 Gb/s; a message's way costs so much more.
SHARE_TOKENS, SHARE_SECONDS = 4096, 0.1
BYTES_PER_SECOND, LATENCY_SECONDS = 10e9, 20e-6
GPUS = (1, 2, 4, 8, 16, 32, 64)


def seconds_of(ranks: int, steps: int, words: list[str], out: Path) -> float:
    """Return the seconds of a training from start to end."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    sizes = ["--steps", str(steps), "--tokens-per-batch", str(TOKENS_PER_BATCH)]
    command = [*launcher, "-m", "nnit", "diffuse-train", *words, *sizes, "--device", "cpu"]
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, *command, "--quiet", "--force", "--out", str(out)],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - started


def measure_ranks(words: list[str], out: Path) -> dict[str, Any]:
    """Return the seconds of a step in one process and in two, each the median."""
    steps: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(REPEATS):
        for ranks, found in steps.items():
            few, many = (seconds_of(ranks, count, words, out) for count in (FEW, MANY))
            found.append((many - few) / (MANY - FEW))
    one, two = (statistics.median(found) for found in steps.values())
    return {"step_seconds": {"1": one, "2": two}, "speed_up": one / two, "all": steps}


def measure_drawing() -> float:
    """Return the seconds of drawing noise for a token: every rank draws that of the whole batch."""
    count = TOKENS_PER_BATCH // LENGTH
    seconds = []
    for k in range(20):
        generator = torch_generator(0, k)
        started = time.perf_counter()
        draw_noise(sample_times(count, generator), LENGTH, CONTENT, generator)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds) / TOKENS_PER_BATCH


def gradient_bytes(generator: Path) -> int:
    """Return the bytes of the gradients that ranks exchange in a step."""
    parameters = read_generator(generator).model.parameters()
    return sum(4 * one.numel() for one in parameters if one.requires_grad)


def modelled(draw_seconds: float, num_bytes: int) -> list[dict[str, float]]:
    """Return the step of so many GPUs, each with a share of one size, and how much of it is work.

    A ring passes each byte twice, less what stays at home (Patarasuk & Yuan 2009), in as many
    messages. Drawing is not divided, because the noise is that of one process.
    """
    found = []
    for gpus in GPUS:
        exchange = 2 * (gpus - 1) * (num_bytes / gpus / BYTES_PER_SECOND + LATENCY_SECONDS)
        drawing = draw_seconds * SHARE_TOKENS * gpus
        seconds = SHARE_SECONDS + exchange + drawing
        found.append(
            {
                "gpus": gpus,
                "exchange_seconds": exchange,
                "drawing_seconds": drawing,
                "efficiency": (SHARE_SECONDS + draw_seconds * SHARE_TOKENS) / seconds,
            }
        )
    return found


def main(
    out: Path, demos: Annotated[Path, typer.Option()], tokens: Annotated[Path, typer.Option()]
) -> None:
    """Measure, and write the file."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "generator")
        ranks = measure_ranks([str(tokens), "--demos", str(demos)], made)
        num_bytes = gradient_bytes(made)
    torch.set_num_threads(1)
    drawing = measure_drawing()
    found = {
        "command": f"python -m benchmarks.scaling {out} --demos DEMOS --tokens TOKENS",
        "cores": len(os.sched_getaffinity(0)),
        "ranks": ranks,
        "drawing_seconds_per_token": drawing,
        "gradient_bytes": num_bytes,
        "model": modelled(drawing, num_bytes),
    }
    kept = json.loads(out.read_text()) if out.exists() else {}
    out.write_text(json.dumps({**kept, "trainings": found}, indent=2) + "\n")
    typer.echo(out.read_text())


if __name__ == "__main__":
    typer.run(main)
