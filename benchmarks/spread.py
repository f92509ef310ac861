"""Measure how much success differs between seeds, precisions, steps of the sampler, and samples.

    python -m benchmarks.spread PushCube-v1 --seeds 3
    python -m benchmarks.spread PickCube-v1

On what ``python -m benchmarks.tasks TASK`` left in ``build/tasks/TASK``: 16 samples each of three
shapes in the same 40 episodes, and one sample of every held-out shape within the trained range with
1, 4, 10 and 30 steps of the sampler, in 100 episodes. With ``--seeds 3`` the whole pipeline again
with each seed from 0, its generator in float32 and in bfloat16, and one sample of all 24 held-out
shapes. Writes ``results/spread/TASK.json``; a part whose output is there is skipped.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.tasks import (
    ARTIFACTS,
    PROFILE,
    arch_flags,
    file_name,
    held_out_flags,
    run_missing,
    success_of,
)
from nnit.artifacts.rollouts import read_rollouts
from nnit.mlp import Architecture, format_architecture
from nnit.rollout.metrics import Evaluation
from stages.params_file import load_params

RESULTS = Path("results/spread")
STEPS = (1, 4, 10, 30)
PRECISIONS = ("float32", "bfloat16")
SHAPES = ((128, 256, 128), (248, 252, 256), (256, 256, 256, 256))
SAMPLES, EPISODES, FIRST_SEED = "16", "40", "700000"


def of_samples(folder: Path, task: str) -> dict[str, list[str]]:
    """Return the commands that sample some shapes often."""
    often = ["sample", "--model", str(folder / "generator"), *arch_flags(SHAPES), "-n", SAMPLES]
    episodes = ["--episodes", EPISODES, "--first-seed", FIRST_SEED]
    rollout = ["rollout", str(folder / "samples-often"), "--task", task, *episodes, "--resume"]
    return {"samples-often": often, "rollouts-often": rollout}


def of_steps(folder: Path, task: str, shapes: list[str]) -> dict[str, list[str]]:
    """Return the commands that sample with several numbers of steps."""
    made = {}
    for steps in STEPS:
        sample = ["sample", "--model", str(folder / "generator"), *shapes, "--steps", str(steps)]
        made[f"samples-{steps}"] = sample
        made[f"rollouts-{steps}"] = evaluated(folder / f"samples-{steps}", task)
    return made


def evaluated(samples: Path, task: str) -> list[str]:
    """Return the command that runs samples in the usual episodes."""
    return ["rollout", str(samples), "--task", task, "--resume"]


def of_seed(folder: Path, task: str, seed: int) -> dict[str, list[str]]:
    """Return the commands of the whole pipeline with a seed, its generator in both precisions."""
    own = {kind: str(folder / kind) for kind in ("demos", "ghn", "zoo", "tokens")}
    parts = {
        "demos": ["demos", "--task", task],
        "ghn": ["ghn-train", own["demos"], "--resume"],
        "zoo": ["zoo-export", own["ghn"], "--demos", own["demos"], "--resume"],
        "tokens": ["tokenize", own["zoo"]],
    }
    learnt = ["diffuse-train", own["tokens"], "--demos", own["demos"], "--resume"]
    for precision in PRECISIONS:
        generator = f"generator-{precision}"
        parts[generator] = [*learnt, "--precision", precision]
        parts[f"samples-{precision}"] = ["sample", "--held-out", "--model", str(folder / generator)]
        parts[f"rollouts-{precision}"] = evaluated(folder / f"samples-{precision}", task)
    return {name: [*words, "--seed", str(seed)] for name, words in parts.items()}


def evaluations_of(folder: Path) -> list[Evaluation]:
    """Read what came out of some networks."""
    return [*read_rollouts(folder)[0].evaluations]


def success_by_shape(evaluations: list[Evaluation]) -> dict[str, list[float]]:
    """Return the success of each sample of each shape."""
    found: dict[Architecture, list[float]] = {}
    for one in evaluations:
        found.setdefault(one.hidden_dims, []).append(one.success_once)
    return {format_architecture(dims): shares for dims, shares in found.items()}


def success_by_kind(evaluations: list[Evaluation]) -> dict[str, Any]:
    """Return mean success with its interval for each kind of held-out shape."""
    kinds = dict.fromkeys(one.kind for one in evaluations)
    return {kind: success_of([e for e in evaluations if e.kind == kind]) for kind in kinds}


def measure(task: str, seeds: int, profile: Path) -> dict[str, Any]:
    """Make what is missing, and return the figures of a task."""
    folder, params = ARTIFACTS / file_name(task), load_params(profile)
    parts = {**of_samples(folder, task), **of_steps(folder, task, held_out_flags(params))}
    run_missing(parts, folder, profile)
    by_seed = []
    for seed in range(seeds):
        own = folder / f"seed-{seed}"
        own.mkdir(exist_ok=True)
        seconds = run_missing(of_seed(own, task, seed), own, profile)
        rollouts = {name: evaluations_of(own / f"rollouts-{name}") for name in PRECISIONS}
        kinds = {name: success_by_kind(found) for name, found in rollouts.items()}
        by_seed.append({"seed": seed, **kinds, "seconds": seconds})
    return {
        "command": f"python -m benchmarks.spread {task}" + f" --seeds {seeds}" * (seeds > 0),
        "task": task,
        "samples_of_a_shape": success_by_shape(evaluations_of(folder / "rollouts-often")),
        "steps": {
            str(steps): success_of(evaluations_of(folder / f"rollouts-{steps}")) for steps in STEPS
        },
        "seeds": by_seed,
    }


def main() -> None:
    """Measure every task that is named, and write its file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="+", help="such as PushCube-v1")
    parser.add_argument("--seeds", type=int, default=0, help="of the whole pipeline")
    parser.add_argument("--profile", type=Path, default=PROFILE)
    arguments = parser.parse_args()
    for task in arguments.tasks:
        figures = measure(task, arguments.seeds, arguments.profile)
        path = RESULTS / f"{file_name(task)}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures, indent=2) + "\n")
        shares = [x for shares in figures["samples_of_a_shape"].values() for x in shares]
        print(f"{task}: lowest sample {min(shares)}; {path}", flush=True)


if __name__ == "__main__":
    main()
