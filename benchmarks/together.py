"""Train one generator on the zoos of several tasks, and hold it against one of each task alone.

    python -m benchmarks.together PushCube-v1 PullCube-v1 PickCube-v1 LiftPegUpright-v1 [--steps N]

The zoos are those of ``python -m benchmarks.tasks TASK ...``, which has to run before. The common
generator is trained for as many steps as all of theirs together, if ``--steps`` doesn't say
otherwise; then it is asked for the same shapes as theirs, which run in the same episodes. Writes
``results/tasks/together.json``.
"""

import argparse
import json

from benchmarks.tasks import (
    ARTIFACTS,
    PROFILE,
    RESULTS,
    file_name,
    held_out_flags,
    run_missing,
    success_of,
)
from nnit.artifacts.rollouts import read_rollouts
from stages.params_file import load_params

FOLDER = ARTIFACTS / "together"


def commands(tasks: list[str], steps: int, flags: list[str]) -> dict[str, list[str]]:
    """Return the command that makes each artifact, in order."""
    tokens, generator = str(FOLDER / "tokens"), str(FOLDER / "generator")
    zoos = [str(ARTIFACTS / file_name(task) / "zoo") for task in tasks]
    demos = [str(ARTIFACTS / file_name(task) / "demos") for task in tasks]
    cloning = [word for one in demos for word in ("--demos", one)]
    train = ["diffuse-train", tokens, *cloning, "--steps", str(steps), "--resume"]
    parts = {"tokens": ["tokenize", *zoos], "generator": train}
    for task in tasks:
        name = file_name(task)
        samples = f"{name}/samples"
        parts[samples] = ["sample", "--model", generator, "--task", task, *flags]
        parts[f"{name}/rollouts"] = ["rollout", str(FOLDER / samples), "--task", task, "--resume"]
    return parts


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
    seconds = run_missing(commands(arguments.tasks, steps, held_out_flags(params)), FOLDER, PROFILE)
    tasks = {}
    for task in arguments.tasks:
        alone = json.loads((RESULTS / f"{file_name(task)}.json").read_text())["sources"]["sample"]
        found, _ = read_rollouts(FOLDER / file_name(task) / "rollouts")
        together = success_of(list(found.evaluations))
        tasks[task] = {
            "together": together,
            "alone": alone,
            "of_alone": together["success_once"] / alone["success_once"],
        }
        print(f"{task}: {tasks[task]['of_alone']:.3f} of its own generator", flush=True)
    figures = {
        "command": f"python -m benchmarks.together {' '.join(arguments.tasks)} --steps {steps}",
        "steps": steps,
        "training_s": seconds["generator"],
        "tasks": tasks,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "together.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
