"""Measure how often the scripted expert of every ManiSkill task succeeds.

    python -m benchmarks.experts [results/experts.json] [--episodes 300]

Episodes have the reset seeds 0, 1, 2, ... and run to the task's horizon.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from nnit.intervals import wilson_interval
from nnit.rollout.episodes import evaluate_expert
from nnit.rollout.metrics import Evaluation
from nnit.tasks.maniskill_tasks import MANISKILL_TASKS
from nnit.tasks.task import Task, TaskRef

RESULT_FILE = Path("results/experts.json")
EPISODES = 300
FIRST_SEED = 0


def success_figures(outcomes: list[bool]) -> dict[str, Any]:
    """Return the share of successes and its 95 % Wilson interval."""
    successes = sum(outcomes)
    return {
        "share": successes / len(outcomes),
        "interval": list(wilson_interval(successes / len(outcomes), len(outcomes))),
    }


def expert_figures(task: Task, evaluation: Evaluation) -> dict[str, Any]:
    """Return what is reported of an expert; failed seeds are those never in success."""
    episodes = evaluation.episodes
    return {
        "control_mode": task.control_mode,
        "horizon": task.horizon,
        "success_once": success_figures([episode.success_once for episode in episodes]),
        "success_at_end": success_figures([episode.success_at_end for episode in episodes]),
        "failed_seeds": [episode.seed for episode in episodes if not episode.success_once],
    }


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result_file", type=Path, nargs="?", default=RESULT_FILE)
    parser.add_argument("--episodes", type=int, default=EPISODES, help="of each task")
    return parser.parse_args()


def main() -> None:
    """Evaluate every expert and write the file named on the command line."""
    arguments = parse_arguments()
    tasks = {}
    for task in MANISKILL_TASKS:
        started = time.perf_counter()
        evaluation = evaluate_expert(TaskRef(task.task_id), arguments.episodes, FIRST_SEED)
        tasks[task.task_id] = expert_figures(task, evaluation)
        seconds = time.perf_counter() - started
        print(f"{task.task_id}: {evaluation.success_once:.3f} in {seconds:.0f} s", flush=True)
    figures = {
        "command": f"python -m benchmarks.experts {arguments.result_file} "
        f"--episodes {arguments.episodes}",
        "episodes": arguments.episodes,
        "first_seed": FIRST_SEED,
        "tasks": tasks,
    }
    arguments.result_file.parent.mkdir(parents=True, exist_ok=True)
    arguments.result_file.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
