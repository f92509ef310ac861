"""Token sequences of a whole zoo, as data."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nnit.mlp import Architecture, PolicyInterface

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
    """Every network of a zoo as architecture tokens, weight patches and bias patches.

    Patches hold the weights exactly as they are in the network, zero-padded at the right and
    bottom edges; scaling by fan-in and standardising happen when a batch is made, so that
    cutting and joining are exact inverses. The position of a patch follows from the
    architecture: layer by layer, rows of patches from the top, patches of a row from the left.
    """

    patch_size: int
    architectures: tuple[Architecture, ...]  # N networks
    weight_patches: np.ndarray  # (T, patch_size, patch_size) float32
    weight_offsets: np.ndarray  # (N + 1,) int64: patches of network k
    bias_patches: np.ndarray  # (U, patch_size) float32
    bias_offsets: np.ndarray  # (N + 1,) int64
    branches: np.ndarray  # (N,) int32
    losses: np.ndarray  # (N,) float32: cloning loss of each network
    standardizer: Standardizer
    interface: PolicyInterface

    def __len__(self) -> int:
        return len(self.architectures)
