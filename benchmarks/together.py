"""Train one generator on the zoos of several tasks, and hold it against one of each task alone.

    python -m benchmarks.together PullCube-v1 PokeCube-v1 digits --add PlaceSphere-v1

The zoos are those of ``python -m benchmarks.tasks TASK``, which has to run before. The common
generator is trained on the tasks together; those that are added it learns from their zoos alone, as
somebody does who has the generator and nothing else. It is asked for the same shapes as each task's
own, which run in the same episodes. What it knew before it is asked for again: the networks have to
be the very same, so that nothing is lost. Shapes that a zoo of another task has are left out.
Writes ``results/tasks/together.json``.
"""

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.tasks import (
    ARTIFACTS,
    PROFILE,
    RESULTS,
    SAMPLES,
    beside_clones,
    file_name,
    held_out_flags,
    learnt_by,
    refuse_different_episodes,
    run_missing,
    success_of,
)
from nnit.artifacts.reading import open_artifact
from nnit.artifacts.rollouts import read_rollouts
from nnit.artifacts.samples import read_samples
from nnit.artifacts.tokens import read_tokens
from nnit.mlp import Architecture
from stages.params import Params
from stages.params_file import load_params

FOLDER = ARTIFACTS / "together"
ADDED = "-added"  # behind the names of what is made with the added tasks


class Recipe(NamedTuple):
    """What the common generator is trained on, and for how long."""

    tasks: tuple[str, ...]
    steps: int
    added: tuple[str, ...] = ()  # tasks that it goes on with afterwards
    added_steps: int = 0


def shapes_of(task: str, params: Params) -> list[str]:
    """Ask for the shapes that a task's own generator was asked for, by its profile."""
    report = RESULTS / f"{file_name(task)}.json"
    if report.exists():
        params = load_params(Path(json.loads(report.read_text())["profile"]))
    return held_out_flags(params)


def where_of(task: str) -> list[str]:
    """Return the words that name a task and, where it has any, its file of examples."""
    made = ARTIFACTS / file_name(task) / "made.json"
    if not made.exists():
        return ["--task", task]
    return json.loads(made.read_text())["demos"]["words"][1:]


def folders(tasks: tuple[str, ...], kind: str) -> list[str]:
    """Return where an artifact of each task lies."""
    return [str(ARTIFACTS / file_name(task) / kind) for task in tasks]


def training(
    tasks: tuple[str, ...], steps: int, suffix: str, known: tuple[str, ...], params: Params
) -> dict[str, list[str]]:
    """Return the commands that train a generator on tasks and ask it for networks of each.

    Args:
        tasks: Whose zoos it is trained on.
        steps: Of the training.
        suffix: Of the names of artifacts.
        known: Further tasks that it is asked for, which it knew before.
        params: The profile.
    """
    tokens, generator = str(FOLDER / f"tokens{suffix}"), str(FOLDER / f"generator{suffix}")
    demos = [word for one in folders(tasks, "demos") for word in ("--demos", one)]
    parts = {
        f"tokens{suffix}": ["tokenize", *folders(tasks, "zoo")],
        f"generator{suffix}": ["diffuse-train", tokens, *demos, "--steps", str(steps), "--resume"],
    }
    for task in (*known, *tasks):
        name = f"{file_name(task)}/samples{suffix}"
        asked = ["--samples", SAMPLES, *shapes_of(task, params)]
        parts[name] = ["sample", "--model", generator, "--task", task, *asked]
        if task in tasks:
            run = ["rollout", str(FOLDER / name), *where_of(task), "--resume"]
            parts[f"{file_name(task)}/rollouts{suffix}"] = run
    return parts


def commands(recipe: Recipe, params: Params) -> dict[str, list[str]]:
    """Return the command that makes each artifact, in order."""
    parts = training(recipe.tasks, recipe.steps, "", (), params)
    if recipe.added:
        further = training(recipe.added, recipe.added_steps, ADDED, recipe.tasks, params)
        # The profile's weights are of the tasks that came first.
        even = [word for task in recipe.added for word in ("--weights", f"{task}=1")]
        further[f"generator{ADDED}"] += ["--from", str(FOLDER / "generator"), *even]
        parts |= further
    return parts


def trained_shapes(recipe: Recipe) -> set[Architecture]:
    """Return the shapes of all networks of the zoos."""
    suffixes = ["", ADDED] if recipe.added else [""]
    found = [read_tokens(FOLDER / f"tokens{suffix}")[0] for suffix in suffixes]
    return {dims for tokens in found for dims in tokens.architectures}


def refuse_changed(task: str) -> None:
    """Make sure that a task's networks are the same to the bit where others have been added.

    Raises:
        ValueError: some are not.
    """
    before, after = (
        read_samples(FOLDER / file_name(task) / f"samples{suffix}")[0] for suffix in ("", ADDED)
    )
    for one, other in zip(before.samples, after.samples, strict=True):
        if not np.array_equal(one.network.weights, other.network.weights):
            raise ValueError(f"{task}: {one.network.hidden_dims} changed when others were added")


def compare(task: str, recipe: Recipe, trained: set[Architecture]) -> dict[str, Any]:
    """Hold the common generator against the task's own.

    Args:
        task: Which one.
        recipe: Of the common generator.
        trained: Shapes to leave out.

    Raises:
        ValueError: they were run in different episodes, or as ``refuse_changed``.
    """
    if recipe.added and task in recipe.tasks:
        refuse_changed(task)
    last = ADDED if task in recipe.added else ""
    paths = {
        "alone": ARTIFACTS / file_name(task) / "rollouts",
        "baselines": ARTIFACTS / file_name(task) / "baselines",
        "together": FOLDER / file_name(task) / f"rollouts{last}",
    }
    evaluations = {
        name: [e for e in read_rollouts(path)[0].evaluations if e.hidden_dims not in trained]
        for name, path in paths.items()
    }
    refuse_different_episodes(evaluations.values())
    clones = [one for one in evaluations.pop("baselines") if one.source == "cloned"]
    found = {name: success_of(group) for name, group in evaluations.items()}
    return {
        **found,
        "unchanged": bool(recipe.added) and task in recipe.tasks,
        "of_alone": found["together"]["success_once"] / found["alone"]["success_once"],
        **beside_clones(evaluations["together"], clones),
        "generator_alone": learnt_by(ARTIFACTS / file_name(task) / "generator"),
    }


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="+", help="such as PullCube-v1")
    parser.add_argument("--steps", type=int, help="of the common generator")
    parser.add_argument("--add", nargs="+", default=[], help="tasks that it goes on with")
    parser.add_argument("--added-steps", type=int, help="of going on")
    parser.add_argument("--profile", type=Path, default=PROFILE)
    return parser.parse_args()


def recipe_of(arguments: argparse.Namespace, steps_of_one: int) -> Recipe:
    """Return what is trained: by default as many steps as a generator of each task has."""
    steps = arguments.steps or steps_of_one * len(arguments.tasks)
    added_steps = (arguments.added_steps or steps_of_one) if arguments.add else 0
    return Recipe(tuple(arguments.tasks), steps, tuple(arguments.add), added_steps)


def command_of(recipe: Recipe, profile: Path) -> str:
    """Return the command that writes the result."""
    words = ["python -m benchmarks.together", *recipe.tasks, f"--steps {recipe.steps}"]
    if recipe.added:
        words += ["--add", *recipe.added, f"--added-steps {recipe.added_steps}"]
    if profile != PROFILE:
        words.append(f"--profile {profile}")
    return " ".join(words)


def main() -> None:
    """Train, ask, run and compare."""
    arguments = parse_arguments()
    params = load_params(arguments.profile)
    recipe = recipe_of(arguments, params.diffuse_train.steps)
    for task in (*recipe.tasks, *recipe.added):
        (FOLDER / file_name(task)).mkdir(parents=True, exist_ok=True)
    seconds = run_missing(commands(recipe, params), FOLDER, arguments.profile)
    trained = trained_shapes(recipe)
    tasks = {task: compare(task, recipe, trained) for task in (*recipe.tasks, *recipe.added)}
    for task, one in tasks.items():
        print(f"{task}: {one['of_alone']:.3f} of its own generator", flush=True)
    common = FOLDER / "generator"
    figures = {
        "command": command_of(recipe, arguments.profile),
        "generator": learnt_by(common),
        **recipe._asdict(),
        "seconds": {k: v for k, v in seconds.items() if k.startswith("generator")},
        "bytes": open_artifact(common).manifest.num_bytes,
        "tasks": tasks,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "together.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
