"""Networks are trained in units that are kept, whatever these are."""

from typing import NamedTuple

import numpy as np
import pytest

from nnit.artifacts.state import UnitStore
from nnit.groups.units import TrainedNetwork
from nnit.progress import silent
from stages.fan_out import train_networks
from stages.params import RunOptions


class Some(NamedTuple):
    """Networks of a unit."""

    indices: tuple[int, ...]
    cost: float = 1.0


def numbered(unit: Some) -> list[TrainedNetwork]:
    """Return networks that say which they are."""
    return [TrainedNetwork(np.full(2, k, np.float32), 0.5) for k in unit.indices]


@pytest.mark.seconds
def test_what_a_cpu_left_is_not_taken_for_units_of_a_gpu(tmp_path):
    """These are larger: the first of one is not the first of the other."""
    store = UnitStore(tmp_path / "zoo", "key")
    for device, units in (("cpu", [Some((2, 0)), Some((1, 3))]), ("cuda", [Some((0, 1, 2, 3))])):
        options = RunOptions(device=device, workers=1)
        for _ in range(2):  # made, and taken from what is kept
            found = train_networks(numbered, units, store, options, silent)
            assert [network.weights.tolist() for network in found] == [[k, k] for k in range(4)]
