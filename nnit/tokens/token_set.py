"""Token sequences of the zoos of one task or several, as data."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nnit.mlp import Architecture, MlpSpec, PolicyInterface

# Roles of a layer; statistics are kept for each role, weights and biases apart.
ROLES = ("first", "middle", "last")


class Standardizer(NamedTuple):
    """Mean and standard deviation of weights divided by ``sqrt(2 / fan_in)``, per role.

    Fitted on training networks alone.
    """

    weight_mean: tuple[float, ...]  # (3,) in the order of ROLES
    weight_std: tuple[float, ...]
    bias_mean: tuple[float, ...]
    bias_std: tuple[float, ...]


@dataclass(frozen=True)
class TokenSet:
    """Every network of some zoos as architecture tokens, weight patches and bias patches.

    Patches hold the weights exactly as they are in the network, zero-padded at the right and
    bottom edges; scaling by fan-in and standardising happen when a batch is made, so that
    cutting and joining are exact inverses. The position of a patch follows from the
    architecture and from the sizes of the task's observations and actions: layer by layer, rows of
    patches from the top, patches of a row from the left.

    Each task has statistics of its own. First and last layers of different tasks differ in size as
    their observations and actions do, and a task that is added leaves those of the others as they
    were, and with them what their standardised weights mean to a generator.
    """

    patch_size: int
    architectures: tuple[Architecture, ...]  # N networks
    weight_patches: np.ndarray  # (T, patch_size, patch_size) float32
    weight_offsets: np.ndarray  # (N + 1,) int64: patches of network k
    bias_patches: np.ndarray  # (U, patch_size) float32
    bias_offsets: np.ndarray  # (N + 1,) int64
    branches: np.ndarray  # (N,) int32, counted from 0 in each task
    losses: np.ndarray  # (N,) float32: cloning loss of each network
    tasks: np.ndarray  # (N,) int32: index of each network's task
    standardizers: tuple[Standardizer, ...]  # one of each task
    interfaces: tuple[PolicyInterface, ...]  # one of each task

    def __len__(self) -> int:
        return len(self.architectures)

    @property
    def interface(self) -> PolicyInterface:
        """The interface of the only task.

        Raises:
            ValueError: there are several.
        """
        (interface,) = self.interfaces
        return interface

    def spec(self, k: int) -> MlpSpec:
        """Return the shape of network ``k``."""
        return self.interfaces[self.tasks[k]].spec(self.architectures[k])

    def architectures_of(self, task: int) -> list[Architecture]:
        """Return the architectures of a task's networks, in order."""
        return [self.architectures[k] for k in np.flatnonzero(self.tasks == task)]

    def num_branches(self, task: int) -> int:
        """Return how many branches the hypernetwork of a task has, as far as networks show it."""
        return int(self.branches[self.tasks == task].max()) + 1
