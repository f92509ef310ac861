"""Train one generator on the zoos of several tasks, and hold it against one of each task alone.

    python -m benchmarks.together PushCube-v1 PullCube-v1 PickCube-v1 LiftPegUpright-v1 [--steps N]

The zoos are those of ``python -m benchmarks.tasks TASK ...``, which has to run before. The common
generator is trained for as many steps as all of theirs together, if ``--steps`` doesn't say
otherwise; then it is asked for the same shapes as theirs, which run in the same episodes. Writes
``results/tasks/together.json``.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.tasks import ARTIFACTS, PROFILE, RESULTS, file_name, held_out_flags, success_of
from nnit.artifacts.rollouts import read_rollouts
from stages.params_file import load_params

FOLDER = ARTIFACTS / "together"


def nnit(*words: str, out: Path) -> None:
    """Run a command, if its output is not there yet."""
    if not out.exists():
        profile = ["--params", str(PROFILE)]
        subprocess.run(
            [sys.executable, "-m", "nnit_cli", *words, "--out", str(out), *profile], check=True
        )


def success_of_task(task: str, generator: Path, flags: list[str]) -> dict[str, Any]:
    """Ask the common generator for a task's networks and run them; returns their success."""
    folder = FOLDER / file_name(task)
    samples, rollouts = folder / "samples", folder / "rollouts"
    nnit("sample", "--model", str(generator), "--task", task, *flags, out=samples)
    nnit("rollout", str(samples), "--task", task, "--resume", out=rollouts)
    found, _ = read_rollouts(rollouts)
    return success_of(list(found.evaluations))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="+", help="such as PullCube-v1")
    parser.add_argument("--steps", type=int, help="of the common generator")
    return parser.parse_args()


def main() -> None:
    """Train, ask, run and compare."""
    arguments = parse_arguments()
    params = load_params(PROFILE)
    steps = arguments.steps or params.diffuse_train.steps * len(arguments.tasks)
    zoos = [str(ARTIFACTS / file_name(task) / "zoo") for task in arguments.tasks]
    nnit("tokenize", *zoos, out=FOLDER / "tokens")
    started = time.monotonic()
    train = ["diffuse-train", str(FOLDER / "tokens"), "--steps", str(steps), "--resume"]
    nnit(*train, out=FOLDER / "generator")
    seconds = time.monotonic() - started
    flags, tasks = held_out_flags(params), {}
    for task in arguments.tasks:
        alone = json.loads((RESULTS / f"{file_name(task)}.json").read_text())["sources"]["sample"]
        together = success_of_task(task, FOLDER / "generator", flags)
        tasks[task] = {
            "together": together,
            "alone": alone,
            "of_alone": together["success_once"] / alone["success_once"],
        }
        print(f"{task}: {tasks[task]['of_alone']:.3f} of its own generator", flush=True)
    figures = {
        "command": f"python -m benchmarks.together {' '.join(arguments.tasks)}",
        "steps": steps,
        "training_s": round(seconds, 1),
        "tasks": tasks,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "together.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
