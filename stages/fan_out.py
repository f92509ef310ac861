"""Units of work over processes, each kept as it finishes, for a run that stops and goes on."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np

from nnit.artifacts.state import UnitStore
from nnit.groups.units import TrainedNetwork, in_order
from nnit.parallel import default_workers, map_units
from nnit.progress import Progress
from stages.params import RunOptions

Arrays = dict[str, np.ndarray]
Unit = TypeVar("Unit")
Result = TypeVar("Result")


class OfNetworks(Protocol):
    """A unit of work that is several networks."""

    @property
    def indices(self) -> tuple[int, ...]:
        """Their places among all networks."""
        ...


OfNetworksT = TypeVar("OfNetworksT", bound=OfNetworks)


def fan_out(
    label: str,
    function: Callable[[Unit], Result],
    units: Sequence[Unit],
    pack: Callable[[Result], Arrays],
    store: UnitStore,
    options: RunOptions,
    progress: Progress,
    *,
    unit_sizes: Sequence[int] | None = None,
    kept_as: str = "",
) -> list[Arrays]:
    """Run units that are not in the store over processes, and keep each as it finishes.

    Args:
        label: What progress calls them.
        function: Called with each unit.
        units: The work.
        pack: Turns a result into arrays.
        store: Where they are kept.
        options: Workers and device; on a GPU one process does everything, unless told otherwise.
        progress: Counts what is done.
        unit_sizes: What each unit counts for; 1 each by default.
        kept_as: What the store calls them; the label by default.

    Returns:
        What was packed of each unit, in their order.
    """
    name = kept_as or label
    sizes = list(unit_sizes or [1] * len(units))
    arrays = {k: found for k in range(len(units)) if (found := store.load(f"{name}-{k}"))}
    todo = [k for k in range(len(units)) if k not in arrays]
    progress.start(label, sum(sizes), sum(sizes[k] for k in arrays))

    def keep(index: int, result: Result) -> None:
        k = todo[index]
        arrays[k] = pack(result)
        store.save(f"{name}-{k}", arrays[k])

    workers = options.workers or (default_workers() if options.device == "cpu" else 1)
    map_units(
        function,
        [units[k] for k in todo],
        workers,
        progress,
        unit_sizes=[sizes[k] for k in todo],
        on_result=keep,
    )
    return [arrays[k] for k in range(len(units))]


def train_networks(
    function: Callable[[OfNetworksT], list[TrainedNetwork]],
    units: Sequence[OfNetworksT],
    store: UnitStore,
    options: RunOptions,
    progress: Progress,
) -> list[TrainedNetwork]:
    """Train networks over processes; return all of them in the order of their indices."""
    packed = fan_out(
        "networks",
        function,
        units,
        pack_networks,
        store,
        options,
        progress,
        unit_sizes=[len(unit.indices) for unit in units],
        kept_as="groups",
    )
    return in_order((unit.indices for unit in units), map(unpack_networks, packed))


def pack_networks(networks: Sequence[TrainedNetwork]) -> Arrays:
    """Turn finished networks into arrays for the store."""
    packed = {f"weights-{k}": network.weights for k, network in enumerate(networks)}
    return {**packed, "losses": np.array([network.loss for network in networks])}


def unpack_networks(arrays: Arrays) -> list[TrainedNetwork]:
    """Inverse of ``pack_networks``."""
    losses = arrays["losses"].tolist()
    return [TrainedNetwork(arrays[f"weights-{k}"], loss) for k, loss in enumerate(losses)]
