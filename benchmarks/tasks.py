"""Run the whole pipeline on tasks, one after the other, and keep what came out.

    python -m benchmarks.tasks PullCube-v1 digits gym:CartPole-v1
    python -m benchmarks.tasks mnist --data mnist.npz
    python -m benchmarks.tasks PullCube-v1 --until tokens
    python -m benchmarks.tasks PegInsertionSide-v1 --profile profiles/precise.yaml

For each task: demonstrations, hypernetwork, zoo, tokens, generator; then three generated networks
of every held-out shape of the kinds ``unseen_combo`` and ``unseen_width``, the hypernetwork asked
again, and a network of each shape cloned directly, in the same episodes. Parameters are those of
``params.yaml``, as for the commands themselves, where no profile is named. A part whose output is
there is skipped, and trainings go on where they were, so that an interrupted run is started again
with the same command; ``--until tokens`` stops after a part. Writes ``results/tasks/TASK.json``.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nnit.artifacts.manifest import MANIFEST_NAME
from nnit.artifacts.reading import open_artifact
from nnit.artifacts.rollouts import read_rollouts
from nnit.mlp import Architecture, format_architecture
from nnit.rollout.metrics import Evaluation, success_level
from stages.params import Params
from stages.params_file import load_params

PROFILE = Path("params.yaml")
ARTIFACTS = Path("build/tasks")
RESULTS = Path("results/tasks")
SAMPLES = "3"  # of each shape
LEAST = 0.01  # success that a clone is taken to have
LEARNT_BY = ("steps", "tokens_per_batch", "learning_rate", "cloning_share")


def file_name(task: str) -> str:
    """Return a task's name as a file may have it."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in task)


def arch_flags(shapes: Iterable[Architecture]) -> list[str]:
    """Ask for shapes."""
    return [word for dims in shapes for word in ("--arch", format_architecture(dims))]


def held_out_flags(params: Params) -> list[str]:
    """Ask for every held-out shape within the trained range."""
    held_out = params.architectures.held_out
    return arch_flags((*held_out.unseen_combo, *held_out.unseen_width))


def commands(task: str, data: str | None, folder: Path, params: Params) -> dict[str, list[str]]:
    """Return the command that makes each artifact, in order."""
    where = ["--task", task, *(["--data", data] if data else [])]
    parts = ("demos", "ghn", "zoo", "tokens", "generator", "samples")
    made = {part: str(folder / part) for part in parts}
    shapes, demos = held_out_flags(params), ["--demos", made["demos"], "--resume"]
    return {
        "demos": ["demos", *where],
        "ghn": ["ghn-train", made["demos"], "--resume"],
        "zoo": ["zoo-export", made["ghn"], "--resume"],
        "tokens": ["tokenize", made["zoo"]],
        "generator": ["diffuse-train", made["tokens"], *demos],
        "samples": ["sample", "--model", made["generator"], "--samples", SAMPLES, *shapes],
        "rollouts": ["rollout", made["samples"], *where, "--resume"],
        "baselines": ["rollout", made["ghn"], *where, *shapes, *demos],
    }


def recipe_of(words: list[str], params: Params) -> dict[str, Any]:
    """Return what a command's output depends on: words, inputs, and parameters that it reads."""
    paths = [Path(word) for word in words]
    inputs = {str(p): open_artifact(p).digest for p in paths if (p / MANIFEST_NAME).is_file()}
    sections = {"architectures", words[0].replace("-", "_"), *({"ppo"} & set(words))}
    read = params.model_dump(mode="json", include=sections)
    values = {f"{section}.{key}": v for section in read for key, v in read[section].items()}
    return {"words": words, "inputs": inputs, "seed": params.seed, **values}


def refuse_other_recipe(out: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Make sure that what is there is what would be made.

    Parameters that came later had their defaults then.

    Raises:
        ValueError: it was made by other words, from other inputs, or with other parameters.
    """
    before = {**recipe_of(now["words"], Params()), **before}
    changed = [key for key in now if before.get(key) != now[key]]
    if changed:
        found = "; ".join(f"{key} was {before.get(key)}, is {now[key]}" for key in changed)
        raise ValueError(f"{out}: was made in another way: {found}. Remove it to make it again")


def run_missing(parts: dict[str, list[str]], folder: Path, profile: Path) -> dict[str, float]:
    """Make what is not there yet; returns the seconds of each part, also of earlier runs.

    Args:
        parts: The name of an artifact in ``folder`` -> the command that makes it, in order.
        folder: Where the artifacts are.
        profile: The parameters.

    Raises:
        ValueError: an artifact was made in another way.
    """
    kept, made = folder / "seconds.json", folder / "made.json"
    seconds, recipes = (json.loads(f.read_text()) if f.exists() else {} for f in (kept, made))
    params = load_params(profile)
    for name, words in parts.items():
        out, recipe = folder / name, recipe_of(words, params)
        if out.exists():
            refuse_other_recipe(out, recipes.get(name, recipe), recipe)
            continue
        started = time.monotonic()
        own = ["--out", str(out), "--params", str(profile)]
        subprocess.run([sys.executable, "-m", "nnit_cli", *words, *own], check=True)
        seconds[name] = round(time.monotonic() - started, 1)
        recipes[name] = recipe
        kept.write_text(json.dumps(seconds))
        made.write_text(json.dumps(recipes))
    return seconds


def command_of(module: str, task: str, arguments: argparse.Namespace, default: Path) -> str:
    """Return the command that made a task's file."""
    words = ["python -m", f"benchmarks.{module}", task]
    if getattr(arguments, "data", None):
        words += ["--data", Path(arguments.data).name]
    if arguments.profile != default:
        words += ["--profile", str(arguments.profile)]
    return " ".join(words)


def success_of(evaluations: list[Evaluation]) -> dict[str, Any]:
    """Return mean success with its interval, the lowest network, and the mean return."""
    level, lowest = success_level(evaluations), min(evaluations, key=lambda one: one.success_once)
    returns = [e.episode_return for one in evaluations for e in one.episodes]
    return {
        "success_once": level.mean,
        "interval_95": list(level.interval),
        "lowest": lowest.success_once,
        "lowest_shape": format_architecture(lowest.hidden_dims),
        "return_mean": sum(returns) / len(returns),
        "shapes": len({one.hidden_dims for one in evaluations}),
        "episodes": len(evaluations[0].episodes),
    }


def refuse_different_episodes(groups: Iterable[list[Evaluation]]) -> None:
    """Make sure that all networks were evaluated in the same episodes.

    Raises:
        ValueError: other reset seeds.
    """
    seeds = {tuple(e.seed for e in one.episodes) for group in groups for one in group}
    if len(seeds) > 1:
        raise ValueError("networks were evaluated in different episodes; remove the rollouts")


def learnt_by(generator: Path) -> dict[str, Any]:
    """Return what a generator was trained on, and how."""
    trained = open_artifact(generator).manifest
    recipe = {name: trained.params[name] for name in LEARNT_BY if name in trained.params}
    return {"inputs": sorted(trained.parents), **recipe}


def beside_clones(generated: list[Evaluation], cloned: list[Evaluation]) -> dict[str, float | None]:
    """Return success as a share of direct cloning's: of the mean, and of the lowest network."""
    mean, of_clones = (success_of(group)["success_once"] for group in (generated, cloned))
    clones = {one.hidden_dims: one.success_once for one in cloned}
    shares = [one.success_once / max(clones[one.hidden_dims], LEAST) for one in generated]
    return {
        "of_cloned": mean / of_clones if of_clones else None,
        "lowest_of_its_clone": min(shares) if of_clones else None,
    }


def result_of(task: str, folder: Path) -> dict[str, Any]:
    """Return what is kept of a task."""
    parts = ["rollouts", "baselines"]
    read = [read_rollouts(folder / part) for part in parts]
    generated, baselines = ([*rollouts.evaluations] for rollouts, _ in read)
    refuse_different_episodes([generated, baselines])
    by_source = {"sample": generated}
    for one in baselines:
        by_source.setdefault(one.source, []).append(one)
    found = {source: success_of(group) for source, group in by_source.items()}
    return {
        "task": task,
        "digests": {part: artifact.digest for part, (_, artifact) in zip(parts, read, strict=True)},
        "generator": learnt_by(folder / "generator"),
        "sources": found,
        **beside_clones(generated, by_source["cloned"]),
    }


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="+", help="such as PullCube-v1")
    parser.add_argument("--data", help="a file of examples, for mnist")
    parser.add_argument("--profile", type=Path, default=PROFILE)
    parser.add_argument("--until", help="the last part that is made, such as tokens")
    return parser.parse_args()


def main() -> None:
    """Run every task that is named, and write its file."""
    arguments = parse_arguments()
    params = load_params(arguments.profile)
    for task in arguments.tasks:
        folder = ARTIFACTS / file_name(task)
        parts = commands(task, arguments.data, folder, params)
        if arguments.until:
            names = list(parts)
            last = names.index(arguments.until)
            parts = {name: parts[name] for name in names[: last + 1]}
        seconds = run_missing(parts, folder, arguments.profile)
        if arguments.until:
            continue
        path = RESULTS / f"{file_name(task)}.json"
        figures = {
            "command": command_of("tasks", task, arguments, PROFILE),
            "profile": str(arguments.profile),
            **result_of(task, folder),
            "seconds": {part: seconds[part] for part in parts if part in seconds},
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures, indent=2) + "\n")
        print(f"{task}: {figures['of_cloned']} of direct cloning; {path}", flush=True)


if __name__ == "__main__":
    main()
