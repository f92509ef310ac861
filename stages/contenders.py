"""The networks of a rollout: those that were asked for, and the baselines of the same shapes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnit.architectures import TrainingRange, held_out_kind
from nnit.artifacts.reading import open_artifact
from nnit.artifacts.samples import read_samples
from nnit.artifacts.state import UnitStore
from nnit.artifacts.zoo import read_zoo
from nnit.cloning import CloneUnit, clone_network
from nnit.demos import Demos
from nnit.errors import UsageError
from nnit.ghn.model import write_networks
from nnit.mlp import Architecture, Network, PolicyInterface, format_architecture
from nnit.parallel import default_workers, map_units
from nnit.progress import Progress
from nnit.rollout.episodes import EvaluationRequest
from nnit.seeding import derive_seed
from stages.hypernetwork import load_hypernetwork, require_decoding_memory
from stages.params import Params, RunOptions


@dataclass(frozen=True)
class Contenders:
    """Networks to evaluate, from one artifact."""

    requests: tuple[EvaluationRequest, ...]
    interface: PolicyInterface
    digest: str  # of the artifact

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
    ghn = load_hypernetwork(path)
    specs = [ghn.interface.spec(widths) for widths in architectures]
    for spec in specs:
        require_decoding_memory(spec)
    networks = write_networks(ghn.model, specs)
    requests = tuple(
        _request(f"ghn-{format_architecture(network.hidden_dims)}", "ghn", network, training_range)
        for network in networks
    )
    return Contenders(requests, ghn.interface, ghn.digest)


def clone_directly(
    contenders: Contenders,
    demos: Demos,
    params: Params,
    store: UnitStore,
    options: RunOptions,
    progress: Progress,
) -> list[EvaluationRequest]:
    """Clone a network of every shape from scratch with all demonstrations: the ceiling."""
    seed, steps = derive_seed(options.seed, "clone"), params.rollout.clone_steps
    units = [CloneUnit(demos, shape, steps, seed) for shape in contenders.shapes]
    weights = {k: found for k in range(len(units)) if (found := store.load(f"cloned-{k}"))}
    todo = [k for k in range(len(units)) if k not in weights]
    progress.start("cloning", len(units), len(weights))

    def keep(index: int, result: np.ndarray) -> None:
        weights[todo[index]] = {"weights": result}
        store.save(f"cloned-{todo[index]}", weights[todo[index]])

    workers = options.workers or default_workers()
    map_units(clone_network, [units[k] for k in todo], workers, progress, on_result=keep)
    training_range = params.architectures.training_range()
    return [
        _request(
            f"cloned-{format_architecture(shape)}",
            "cloned",
            Network(shape, weights[k]["weights"]),
            training_range,
        )
        for k, shape in enumerate(contenders.shapes)
    ]


def _read_samples(
    path: Path, architectures: tuple[Architecture, ...], training_range: TrainingRange
) -> Contenders:
    samples, artifact = read_samples(path)
    networks = [sample.network for sample in samples.samples]
    requests = _requests("sample", 4, networks, architectures, training_range)
    return Contenders(requests, samples.interface, artifact.digest)


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
