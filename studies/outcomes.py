"""What networks did, kept whole: each network's success from each initial state.

A file of ``results/studies`` holds one task and training seed: for each method the networks, and of
each a digit for each state, 1 where it succeeded. All methods face the same states.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from nnit.artifacts.demos import read_demos
from nnit.artifacts.reading import open_artifact
from nnit.audit.report import EVERY
from nnit.cloning import LossUnit, measure_losses
from nnit.engine import Engine
from nnit.mlp import Architecture, Network, format_architecture
from nnit.progress import silent
from nnit.rollout.episodes import evaluate_networks
from nnit.tasks.registry import get_task
from nnit.tasks.seeds import EVALUATION_FIRST_SEED
from stages.contenders import read_contenders, require_setting
from stages.lineage import on_other_demonstrations
from stages.params_file import load_params, override
from stages.task_source import rollout_episodes, task_of
from studies.plan import Part
from studies.run import RECIPE, beside

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
    costs: dict[str, dict[str, float]]  # networks -> processor seconds, before and for them
    sizes: dict[str, int]  # bytes of each artifact


def evaluate(
    networks: Path,
    loss_demos: Path,
    out: Annotated[Path, typer.Option()],
    params: Annotated[Path, typer.Option()],
    task: str | None = None,
    data: str | None = None,
    episodes: int | None = None,
) -> None:
    """Run networks until they first succeed, from the states of ``nnit rollout``, and keep it.

    Raises:
        NnitError: as ``nnit rollout``.
    """
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
        EVALUATION_FIRST_SEED,
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


def collect(task: str, seed: int, parts: Mapping[str, Part]) -> dict[str, Any]:
    """Return what is kept of a task and a seed.

    Raises:
        ValueError: methods have different numbers of networks of a shape, or of states.
    """
    reports: dict[str, dict[str, Any]] = {}
    for name, part in parts.items():
        report, _, method = name.partition("/")
        if part.out.suffix == ".json":
            reports.setdefault(report, {})[method] = json.loads(part.out.read_text())
        elif report == "audits" and not method.startswith("of-"):
            audit = json.loads((part.out / "audit.json").read_text())
            (every,) = [group for group in audit["groups"] if group["group"] == EVERY]
            reports.setdefault(report, {})[method] = every
        elif report == "alignment":
            aligned = json.loads((part.out / "alignment.json").read_text())
            reports.setdefault(report, {})[method] = aligned
    methods = reports.pop("outcomes")
    asked = {
        (one["architecture"], len(networks_of(networks, one)), len(one["successes"]))
        for networks in methods.values()
        for one in networks
    }
    if len(asked) != len({shape for shape, _, _ in asked}):
        raise ValueError(f"{task}: methods differ in numbers of networks of a shape, or of states")
    sizes = {name: artifact_bytes(parts[name].out) for name in ("ghn", "zoo", "generator")}
    return {
        "task": task,
        "seed": seed,
        "costs": costs_of(parts),
        "sizes": sizes,
        "reports": reports,
        "methods": methods,
    }


def artifact_bytes(path: Path) -> int:
    """Return the size of an artifact's files."""
    return open_artifact(path).manifest.num_bytes


def costs_of(parts: Mapping[str, Part]) -> dict[str, dict[str, float]]:
    """Return the processor seconds that networks took, and what they need took before them."""
    used = {
        part.out: json.loads(beside(part.out, RECIPE).read_text())["seconds"]["processor"]
        for part in parts.values()
    }
    inputs = {part.out: part.inputs for part in parts.values()}

    def needed(out: Path) -> set[Path]:
        found = {path for path in inputs[out] if path in inputs}
        return found.union(*map(needed, found))

    return {
        name: {"before": sum(used[path] for path in needed(part.out)), "own": used[part.out]}
        for name, part in parts.items()
        if name.startswith(("samples/", "many/"))
    }


def networks_of(networks: list[dict[str, Any]], one: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the networks of the shape of one."""
    return [other for other in networks if other["architecture"] == one["architecture"]]


def read_study(path: Path) -> Study:
    """Read a file that ``collect`` filled."""
    found = json.loads(path.read_text())
    methods = {name: outcomes_from(kept) for name, kept in found["methods"].items()}
    return Study(methods=methods, **{key: found[key] for key in Study._fields if key != "methods"})


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
    """Return ``(S, R)``, the share of the networks of a shape that succeed from a state."""
    shapes: dict[Architecture, list[np.ndarray]] = {}
    for one in networks:
        shapes.setdefault(one.hidden_dims, []).append(one.successes)
    return np.stack([np.mean(same, axis=0) for same in shapes.values()])


if __name__ == "__main__":
    typer.run(evaluate)
