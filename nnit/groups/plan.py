"""Which networks are trained together: buckets of like shapes.

Networks of one depth that are padded to the widest of them share their operations, so that a step
of the group costs its overhead once. What they pay for it is the padding, which is multiplied too.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from nnit.mlp import MlpSpec


class GroupCosts(NamedTuple):
    """What a step of a group costs on a kind of machine, in microseconds."""

    layer: float  # of each layer of the group, whatever is in it
    network: float  # of each network, whatever its size
    product: float  # of each weight, padding included, with each transition of a batch
    largest: int  # networks in a group, so that what they work on stays in the cache


NETWORKS_PER_UNIT = 10  # at least, of a unit of work
CPU_COSTS = GroupCosts(layer=10, network=20, product=6e-5, largest=16)
GPU_COSTS = GroupCosts(layer=100, network=1, product=5e-7, largest=256)


def group_costs(device: str) -> GroupCosts:
    """Return what a step costs on a device: ``cpu``, or a GPU."""
    return CPU_COSTS if device == "cpu" else GPU_COSTS


def plan_groups(
    specs: Sequence[MlpSpec], batch_size: int, costs: GroupCosts
) -> list[tuple[int, ...]]:
    """Part networks into groups that are cheap to train; a function of its arguments alone.

    All networks of a depth are cut in two where that saves most, between two widths of a layer,
    and the halves again, until no cut saves anything.

    Args:
        specs: The shapes.
        batch_size: Transitions of a step.
        costs: Of the machine.

    Returns:
        Indices of the networks of each group; groups of large networks come first.
    """
    by_depth: dict[int, list[int]] = {}
    for k, spec in enumerate(specs):
        by_depth.setdefault(spec.depth, []).append(k)
    groups = []
    for members in by_depth.values():
        widths = _widths([specs[k] for k in members])
        whole_batch = costs._replace(product=costs.product * batch_size)
        todo = [np.arange(len(members))]
        while todo:
            part = todo.pop()
            halves = _cut(part, widths, whole_batch)
            todo += halves
            if not halves:
                groups.append(tuple(sorted(members[k] for k in part)))
    return sorted(groups, key=lambda group: (-max(specs[k].num_macs for k in group), group))


def deal_out(groups: Iterable[tuple[int, ...]], least: int) -> list[list[tuple[int, ...]]]:
    """Put groups that follow each other into units of work of at least so many networks."""
    units: list[list[tuple[int, ...]]] = []
    for group in groups:
        if not units or sum(map(len, units[-1])) >= least:
            units.append([])
        units[-1].append(group)
    return units


def step_cost(specs: Sequence[MlpSpec], batch_size: int, costs: GroupCosts) -> float:
    """Return what a step of one group costs, in microseconds."""
    whole_batch = costs._replace(product=costs.product * batch_size)
    return float(_cost(np.array(len(specs)), _widths(specs).max(axis=0), whole_batch))


def _widths(specs: Sequence[MlpSpec]) -> np.ndarray:
    """Return inputs, hidden widths and outputs of networks of one depth, ``(G, depth + 2)``."""
    return np.array([[spec.obs_dim, *(out for out, _ in spec.layers)] for spec in specs])


def _cut(members: np.ndarray, widths: np.ndarray, costs: GroupCosts) -> list[np.ndarray]:
    """Cut a group in two if it is too large or that saves something.

    Args:
        members: ``(G,)``, rows of ``widths``.
        widths: ``(N, depth + 2)``, inputs and outputs included.
        costs: Of the machine; ``product`` is that of a whole batch.

    Returns:
        The halves; none where the group stays whole.
    """
    mine, count = widths[members], np.arange(1, len(members) + 1)
    too_large = len(members) > costs.largest
    best = np.inf if too_large else float(_cost(count, mine.max(axis=0), costs)[-1])
    halves: list[np.ndarray] = []
    for layer in range(1, widths.shape[1] - 1):
        order = np.argsort(mine[:, layer], kind="stable")
        below = _cost(count, np.maximum.accumulate(mine[order]), costs)
        above = _cost(count, np.maximum.accumulate(mine[order[::-1]]), costs)[::-1]
        cut = below[:-1] + above[1:]
        if len(cut) and cut.min() < best:
            best, at = float(cut.min()), int(cut.argmin()) + 1
            halves = [members[order[:at]], members[order[at:]]]
    return halves


def _cost(count: np.ndarray, padded: np.ndarray, costs: GroupCosts) -> np.ndarray:
    """Return what steps of ``count`` networks cost, padded to ``(..., depth + 2)``: ``(G,)``.

    Too many for one group cost the overhead of several.
    """
    weights = (padded[..., 1:] * padded[..., :-1]).sum(axis=-1)
    layers = -(-count // costs.largest) * (padded.shape[-1] - 1)
    return layers * costs.layer + count * (costs.network + costs.product * weights)
