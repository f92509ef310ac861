"""The model zoo as data: many networks of many shapes in one flat array."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nnit.mlp import Architecture, MlpSpec, Network, PolicyInterface


class ZooMember(NamedTuple):
    """One network of the zoo and how it was made."""

    hidden_dims: Architecture
    branch: int  # which branch of the GHN wrote it
    fine_tune_steps: int  # optimiser steps that it was trained alone after that
    loss: float  # cloning loss over all demonstrations
    success: float  # success_once where it was measured, else NaN
    split: str = "train"


@dataclass(frozen=True)
class ModelZoo:
    """Networks, their weights and their provenance.

    Network ``k`` is ``members[k]`` with the weights ``weights[offsets[k]:offsets[k + 1]]`` in the
    flat order of ``nnit.mlp``.
    """

    members: tuple[ZooMember, ...]
    weights: np.ndarray  # (P,) float32
    offsets: np.ndarray  # (N + 1,) int64
    interface: PolicyInterface

    def __len__(self) -> int:
        return len(self.members)

    def spec(self, k: int) -> MlpSpec:
        """Return the shape of network ``k``."""
        return self.interface.spec(self.members[k].hidden_dims)

    def network(self, k: int) -> Network:
        """Return network ``k``; its weights are a view."""
        flat = self.weights[self.offsets[k] : self.offsets[k + 1]]
        return Network(self.members[k].hidden_dims, flat)


def build_zoo(
    members: list[ZooMember], weights: list[np.ndarray], interface: PolicyInterface
) -> ModelZoo:
    """Collect members and their flat weights, each ``(num_parameters,)``, into a zoo."""
    sizes = [len(flat) for flat in weights]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return ModelZoo(tuple(members), np.concatenate(weights), offsets, interface)


def most_of_one_shape(zoo: ModelZoo) -> int:
    """Return how many networks the most repeated shape has."""
    return max(map(len, networks_by_shape(zoo).values()), default=0)


def networks_by_shape(zoo: ModelZoo) -> dict[Architecture, list[int]]:
    """Return the indices of the networks of each shape, in the order of the zoo."""
    groups: dict[Architecture, list[int]] = {}
    for k, member in enumerate(zoo.members):
        groups.setdefault(member.hidden_dims, []).append(k)
    return groups
