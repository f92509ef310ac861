"""Measure what the README says of speed, on the artifacts of ``make repro``.

    python -m benchmarks.measure results/benchmarks.json

Whole commands are timed as processes, several times, and the median counts. Nothing else should
run on the machine meanwhile.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nnit.artifacts.reading import open_artifact
from nnit.artifacts.samples import read_samples
from nnit.artifacts.zoo import read_zoo
from nnit.engine import ONE_WORKER, Engine
from nnit.parallel import map_units
from nnit.rollout.episodes import evaluate_expert
from nnit.rollout.rates import measure_rates
from nnit.tasks.registry import get_task
from nnit.tasks.task import TaskRef
from nnit.tokens.tokenizer import tokenize_zoo, untokenize
from nnit.zoo.members import ModelZoo, build_zoo

ARTIFACTS = Path("artifacts")
ONE_CORE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
TOKENIZED_MB = 200
EXPERT_EPISODES = 100
STEPPING_EPISODES = 40
FIRST_EPISODES = 20


def run_timed(words: list[str], *, environment: dict[str, str] | None = None) -> float:
    """Run a command to its end; return its seconds."""
    started = time.perf_counter()
    subprocess.run(
        words, check=True, capture_output=True, env={**os.environ, **(environment or {})}
    )
    return time.perf_counter() - started


def median_of(repeats: int, function: Callable[[], float]) -> float:
    """Return the median of several measurements, after one that doesn't count."""
    function()
    return statistics.median(function() for _ in range(repeats))


def measure_help() -> dict[str, float]:
    """``nnit --help`` as a process."""
    return {"seconds": median_of(7, lambda: run_timed(["nnit", "--help"]))}


def run_on_one_core(words: list[str]) -> float:
    """Run a command on one core; return its seconds."""
    return run_timed(["taskset", "-c", "0", *words], environment=ONE_CORE)


def measure_packaged(folder: Path) -> dict[str, float]:
    """The README's first two commands, each a process on one core."""
    out, episodes = str(folder / "packaged"), str(FIRST_EPISODES)
    asked = ["--task", "PickCube-v1", "--arch", "128,256,128"]
    sample = ["nnit", "sample", "--model", "common", *asked]
    rollout = ["nnit", "rollout", out, "--episodes", episodes, "-o", str(folder / "run")]
    return {
        "sample_seconds": median_of(5, lambda: run_on_one_core([*sample, "--force", "-o", out])),
        "rollout_seconds": median_of(3, lambda: run_on_one_core([*rollout, "--force"])),
        "episodes": FIRST_EPISODES,
    }


def measure_sample(folder: Path) -> dict[str, float]:
    """``nnit sample --arch 128,256,128`` as a process on one core, and the sampler in it."""
    in_sampler = []

    def once() -> float:
        words = ["nnit", "sample", "--arch", "128,256,128", "--force", "--device", "cpu"]
        metrics = folder / "sample.json"
        seconds = run_on_one_core([*words, "-o", str(folder / "one"), "--metrics", str(metrics)])
        in_sampler.append(json.loads(metrics.read_text())["sampler_s"])
        return seconds

    return {"seconds": median_of(5, once), "sampler_s": statistics.median(in_sampler)}


def measure_demos(folder: Path) -> dict[str, float]:
    """300 episodes of demonstrations, and the expert without noise."""
    words = ["nnit", "demos", "-n", "300", "--force", "-o", str(folder / "demos")]
    seconds = median_of(1, lambda: run_timed(words))
    expert = evaluate_expert(TaskRef("PushCube-v1"), EXPERT_EPISODES, engine=Engine(2))
    return {
        "seconds_300_episodes": seconds,
        "expert_episodes": EXPERT_EPISODES,
        "expert_success_once": expert.success_once,
        "expert_success_at_end": expert.success_at_end,
    }


def step_rate(path: str) -> float:
    """Control steps per second without resets, small random constant actions, one core."""
    import numpy as np

    from nnit.tasks.registry import process_simulation
    from nnit.tasks.simulation import make_environment, quiet_simulator

    task = get_task("PushCube-v1")
    if path == "direct":
        simulation = process_simulation(task.task_id)
        reset, step = simulation.reset, simulation.step
    else:
        environment = make_environment(task)

        def reset(seed: int) -> object:
            return environment.reset(seed=seed)

        step = environment.step
    actions = np.random.default_rng(0).uniform(-0.1, 0.1, (STEPPING_EPISODES, 4))
    seconds = 0.0
    with quiet_simulator():
        for episode, action in enumerate(actions.astype(np.float32)):
            reset(episode)
            started = time.perf_counter()
            for _ in range(task.horizon):
                step(action)
            seconds += time.perf_counter() - started
    return STEPPING_EPISODES * task.horizon / seconds


def measure_simulation() -> dict[str, float]:
    """The direct path beside the official environment, in one run, each in a fresh process."""
    samples, _ = read_samples(ARTIFACTS / "samples")
    network = samples.samples[0].network
    rates = measure_rates(samples.interface, network.hidden_dims, network.weights)
    direct, official = (
        map_units(step_rate, [path], ONE_WORKER)[0] for path in ("direct", "official")
    )
    return {
        "direct_steps_per_s": direct,
        "official_steps_per_s": official,
        "rollout_steps_per_s": rates.direct,
        "official_rollout_steps_per_s": rates.official,
        "rollout_ratio": rates.ratio,
    }


def measure_rollout(folder: Path) -> dict[str, Any]:
    """``nnit rollout`` with one and with two workers, in turn."""

    def once(workers: int) -> float:
        words = ["nnit", "rollout", str(ARTIFACTS / "samples"), "--force"]
        return run_timed([*words, "--workers", str(workers), "-o", str(folder / f"w{workers}")])

    pairs = [(once(1), once(2)) for _ in range(2)]
    digests = {open_artifact(folder / f"w{workers}").digest for workers in (1, 2)}
    return {
        "seconds_1_worker": statistics.median(one for one, _ in pairs),
        "seconds_2_workers": statistics.median(two for _, two in pairs),
        "ratio": statistics.median(one / two for one, two in pairs),
        "same_result": len(digests) == 1,
    }


def repeat_zoo(zoo: ModelZoo, megabytes: int) -> ModelZoo:
    """Repeat the networks of a zoo until it is large enough to time."""
    times = max(1, round(megabytes * 1e6 / zoo.weights.nbytes))
    weights = [zoo.network(k).weights for k in range(len(zoo))] * times
    return build_zoo(list(zoo.members) * times, weights, zoo.interface)


def tokenize_rates(_: None) -> dict[str, float]:
    """Cut and join the weights of the zoo, on one core."""
    zoo = repeat_zoo(read_zoo(ARTIFACTS / "zoo")[0], TOKENIZED_MB)
    cut, join = [], []
    for _repeat in range(3):
        started = time.perf_counter()
        tokens = tokenize_zoo(zoo, 16)
        middle = time.perf_counter()
        untokenize(tokens)
        cut.append(middle - started)
        join.append(time.perf_counter() - middle)
    megabytes = zoo.weights.nbytes / 1e6
    return {
        "megabytes": megabytes,
        "tokenize_mb_per_s": megabytes / statistics.median(cut),
        "untokenize_mb_per_s": megabytes / statistics.median(join),
    }


def measure_repro() -> dict[str, Any]:
    """A second ``dvc repro``: seconds, and whether anything ran."""
    seconds, stages_run = [], 0
    for _ in range(3):
        started = time.perf_counter()
        process = subprocess.run(["dvc", "repro"], check=True, capture_output=True, text=True)
        seconds.append(time.perf_counter() - started)
        stages_run += process.stdout.count("Running stage")
    return {"seconds": statistics.median(seconds), "stages_run": stages_run}


def main() -> None:
    """Measure everything and write the file named on the command line."""
    result_file = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = {
            "command": f"python -m benchmarks.measure {result_file}",
            "cores": len(os.sched_getaffinity(0)),
            "help": measure_help(),
            "packaged": measure_packaged(folder),
            "sample": measure_sample(folder),
            "demos": measure_demos(folder),
            "simulation": measure_simulation(),
            "rollout": measure_rollout(folder),
            "tokens": map_units(tokenize_rates, [None], ONE_WORKER)[0],
            "second_repro": measure_repro(),
        }
    result_file.parent.mkdir(parents=True, exist_ok=True)
    result_file.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
