"""Units of work, each kept as it finishes, for a run that stops and goes on."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

import numpy as np

from nnit.artifacts.state import UnitStore
from nnit.engine import Engine
from nnit.groups.units import TrainedNetwork, in_order
from nnit.parallel import run_units
from nnit.progress import Progress
from nnit.zoo.export import Branch, BranchUnit, train_branch
from stages.params import RunOptions

Arrays = dict[str, np.ndarray]
LOSSES = "losses"  # beside arrays of a unit, in the store
Unit = TypeVar("Unit")
Result = TypeVar("Result")


class OfNetworks(Protocol):
    """A unit of work that is several networks."""

    @property
    def indices(self) -> tuple[int, ...]:
        """Their places among all networks."""
        ...

    @property
    def cost(self) -> float:
        """How long it takes, in any unit."""
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
    unit_costs: Sequence[float] | None = None,
    kept_as: str = "",
    needed_for: str | None = None,
) -> list[Arrays]:
    """Run units that are not in the store, and keep each as it finishes.

    Args:
        label: What progress calls them.
        function: Called with each unit.
        units: The work.
        pack: Turns a result into arrays.
        store: Where they are kept.
        options: Engine and device; on a GPU one process does everything, unless told otherwise.
        progress: Counts what is done.
        unit_sizes: What each unit counts for; 1 each by default.
        unit_costs: How long each takes, in any unit; by default as its size says.
        kept_as: What the store calls them; the label by default.
        needed_for: What the units that come after these are called; None: there are none.

    Returns:
        What was packed of each unit, in their order.

    Raises:
        ShardEnd: a shard has run its units.
        UsageError: shards are merged, and have not run all units.
        InterruptedRunError: asked to stop; finished units are kept.
    """
    names = [f"{kept_as or label}-{k}" for k in range(len(units))]
    arrays = {k: found for k, name in enumerate(names) if (found := store.load(name))}

    def keep(index: int, result: Result) -> None:
        arrays[index] = pack(result)
        store.save(names[index], arrays[index])

    run_units(
        function,
        units,
        options.engine if options.device == "cpu" else one_process(options.engine),
        progress,
        on_result=keep,
        done=set(arrays),
        label=label,
        names=names,
        unit_sizes=unit_sizes,
        unit_costs=unit_costs,
        needed_for=needed_for,
    )
    return [arrays[k] for k in range(len(units))]


def one_process(engine: Engine) -> Engine:
    """Return an engine that starts one process here where nobody said how many."""
    return replace(engine, workers=engine.workers or 1)


def train_branches(
    units: Sequence[BranchUnit], store: UnitStore, options: RunOptions, progress: Progress
) -> list[Branch]:
    """Train branches of a hypernetwork, for networks; errors as ``fan_out``."""
    packed = fan_out(
        "branches",
        train_branch,
        units,
        lambda branch: {**branch.arrays, LOSSES: branch.losses},
        store,
        options,
        progress,
        needed_for="networks",
    )
    return [Branch(arrays, arrays.pop(LOSSES)) for arrays in packed]


def train_networks(
    function: Callable[[OfNetworksT], list[TrainedNetwork]],
    units: Sequence[OfNetworksT],
    store: UnitStore,
    options: RunOptions,
    progress: Progress,
) -> list[TrainedNetwork]:
    """Train networks; return all of them in the order of their indices; errors as ``fan_out``."""
    packed = fan_out(
        "networks",
        function,
        units,
        pack_networks,
        store,
        options,
        progress,
        unit_sizes=[len(unit.indices) for unit in units],
        unit_costs=[unit.cost for unit in units],
        kept_as="groups" if options.device == "cpu" else "gpu-groups",  # which differ in size
    )
    return in_order((unit.indices for unit in units), map(unpack_networks, packed))


def pack_networks(networks: Sequence[TrainedNetwork]) -> Arrays:
    """Turn finished networks into arrays for the store."""
    packed = {f"weights-{k}": network.weights for k, network in enumerate(networks)}
    return {**packed, LOSSES: np.array([network.loss for network in networks])}


def unpack_networks(arrays: Arrays) -> list[TrainedNetwork]:
    """Inverse of ``pack_networks``."""
    losses = arrays[LOSSES].tolist()
    return [TrainedNetwork(arrays[f"weights-{k}"], loss) for k, loss in enumerate(losses)]
