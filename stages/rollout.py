"""Stage ``rollout``: run networks in the simulator and report success with intervals.

Reads:   samples, zoo or ghn   (what is evaluated)
         ghn                   kind "ghn",      schema 1 (the baseline that is asked again)
         demos                 kind "demos",    schema 1 (the baseline that is cloned directly)
Writes:  rollouts              kind "rollouts", schema 1
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnit.architectures import TrainingRange, held_out_kind
from nnit.artifacts.demos import read_demos
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.model import read_model
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.reading import open_artifact
from nnit.artifacts.rollouts import Rollouts, eval_json, write_rollouts
from nnit.artifacts.samples import read_samples
from nnit.artifacts.state import UnitStore, clear_state
from nnit.artifacts.zoo import read_zoo
from nnit.cloning import CloneUnit, clone_network
from nnit.errors import UsageError
from nnit.ghn.model import GhnConfig, load_ghn, write_networks
from nnit.mlp import Architecture, PolicyInterface, format_architecture
from nnit.parallel import default_workers, map_units
from nnit.progress import Progress, silent
from nnit.rollout.batched import evaluate_batched
from nnit.rollout.episodes import (
    EvaluationRequest,
    UnitKey,
    UnitResult,
    evaluate_networks,
    unit_starts,
)
from nnit.rollout.metrics import Episode, Evaluation
from nnit.seeding import derive_seed
from nnit.tasks.seeds import check_disjoint_seeds, seed_range
from stages.checkpoints import run_key
from stages.lineage import require_same_task
from stages.params import Params, RunOptions


@dataclass(frozen=True)
class Inputs:
    """What is evaluated and what it is compared with."""

    networks: Path
    ghn: Path | None = None
    demos: Path | None = None
    architectures: tuple[Architecture, ...] = ()  # of a GHN: which; of others: only these


@dataclass(frozen=True)
class Outputs:
    """Where the evaluations go."""

    rollouts: Path


@dataclass(frozen=True)
class Summary:
    """The numbers for the terminal and for ``metrics/rollout.json``."""

    success_once: float  # mean over the networks that were asked for, baselines aside
    success_at_end: float
    networks: int
    episodes: int  # of each network
    by_source: dict[str, Any]  # source -> held-out kind -> mean, min, interval


@dataclass(frozen=True)
class Evaluated:
    """The networks to evaluate, from whatever artifact they come."""

    requests: tuple[EvaluationRequest, ...]
    interface: PolicyInterface
    digest: str


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Evaluate networks and, where asked for, the baselines of the same shapes, in one run.

    All networks face the same initial states. Finished episodes are kept beside the output until
    it is whole, so that an interrupted run goes on with ``--resume``.

    Raises:
        UsageError: a GHN without architectures, or reset seeds of the demonstrations.
        WrongKindError: inputs of different tasks.
        NnitError: a missing or damaged input, an output that can't be written, or the run was
            stopped.
    """
    check_output_free(outputs.rollouts, force=options.force, kind="rollouts")
    section, training_range = params.rollout, params.architectures.training_range()
    evaluated = read_networks(inputs, training_range)
    parents = {"networks": evaluated.digest}
    requests = list(evaluated.requests)
    if inputs.ghn is not None and section.ghn_baseline:
        requests += ghn_requests(inputs, evaluated, training_range, parents)
    if inputs.demos is not None:
        _, demos = read_demos(inputs.demos)
        parents["demos"] = demos.digest
    decides = {
        **section.model_dump(mode="json"),
        "architectures": [format_architecture(widths) for widths in inputs.architectures],
    }
    store = UnitStore(outputs.rollouts, run_key("rollout", decides, options.seed, parents))
    if not options.resume:
        clear_state(outputs.rollouts)
    if inputs.demos is not None and section.cloned_baseline:
        requests += cloned_requests(params, inputs, evaluated, store, options, progress)

    evaluations = evaluate(params, requests, evaluated.interface, store, options, progress)
    provenance = Provenance("rollout", decides, options.seed, parents)
    rollouts = Rollouts(tuple(evaluations), evaluated.interface)
    write_rollouts(outputs.rollouts, rollouts, provenance, force=options.force)
    clear_state(outputs.rollouts)
    return summarise(evaluations[: len(evaluated.requests)], evaluations)


def read_networks(inputs: Inputs, training_range: TrainingRange) -> Evaluated:
    """Read what is to be evaluated.

    Raises:
        UsageError: a GHN without architectures, or none of the asked-for shapes is there.
        NnitError: missing, of another kind, damaged.
    """
    kind = open_artifact(inputs.networks, "samples", "zoo", "ghn", check="sizes").manifest.kind
    readers = {"samples": _read_samples, "zoo": _read_zoo, "ghn": _read_ghn}
    evaluated = readers[kind](inputs.networks, inputs.architectures, training_range)
    if not evaluated.requests:
        wanted = "; ".join(map(format_architecture, inputs.architectures))
        raise UsageError(f"--arch: {inputs.networks} has no network of {wanted}")
    return evaluated


def _kind(widths: Architecture, training_range: TrainingRange) -> str:
    return held_out_kind(widths, training_range) or "train"


def _wanted(widths: Architecture, architectures: tuple[Architecture, ...]) -> bool:
    return not architectures or widths in architectures


def _read_samples(
    path: Path, architectures: tuple[Architecture, ...], training_range: TrainingRange
) -> Evaluated:
    samples, artifact = read_samples(path)
    requests = tuple(
        EvaluationRequest(
            f"sample-{k:04d}",
            "sample",
            sample.network.hidden_dims,
            _kind(sample.network.hidden_dims, training_range),
            sample.network.weights,
        )
        for k, sample in enumerate(samples.samples)
        if _wanted(sample.network.hidden_dims, architectures)
    )
    return Evaluated(requests, samples.interface, artifact.digest)


def _read_zoo(
    path: Path, architectures: tuple[Architecture, ...], training_range: TrainingRange
) -> Evaluated:
    zoo, artifact = read_zoo(path)
    requests = tuple(
        EvaluationRequest(
            f"zoo-{k:05d}",
            "zoo",
            member.hidden_dims,
            _kind(member.hidden_dims, training_range),
            zoo.network(k).weights,
        )
        for k, member in enumerate(zoo.members)
        if _wanted(member.hidden_dims, architectures)
    )
    return Evaluated(requests, zoo.interface, artifact.digest)


def _read_ghn(
    path: Path, architectures: tuple[Architecture, ...], training_range: TrainingRange
) -> Evaluated:
    if not architectures:
        raise UsageError(
            f"{path}: a graph hypernetwork needs --arch: which networks shall it write"
        )
    ghn, artifact = read_model(path, "ghn")
    model = load_ghn(GhnConfig(**ghn.config), ghn.tensors)
    networks = write_networks(model, [ghn.interface.spec(widths) for widths in architectures])
    requests = tuple(
        EvaluationRequest(
            f"ghn-{format_architecture(network.hidden_dims)}",
            "ghn",
            network.hidden_dims,
            _kind(network.hidden_dims, training_range),
            network.weights,
        )
        for network in networks
    )
    return Evaluated(requests, ghn.interface, artifact.digest)


def shapes_of(evaluated: Evaluated) -> tuple[Architecture, ...]:
    """Return the different architectures that are evaluated, in order."""
    return tuple(dict.fromkeys(request.hidden_dims for request in evaluated.requests))


def ghn_requests(
    inputs: Inputs, evaluated: Evaluated, training_range: TrainingRange, parents: dict[str, str]
) -> list[EvaluationRequest]:
    """Ask the GHN again for every shape: the baseline that a generator has to beat."""
    assert inputs.ghn is not None
    baseline = _read_ghn(inputs.ghn, shapes_of(evaluated), training_range)
    require_same_task(inputs.networks, evaluated.interface, inputs.ghn, baseline.interface)
    parents["ghn"] = baseline.digest
    return list(baseline.requests)


def cloned_requests(
    params: Params,
    inputs: Inputs,
    evaluated: Evaluated,
    store: UnitStore,
    options: RunOptions,
    progress: Progress,
) -> list[EvaluationRequest]:
    """Clone a network of every shape directly from all demonstrations: the ceiling."""
    assert inputs.demos is not None
    demos, _ = read_demos(inputs.demos)
    require_same_task(inputs.networks, evaluated.interface, inputs.demos, demos.interface)
    check_disjoint_seeds(
        range(int(demos.seeds.min()), int(demos.seeds.max()) + 1),
        seed_range(params.rollout.first_seed, params.rollout.episodes),
    )
    shapes = shapes_of(evaluated)
    seed = derive_seed(options.seed, "clone")
    units = [CloneUnit(demos, shape, params.rollout.clone_steps, seed) for shape in shapes]
    weights = {k: found for k in range(len(units)) if (found := store.load(f"cloned-{k}"))}
    todo = [k for k in range(len(units)) if k not in weights]
    progress.start("cloning", len(units), len(weights))

    def keep(index: int, result: np.ndarray) -> None:
        weights[todo[index]] = {"weights": result}
        store.save(f"cloned-{todo[index]}", {"weights": result})

    workers = options.workers or default_workers()
    map_units(clone_network, [units[k] for k in todo], workers, progress, on_result=keep)
    training_range = params.architectures.training_range()
    return [
        EvaluationRequest(
            f"cloned-{format_architecture(shape)}",
            "cloned",
            shape,
            _kind(shape, training_range),
            weights[k]["weights"],
        )
        for k, shape in enumerate(shapes)
    ]


def evaluate(
    params: Params,
    requests: list[EvaluationRequest],
    interface: PolicyInterface,
    store: UnitStore,
    options: RunOptions,
    progress: Progress,
) -> list[Evaluation]:
    """Run all episodes, on processes or on a GPU."""
    section = params.rollout
    if section.sim_backend != "physx_cpu":
        return evaluate_batched(
            requests,
            interface,
            section.episodes,
            section.first_seed,
            progress,
            sim_backend=section.sim_backend,
        )
    keys = [
        UnitKey(request.name, first)
        for request in requests
        for first in unit_starts(section.episodes)
    ]
    done = {key: result for key in keys if (result := load_unit(store, key)) is not None}
    return evaluate_networks(
        requests,
        interface,
        section.episodes,
        section.first_seed,
        options.workers or default_workers(),
        progress,
        on_unit=saver(store),
        done_units=done,
    )


def _unit_id(key: UnitKey) -> str:
    return f"episodes-{key.name.replace(',', 'x')}-{key.first_episode}"


def saver(store: UnitStore) -> Callable[[UnitKey, UnitResult], None]:
    """Return a function that keeps finished episodes in the store."""

    def save(key: UnitKey, result: UnitResult) -> None:
        columns = {
            name: np.array([getattr(episode, name) for episode in result.episodes])
            for name in Episode._fields
        }
        store.save(_unit_id(key), columns)

    return save


def load_unit(store: UnitStore, key: UnitKey) -> UnitResult | None:
    """Return finished episodes from the store."""
    columns = store.load(_unit_id(key))
    if columns is None:
        return None
    rows = zip(*(columns[name].tolist() for name in Episode._fields), strict=True)
    return UnitResult(tuple(Episode(*row) for row in rows))


def summarise(asked: Sequence[Evaluation], everything: Sequence[Evaluation]) -> Summary:
    """Return the summary: means over the networks asked for, and all sources side by side."""
    return Summary(
        success_once=float(np.mean([evaluation.success_once for evaluation in asked])),
        success_at_end=float(np.mean([evaluation.success_at_end for evaluation in asked])),
        networks=len(asked),
        episodes=len(asked[0].episodes),
        by_source=eval_json(everything)["aggregated"],
    )
