"""How far a network's actions are from those that were demonstrated."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nnit.demos import Demos
from nnit.mlp import Network, forward, split_layers

STEPS_AT_ONCE = 2**14  # of which the units of a layer are in memory


class ActionError(NamedTuple):
    """The error of a network over all steps of demonstrations."""

    mean_square: float  # of all numbers of the actions, scaled to [-1, 1]
    root_mean_square: tuple[float, ...]  # (act_dim,), of each, in the robot's units


def action_error(network: Network, demos: Demos) -> ActionError:
    """Run a network on the observations of demonstrations, and compare clipped actions.

    Args:
        network: What is measured; its outputs are actions, not classes.
        demos: With the network's own scaling of observations.
    """
    square = sum(errors.sum(axis=0) for errors in _squares(network, demos)) / len(demos.actions)
    return ActionError(float(np.mean(square)), root_in_units(np.asarray(square), demos))


def deviation(demos: Demos) -> ActionError:
    """Return the error of the mean action: what a network has to be better than."""
    square = demos.actions.var(axis=0, dtype=np.float64)
    return ActionError(float(square.mean()), root_in_units(square, demos))


def root_in_units(square: np.ndarray, demos: Demos) -> tuple[float, ...]:
    """Return the roots of mean squares ``(act_dim,)`` in the units of the robot."""
    recorded = demos.interface.recorded
    return tuple((np.sqrt(square) * (1 if recorded is None else recorded.half)).tolist())


def _squares(network: Network, demos: Demos) -> Iterator[np.ndarray]:
    """Yield squared errors ``(n, act_dim)`` of some steps after the other."""
    interface = demos.interface
    layers = split_layers(interface.spec(network.hidden_dims), network.weights)
    for start in range(0, len(demos.actions), STEPS_AT_ONCE):
        rows = slice(start, start + STEPS_AT_ONCE)
        seen = interface.standardise(demos.observations[rows]).astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            outputs = np.nan_to_num(forward(layers, seen))
        yield (interface.read_output(outputs) - demos.actions[rows]) ** 2
