"""Train the hypernetwork by reinforcement learning on tasks, and keep what its networks reach.

    python -m benchmarks.reinforcement gym:CartPole-v1 PushCube-v1
    python -m benchmarks.reinforcement gym:Pendulum-v1 --profile profiles/pendulum.yaml

For each task: ``nnit ghn-train --objective ppo``, then networks of trained and of held-out shapes
act deterministically. Parameters are those of ``profiles/reinforcement.yaml``. A part whose output
is there is skipped, and a training goes on where it was. Writes ``results/reinforcement/TASK.json``
with the curve of returns while exploring.
"""

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.tasks import (
    arch_flags,
    command_of,
    file_name,
    held_out_flags,
    run_missing,
    success_of,
)
from nnit.artifacts.rollouts import read_rollouts
from nnit.rollout.metrics import Evaluation
from stages.params import Params
from stages.params_file import load_params

PROFILE = Path("profiles/reinforcement.yaml")
ARTIFACTS = Path("build/reinforcement")
RESULTS = Path("results/reinforcement")


def commands(task: str, folder: Path, params: Params) -> dict[str, list[str]]:
    """Return the command that makes each artifact, in order."""
    trained = arch_flags(params.zoo_export.repeated)
    where = ["--task", task]
    train = ["ghn-train", "--objective", "ppo", *where, "--curve", str(folder / "curve.csv")]
    return {
        "ghn": [*train, "--resume"],
        "rollouts": [
            "rollout",
            str(folder / "ghn"),
            *where,
            *trained,
            *held_out_flags(params),
            "--resume",
        ],
    }


def by_training(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Return what networks of trained and of held-out shapes reach, and all of them."""
    trained = [one for one in evaluations if one.kind == "train"]
    held_out = [one for one in evaluations if one.kind != "train"]
    sets = {"trained": trained, "held_out": held_out, "all": [*evaluations]}
    return {name: success_of(chosen) for name, chosen in sets.items()}


def read_curve(path: Path) -> list[list[float]]:
    """Return iterations with their mean return while exploring."""
    with path.open(newline="") as file:
        return [[int(row["step"]), round(float(row["return"]), 3)] for row in csv.DictReader(file)]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="+", help="such as gym:CartPole-v1")
    parser.add_argument("--profile", type=Path, default=PROFILE)
    return parser.parse_args()


def main() -> None:
    """Run every task that is named, and write its file."""
    arguments = parse_arguments()
    params = load_params(arguments.profile)
    for task in arguments.tasks:
        folder = ARTIFACTS / file_name(task)
        seconds = run_missing(commands(task, folder, params), folder, arguments.profile)
        path = RESULTS / f"{file_name(task)}.json"
        rollouts, artifact = read_rollouts(folder / "rollouts")
        figures = {
            "task": task,
            "command": command_of("reinforcement", task, arguments, PROFILE),
            "profile": str(arguments.profile),
            "digest": artifact.digest,
            "shapes": by_training(rollouts.evaluations),
            "curve": read_curve(folder / "curve.csv"),
            "seconds": seconds,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures) + "\n")
        reached = figures["shapes"]["all"]["return_mean"]
        print(f"{task}: mean return {reached:.1f}; {path}", flush=True)


if __name__ == "__main__":
    main()
