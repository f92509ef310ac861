"""The networks of a rollout: those that were asked for, and the baselines of the same shapes."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnit.architectures import TrainingRange, held_out_kind
from nnit.artifacts.manifest import NOT_INSTALLED, installed_version
from nnit.artifacts.reading import open_artifact
from nnit.artifacts.samples import network_folder, read_samples
from nnit.artifacts.state import UnitStore
from nnit.artifacts.zoo import read_zoo
from nnit.demos import Demos
from nnit.errors import UsageError, WrongKindError
from nnit.fit import SETTING, misfit
from nnit.ghn.model import write_networks
from nnit.groups.units import GroupUnit, TrainedNetwork, in_order, plan_clones, train_unit
from nnit.growing import grow_network, plan_growth
from nnit.mlp import Architecture, Network, PolicyInterface, format_architecture
from nnit.policy_record import PolicyRecord, Setting
from nnit.progress import Progress
from nnit.rollout.episodes import EvaluationRequest
from nnit.seeding import derive_seed
from nnit.tasks.task import Task
from nnit.training import prepare_torch
from stages.fan_out import Arrays, fan_out, pack_networks, unpack_networks
from stages.hypernetwork import load_hypernetwork, require_decoding_memory
from stages.lineage import require_same_task
from stages.params import Params, RunOptions
from stages.task_source import MAKE_AGAIN

GROWN = "ghn-grown"
OWN_SOURCES = (  # no label for others
    *("sample", "generated", "ghn", GROWN),
    *("cloned", "zoo", "expert", "constant"),
)
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")


@dataclass(frozen=True)
class Contenders:
    """Networks to evaluate, from one artifact."""

    requests: tuple[EvaluationRequest, ...]
    interface: PolicyInterface
    digest: str  # of the artifact
    records: tuple[PolicyRecord | None, ...] = ()  # of all networks of samples, asked for or not

    @property
    def shapes(self) -> tuple[Architecture, ...]:
        """The different architectures, in order."""
        return tuple(dict.fromkeys(request.hidden_dims for request in self.requests))


def read_contenders(
    path: Path, architectures: tuple[Architecture, ...], training_range: TrainingRange
) -> Contenders:
    """Read what is to be evaluated.

    Args:
        path: Samples, a zoo or a graph hypernetwork.
        architectures: Of a hypernetwork, what it shall write; of others, only these.
        training_range: Tells the held-out kinds apart.

    Raises:
        UsageError: a GHN without architectures, or no network of the asked-for shapes is there.
        NnitError: missing, of another kind, damaged.
    """
    kind = open_artifact(path, "samples", "zoo", "ghn", check="sizes").manifest.kind
    readers = {"samples": _read_samples, "zoo": _read_zoo, "ghn": ask_ghn}
    contenders = readers[kind](path, architectures, training_range)
    if not contenders.requests:
        wanted = "; ".join(map(format_architecture, architectures))
        raise UsageError(f"--arch: {path} has no network of {wanted or 'any shape'}")
    return contenders


def check_labels(labels: Mapping[str, Path]) -> None:
    """Make sure that every label of a further artifact can be the name of a source.

    Raises:
        UsageError: not a word, or the name of a source that nnit itself knows.
    """
    for label, path in labels.items():
        if label in OWN_SOURCES:
            raise UsageError(
                f"--also {label}={path}: {label} is what nnit itself calls a source; "
                "choose another label"
            )
        if not _LABEL.fullmatch(label):
            raise UsageError(
                f"--also {label}={path}: {label!r} is not a word; give LABEL=PATH with letters, "
                "digits, - and _, as in nearest=artifacts/nearest"
            )


def read_also(
    label: str, path: Path, asked_path: Path, asked: Contenders, training_range: TrainingRange
) -> Contenders:
    """Read a further artifact to compare with: its networks of the shapes that are asked for.

    Args:
        label: The source that its networks get.
        path: Samples or a zoo.
        asked_path: Where the networks that were asked for come from, for messages.
        asked: Those networks.
        training_range: Tells the held-out kinds apart.

    Raises:
        WrongKindError: of another task, or with other scaling of observations.
        UsageError: no network of those shapes.
        NnitError: missing, of another kind, damaged.
    """
    records: tuple[PolicyRecord | None, ...] = ()
    if open_artifact(path, "samples", "zoo", check="sizes").manifest.kind == "samples":
        samples, artifact = read_samples(path)
        networks, interface = [sample.network for sample in samples.samples], samples.interface
        records = tuple(sample.record for sample in samples.samples)
    else:
        zoo, artifact = read_zoo(path)
        networks, interface = [zoo.network(k) for k in range(len(zoo))], zoo.interface
    require_same_task(asked_path, asked.interface, path, interface)
    requests = _requests(label, 4, networks, asked.shapes, training_range)
    if not requests:
        raise UsageError(
            f"--also {label}={path}: has no network of a shape that {asked_path} has; make it for "
            "the same shapes"
        )
    return Contenders(requests, interface, artifact.digest, records)


def require_setting(path: Path, found: Contenders, task: Task, progress: Progress) -> None:
    """Refuse networks that were made for another control frequency or order of observations.

    A note says so where they are of another version of the simulator than the one that is here.

    Raises:
        WrongKindError: the line has the first network that was, what was found and expected.
    """
    here = setting_json(task.control_mode, task.setting)
    others = set()
    for k, record in enumerate(found.records):
        if record is None:
            continue
        if fault := misfit(setting_json(found.interface.control_mode, record.setting), here):
            raise WrongKindError(
                f"{path / network_folder(k)}: is not of {task.task_id} as it is here: {fault}; "
                f"{MAKE_AGAIN}"
            )
        if task.simulator:
            others.add(record.versions._asdict()[task.simulator])
    installed = installed_version(task.simulator) if task.simulator else NOT_INSTALLED
    for version in sorted(others - {installed, NOT_INSTALLED}):
        progress.note(
            f"rollout: {path}: made with {task.simulator} {version}, here is {installed}; success "
            "may differ"
        )


def setting_json(control_mode: str, setting: Setting) -> dict[str, Any]:
    """Return a setting as the ``config.json`` of a network says it."""
    layout = [part._asdict() for part in setting.layout]
    values = (control_mode, setting.control_freq, layout)
    return dict(zip(SETTING, values, strict=True))


def constant_policy(
    asked: Contenders, demos: Demos, training_range: TrainingRange
) -> EvaluationRequest:
    """Return a network that answers every observation with the mean action of the experts.

    A task that it solves says nothing about a generator.
    """
    shape = asked.shapes[0]
    weights = np.zeros(asked.interface.spec(shape).num_parameters, np.float32)
    weights[-asked.interface.act_dim :] = demos.actions.mean(axis=0, dtype=np.float64)
    return _request("constant", "constant", Network(shape, weights), training_range)


def ask_ghn(
    path: Path, architectures: tuple[Architecture, ...], training_range: TrainingRange
) -> Contenders:
    """Ask a hypernetwork for each architecture: also the baseline that a generator has to beat.

    Raises:
        UsageError: no architecture.
        ResourceError: a network that does not fit into memory.
        NnitError: missing, of another kind, damaged.
    """
    if not architectures:
        raise UsageError(f"{path}: a hypernetwork writes what --arch asks for; give at least one")
    architectures = tuple(dict.fromkeys(architectures))
    prepare_torch()
    ghn = load_hypernetwork(path)
    specs = [ghn.interface.spec(widths) for widths in architectures]
    require_decoding_memory(specs)
    networks = write_networks(ghn.model, specs)
    requests = tuple(
        _request(f"ghn-{format_architecture(network.hidden_dims)}", "ghn", network, training_range)
        for network in networks
    )
    return Contenders(requests, ghn.interface, ghn.digest)


def ask_ghn_and_grow(
    path: Path, architectures: tuple[Architecture, ...], training_range: TrainingRange
) -> Contenders:
    """Ask a hypernetwork as the baseline, but for its branches (``nnit baseline asked`` has them).

    Beyond the trained widths and depths the generator grows its networks out of smaller ones; the
    hypernetwork's are written as a whole, and grown too, as a source of their own.

    Raises:
        UsageError: no architecture.
        ResourceError: a network that does not fit into memory.
        NnitError: missing, of another kind, damaged.
    """
    asked = ask_ghn(path, architectures, training_range)
    widest, deepest = training_range.widths_max, training_range.depth_max
    plans = {shape: plan_growth(shape, widest, deepest) for shape in asked.shapes}
    cores = tuple(dict.fromkeys(plan.core for shape, plan in plans.items() if plan.core != shape))
    if not cores:
        return asked
    written = {one.hidden_dims: one for one in ask_ghn(path, cores, training_range).requests}
    grown = tuple(
        _request(
            f"{GROWN}-{format_architecture(shape)}",
            GROWN,
            grow_network(
                Network(plan.core, written[plan.core].weights),
                asked.interface.spec(shape),
                plan,
            ),
            training_range,
        )
        for shape, plan in plans.items()
        if plan.core != shape
    )
    return replace(asked, requests=(*asked.requests, *grown))


class TimedNetworks(NamedTuple):
    """Networks that were cloned together, and the seconds of one worker that they took."""

    networks: list[TrainedNetwork]
    seconds: float


class Cloned(NamedTuple):
    """The networks that were cloned directly."""

    requests: list[EvaluationRequest]
    seconds: list[
        float
    ]  # of each, its share of its unit; where a stopped run made it, those of then


def clone_timed(unit: GroupUnit) -> TimedNetworks:
    """Clone some networks and take the time, as a unit of work for a process."""
    started = time.perf_counter()
    return TimedNetworks(train_unit(unit), time.perf_counter() - started)


def clone_directly(
    contenders: Contenders,
    demos: Demos,
    params: Params,
    store: UnitStore,
    options: RunOptions,
    progress: Progress,
) -> Cloned:
    """Clone a network of every shape from scratch with all demonstrations."""
    shapes = contenders.shapes
    units = plan_clones(
        shapes,
        demos,
        steps=params.rollout.clone_steps,
        seed=derive_seed(options.seed, "clone"),
        device=options.device,
    )

    def pack(timed: TimedNetworks) -> Arrays:
        return {**pack_networks(timed.networks), "seconds": np.array([timed.seconds])}

    packed = fan_out(
        "cloning",
        clone_timed,
        units,
        pack,
        store,
        options,
        progress,
        unit_sizes=[len(unit.indices) for unit in units],
        kept_as="cloned-groups",
        needed_for="episodes",
    )
    networks = in_order((unit.indices for unit in units), map(unpack_networks, packed))
    training_range = params.architectures.training_range()
    requests = [
        _request(
            f"cloned-{format_architecture(shape)}",
            "cloned",
            Network(shape, network.weights),
            training_range,
        )
        for shape, network in zip(shapes, networks, strict=True)
    ]
    seconds = [
        float(arrays["seconds"][0]) / len(unit.indices)
        for unit, arrays in zip(units, packed, strict=True)
        for _ in unit.indices
    ]
    return Cloned(requests, seconds)


def _read_samples(
    path: Path, architectures: tuple[Architecture, ...], training_range: TrainingRange
) -> Contenders:
    samples, artifact = read_samples(path)
    networks = [sample.network for sample in samples.samples]
    requests = _requests("sample", 4, networks, architectures, training_range)
    records = tuple(sample.record for sample in samples.samples)
    return Contenders(requests, samples.interface, artifact.digest, records)


def _read_zoo(
    path: Path, architectures: tuple[Architecture, ...], training_range: TrainingRange
) -> Contenders:
    zoo, artifact = read_zoo(path)
    networks = [zoo.network(k) for k in range(len(zoo))]
    requests = _requests("zoo", 5, networks, architectures, training_range)
    return Contenders(requests, zoo.interface, artifact.digest)


def _requests(
    source: str,
    digits: int,
    networks: list[Network],
    architectures: tuple[Architecture, ...],
    training_range: TrainingRange,
) -> tuple[EvaluationRequest, ...]:
    return tuple(
        _request(f"{source}-{k:0{digits}d}", source, network, training_range)
        for k, network in enumerate(networks)
        if not architectures or network.hidden_dims in architectures
    )


def _request(
    name: str, source: str, network: Network, training_range: TrainingRange
) -> EvaluationRequest:
    kind = held_out_kind(network.hidden_dims, training_range) or "train"
    return EvaluationRequest(name, source, network.hidden_dims, kind, network.weights)
