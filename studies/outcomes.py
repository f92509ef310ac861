"""What networks did, kept whole: each network's success from each initial state.

A file of ``results/studies`` holds one task and training seed: each part that was made, how (the
digest of ``planned``), by which others, in how many processor seconds, of how many bytes, and what
it says. What outcomes say are networks, and of each a digit for each state, 1 where it succeeded.
All methods face the same states. A file is enough to go on from: artifacts are made again only
where something is missing that needs them.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from nnit.artifacts.demos import read_demos
from nnit.artifacts.reading import open_artifact
from nnit.audit.report import EVERY
from nnit.cloning import LossUnit, measure_losses
from nnit.engine import Engine
from nnit.machine import resolve_device
from nnit.mlp import Architecture, Network, format_architecture
from nnit.progress import silent
from nnit.rollout.episodes import evaluate_networks
from nnit.tasks.registry import get_task
from nnit.tasks.seeds import EVALUATION_FIRST_SEED
from nnit.training import precision_of
from stages.contenders import read_contenders, require_setting
from stages.lineage import on_other_demonstrations
from stages.params_file import load_params, override
from stages.task_source import rollout_episodes, task_of
from studies.plan import Job, Part, file_name
from studies.run import RECIPE, beside, is_missing, planned

RESULTS = Path("results/studies")


class Outcome(NamedTuple):
    """One network."""

    hidden_dims: Architecture
    kind: str  # how the shape is held out
    successes: np.ndarray  # (R,) bool
    loss: float  # cloning loss on demonstrations that nothing was trained on

    @property
    def success_once(self) -> float:
        """Share of the states that it succeeded from."""
        return float(self.successes.mean())


class Study(NamedTuple):
    """A task with a training seed."""

    task: str
    seed: int
    methods: dict[str, tuple[Outcome, ...]]
    reports: dict[str, dict[str, Any]]  # report -> method -> what it says
    costs: dict[str, dict[str, float | None]]  # networks -> processor seconds, before and for them
    sizes: dict[str, int]  # bytes of each artifact
    parts: frozenset[str]

    def asked(self, report: str) -> dict[str, tuple[Outcome, ...]]:
        """Return the networks that a report is about, by method."""
        return {name: outcomes_from(kept) for name, kept in self.reports.get(report, {}).items()}


def evaluate(
    networks: Path,
    loss_demos: Path,
    out: Annotated[Path, typer.Option()],
    params: Annotated[Path, typer.Option()],
    task: str | None = None,
    data: str | None = None,
    episodes: int | None = None,
    first_seed: int = EVALUATION_FIRST_SEED,
) -> None:
    """Run networks until they first succeed, from the states of ``nnit rollout``, and keep it."""
    read = override(load_params(params), task=task, data=data)
    read = read.model_copy(update={"rollout": override(read.rollout, episodes=episodes)})
    found = read_contenders(networks, (), read.architectures.training_range())
    demos, _ = read_demos(loss_demos)
    demos = on_other_demonstrations(networks, found.interface, loss_demos, demos)
    where = task_of(networks, found.interface, read, task)
    require_setting(networks, found, get_task(where), silent)
    evaluations = evaluate_networks(
        found.requests,
        found.interface,
        rollout_episodes(read, get_task(where)),
        first_seed,
        Engine(),
        stop_on_success=True,
        task=where,
    )
    asked = tuple(Network(one.hidden_dims, one.weights) for one in found.requests)
    losses = measure_losses(LossUnit(demos, asked))
    kept = [
        {
            "architecture": format_architecture(one.hidden_dims),
            "kind": one.kind,
            "loss": float(f"{loss:.4g}"),
            "successes": "".join("01"[episode.success_once] for episode in one.episodes),
        }
        for one, loss in zip(evaluations, losses, strict=True)
    ]
    out.write_text(json.dumps(kept, indent=1) + "\n")


def collect(job: Job, parts: Mapping[str, Part]) -> dict[str, Any]:
    """Return what is kept of a task and a seed: parts that are there, or were kept before."""
    named, kept = {part.out: name for name, part in parts.items()}, read_kept(job, parts)
    recipes = planned(parts)
    for name, part in parts.items():
        if not is_missing(part):
            made = json.loads(beside(part.out, RECIPE).read_text())
            kept[name] = {
                "recipe": recipes[name],
                "needs": [named[path] for path in part.inputs if path in named],
                "seconds": made["seconds"]["processor"],
                **said_by(name, part.out),
            }
    return {**setting_of(job), "parts": {k: kept[k] for k in parts if k in kept}}


def read_kept(job: Job, parts: Mapping[str, Part]) -> dict[str, Any]:
    """Return what was kept of parts that would be made in the same way today, if it was timed.

    Raises:
        ValueError: they are of another task of that name, or of another machine's precision.
    """
    path = file_of(job)
    if not path.exists():
        return {}
    recipes, kept = planned(parts), json.loads(path.read_text())
    for field, ours in setting_of(job).items():
        if kept[field] != ours:
            raise ValueError(f"{path}: {field}: {kept[field]}, where it would be {ours} now")
    timed = {name: one for name, one in kept["parts"].items() if one["seconds"] is not None}
    return {name: one for name, one in timed.items() if recipes.get(name) == one["recipe"]}


def setting_of(job: Job) -> dict[str, Any]:
    """Return what a file is of, and the precision of products where parameters leave it open."""
    precision = precision_of("auto", resolve_device("auto"))
    return {"task": job.task, "seed": job.seed, "precision": precision}


def wanted(parts: Mapping[str, Part], kept: Collection[str]) -> list[Part]:
    """Return the parts that are not kept, and what they are made of."""
    needed: set[Path] = set()
    for name, part in reversed(list(parts.items())):  # inputs come before what is made of them
        if part.out in needed or name not in kept:
            needed |= {part.out, *part.inputs}
    return [part for part in parts.values() if part.out in needed]


def file_of(job: Job) -> Path:
    """Return where a task and a seed are kept."""
    return RESULTS / f"{file_name(job.task)}-seed-{job.seed}.json"


def said_by(name: str, out: Path) -> dict[str, Any]:
    """Return what a part says, or the bytes of its files."""
    if out.suffix == ".json":
        return {"says": json.loads(out.read_text())}
    if name.startswith("audits/") and (out / "audit.json").exists():
        audit = json.loads((out / "audit.json").read_text())
        return {"says": next(group for group in audit["groups"] if group["group"] == EVERY)}
    if name.startswith("alignment/"):
        return {"says": json.loads((out / "alignment.json").read_text())}
    return {"bytes": open_artifact(out).manifest.num_bytes}


def read_study(path: Path) -> Study:
    """Read a file that ``collect`` filled.

    Raises:
        ValueError: methods have different numbers of networks of a shape, or of states.
    """
    found = json.loads(path.read_text())
    parts: dict[str, dict[str, Any]] = found["parts"]
    reports: dict[str, dict[str, Any]] = {}
    for name, part in parts.items():
        if "says" in part:
            report, _, method = name.partition("/")
            reports.setdefault(report, {})[method] = part["says"]
    methods = reports.pop("outcomes", {})
    asked = {
        (shape, count, len(one["successes"]))
        for networks in methods.values()
        for shape, count in Counter(one["architecture"] for one in networks).items()
        for one in networks
    }
    if len(asked) != len({shape for shape, _, _ in asked}):
        raise ValueError(f"{path}: methods differ in numbers of networks of a shape, or of states")
    return Study(
        found["task"],
        found["seed"],
        {name: outcomes_from(kept) for name, kept in methods.items()},
        reports,
        costs_of(parts),
        {name: part["bytes"] for name, part in parts.items() if "bytes" in part},
        frozenset(parts),
    )


def costs_of(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Return processor seconds of networks, and of what they need; None if not measured."""

    def needed(name: str) -> set[str]:
        needs = parts.get(name, {}).get("needs", ())
        return set(needs).union(*map(needed, needs))

    def seconds_of(names: set[str]) -> float | None:
        found = [parts.get(name, {}).get("seconds") for name in names]
        return None if None in found else sum(found)

    return {
        name: {"before": seconds_of(needed(name)), "own": part["seconds"]}
        for name, part in parts.items()
        if name.startswith(("samples/", "many/"))
    }


def outcomes_from(kept: Sequence[Mapping[str, Any]]) -> tuple[Outcome, ...]:
    """Return networks as ``evaluate`` kept them."""
    return tuple(
        Outcome(
            tuple(map(int, one["architecture"].split(","))),
            one["kind"],
            np.array([digit == "1" for digit in one["successes"]]),
            one["loss"],
        )
        for one in kept
    )


def cells_of(networks: Sequence[Outcome]) -> np.ndarray:
    """Return ``(S, R)``, by shape: the share of its networks that succeed from a state."""
    shapes: dict[Architecture, list[np.ndarray]] = {}
    for one in networks:
        shapes.setdefault(one.hidden_dims, []).append(one.successes)
    return np.stack([np.mean(shapes[dims], axis=0) for dims in sorted(shapes)])


if __name__ == "__main__":
    typer.run(evaluate)
