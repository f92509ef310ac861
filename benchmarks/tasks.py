"""Run the whole pipeline on tasks, one after the other, and keep what came out.

    python -m benchmarks.tasks PullCube-v1 digits gym:CartPole-v1
    python -m benchmarks.tasks mnist --data mnist.npz

For each task: demonstrations, hypernetwork, zoo, tokens, generator; then one generated network of
every held-out shape of the kinds ``unseen_combo`` and ``unseen_width``, the hypernetwork asked
again, and a network of each shape cloned directly, in the same episodes. Parameters are those of
``profiles/tasks.yaml``. A part whose output is there is skipped, and trainings go on where they
were, so that an interrupted run is started again with the same command. Writes
``results/tasks/TASK.json``.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from nnit.artifacts.rollouts import read_rollouts
from nnit.mlp import format_architecture
from nnit.rollout.metrics import Evaluation, comparison_interval
from stages.params import Params
from stages.params_file import load_params

PROFILE = Path("profiles/tasks.yaml")
ARTIFACTS = Path("build/tasks")
RESULTS = Path("results/tasks")


def file_name(task: str) -> str:
    """Return a task's name as a file may have it."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in task)


def held_out_flags(params: Params) -> list[str]:
    """Ask for every held-out shape within the trained range."""
    held_out = params.architectures.held_out
    shapes = (*held_out.unseen_combo, *held_out.unseen_width)
    return [word for dims in shapes for word in ("--arch", format_architecture(dims))]


def commands(task: str, data: str | None, folder: Path, params: Params) -> dict[str, list[str]]:
    """Return the command that makes each artifact, in order."""
    where = ["--task", task, *(["--data", data] if data else [])]
    made = {kind: str(folder / kind) for kind in ("demos", "ghn", "zoo", "tokens", "generator")}
    sample = ["sample", "--model", made["generator"], *held_out_flags(params)]
    rollout = ["rollout", str(folder / "samples"), *where, "--resume"]
    baselines = ["--ghn", made["ghn"], "--demos", made["demos"]]
    return {
        "demos": ["demos", *where, "--out", made["demos"]],
        "ghn": ["ghn-train", made["demos"], "--resume"],
        "zoo": ["zoo-export", made["ghn"], "--resume"],
        "tokens": ["tokenize", made["zoo"]],
        "generator": ["diffuse-train", made["tokens"], "--resume"],
        "samples": sample,
        "rollouts": [*rollout, *baselines],
    }


def run_missing(parts: dict[str, list[str]], folder: Path, profile: Path) -> dict[str, float]:
    """Make what is not there yet; returns the seconds of each part that was made.

    Args:
        parts: The name of an artifact in ``folder`` -> the command that makes it, in order.
        folder: Where the artifacts are.
        profile: The parameters.
    """
    seconds = {}
    for name, words in parts.items():
        if (folder / name).exists():
            continue
        started = time.monotonic()
        command = [sys.executable, "-m", "nnit_cli", *words, "--params", str(profile)]
        subprocess.run(command, check=True)
        seconds[name] = round(time.monotonic() - started, 1)
    return seconds


def seconds_before(path: Path) -> dict[str, float]:
    """Return the seconds of parts that were made in earlier runs."""
    return json.loads(path.read_text())["seconds"] if path.exists() else {}


def success_of(evaluations: list[Evaluation]) -> dict[str, Any]:
    """Return mean success with its interval, the lowest shape, and the mean return."""
    lowest = min(evaluations, key=lambda one: one.success_once)
    returns = [e.episode_return for one in evaluations for e in one.episodes]
    return {
        "success_once": sum(one.success_once for one in evaluations) / len(evaluations),
        "interval_95": list(comparison_interval(evaluations)),
        "lowest": lowest.success_once,
        "lowest_shape": format_architecture(lowest.hidden_dims),
        "return_mean": sum(returns) / len(returns),
        "shapes": len({one.hidden_dims for one in evaluations}),
        "episodes": len(evaluations[0].episodes),
    }


def result_of(task: str, folder: Path) -> dict[str, Any]:
    """Return what is kept of a task."""
    rollouts, artifact = read_rollouts(folder / "rollouts")
    by_source: dict[str, list[Evaluation]] = {}
    for one in rollouts.evaluations:
        by_source.setdefault(one.source, []).append(one)
    found = {source: success_of(group) for source, group in by_source.items()}
    cloned = found["cloned"]["success_once"]
    return {
        "task": task,
        "digest": artifact.digest,
        "sources": found,
        "of_cloned": found["sample"]["success_once"] / cloned if cloned else None,
    }


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="+", help="such as PullCube-v1")
    parser.add_argument("--data", help="a file of examples, for mnist")
    parser.add_argument("--profile", type=Path, default=PROFILE)
    return parser.parse_args()


def main() -> None:
    """Run every task that is named, and write its file."""
    arguments = parse_arguments()
    params = load_params(arguments.profile)
    for task in arguments.tasks:
        folder = ARTIFACTS / file_name(task)
        parts = commands(task, arguments.data, folder, params)
        seconds = run_missing(parts, folder, arguments.profile)
        path = RESULTS / f"{file_name(task)}.json"
        figures = {
            "command": f"python -m benchmarks.tasks {task}",
            "profile": str(arguments.profile),
            **result_of(task, folder),
            "seconds": {**seconds_before(path), **seconds},
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures, indent=2) + "\n")
        print(f"{task}: {figures['of_cloned']} of direct cloning; {path}", flush=True)


if __name__ == "__main__":
    main()
