"""Measure how work grows with processes, and say what that means for many of them.

    python -m benchmarks.scaling trainings results/scaling.json --demos DEMOS --tokens TOKENS
    python -m benchmarks.scaling units results/scaling.json --artifacts FOLDER [--params FILE]

Of trainings, steps of ``nnit diffuse-train`` in one process and in two under torchrun, one thread
each, in turn; and the parts of a step that more processes do not share. Of units, ``rollout`` and
``zoo-export`` by two local workers and by two of Dask, in turn; and 1,000 units of 0.1 s, held
against the 50 s that they would take without any overhead. Nothing else should run meanwhile.
docs/machines.md has the model.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from distributed import LocalCluster

from benchmarks.measure import run_timed
from nnit.artifacts.reading import open_artifact
from nnit.diffusion.path import sample_times
from nnit.diffusion.step import draw_noise
from nnit.engine import Engine
from nnit.generators.trained import read_generator
from nnit.parallel import map_units
from nnit.seeding import torch_generator

WORKERS = 2
UNITS, UNIT_S = 1000, 0.1
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
    more = ["--quiet", "--force", "--out", str(out)]
    return run_timed([sys.executable, *command, *more], environment={"OMP_NUM_THREADS": "1"})


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


def overhead(engine: Engine) -> float:
    """Return by how much 1,000 short units take longer than they would without any overhead."""
    map_units(time.sleep, [0.0] * WORKERS, engine)  # workers have begun
    started = time.perf_counter()
    map_units(time.sleep, [UNIT_S] * UNITS, engine)
    return (time.perf_counter() - started) / (UNITS * UNIT_S / WORKERS) - 1


def command_times(words: list[str], address: str, folder: Path, pairs: int) -> dict[str, object]:
    """Run a command with both engines in turn; return seconds, and whether bytes are the same."""
    flags = {"local": ["--workers", str(WORKERS)], "dask": ["--executor", f"dask://{address}"]}
    seconds: dict[str, list[float]] = {name: [] for name in flags}
    for pair in range(pairs + 1):  # the first is not counted: Dask's workers import then
        for name, engine in flags.items():
            out = ["--out", str(folder / f"{words[0]}-{name}"), "--force", "--quiet"]
            took = run_timed([sys.executable, "-m", "nnit_cli", *words, *engine, *out])
            seconds[name] += [took] if pair else []
    medians = {f"{name}_s": round(statistics.median(found), 2) for name, found in seconds.items()}
    ratios = [d / one for one, d in zip(seconds["local"], seconds["dask"], strict=True)]
    same = len({open_artifact(folder / f"{words[0]}-{name}").digest for name in flags}) == 1
    return {**medians, "ratio": round(statistics.median(ratios), 3), "same_bytes": same}


app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.command()
def trainings(
    out: Path, demos: Annotated[Path, typer.Option()], tokens: Annotated[Path, typer.Option()]
) -> None:
    """Measure trainings, and keep it in the file."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "generator")
        ranks = measure_ranks([str(tokens), "--demos", str(demos)], made)
        num_bytes = gradient_bytes(made)
    torch.set_num_threads(1)
    drawing = measure_drawing()
    found = {
        "cores": len(os.sched_getaffinity(0)),
        "ranks": ranks,
        "drawing_seconds_per_token": drawing,
        "gradient_bytes": num_bytes,
        "model": modelled(drawing, num_bytes),
    }
    keep(out, "trainings", found)


@app.command()
def units(
    out: Path,
    artifacts: Annotated[Path, typer.Option()],
    params: Path = Path("params.yaml"),
    pairs: int = 5,
) -> None:
    """Measure units of work, and keep it in the file."""
    at, own = artifacts.absolute(), ["--params", str(params.absolute())]
    ghn = str(at / "ghn")
    commands = (["rollout", str(at / "samples"), "--ghn", ghn, *own], ["zoo-export", ghn, *own])
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
    ):
        dask = cluster.scheduler_address.removeprefix("tcp://")
        found = {one[0]: command_times(one, dask, Path(folder), pairs) for one in commands}
        found["overhead_local"] = round(overhead(Engine(WORKERS)), 4)
        found["overhead_dask"] = round(overhead(Engine(scheduler=dask)), 4)
    keep(out, "engines", found)


def keep(path: Path, name: str, found: dict[str, Any]) -> None:
    """Write what was measured beside what is there."""
    kept = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**kept, name: found}, indent=2) + "\n")
    typer.echo(path.read_text())


if __name__ == "__main__":
    app()
