"""Networks of a new shape out of a zoo, without any generator: what a generator has to beat."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnit.mlp import Architecture, LayerWeights, Network, join_layers, split_layers
from nnit.zoo.members import ModelZoo
from nnit.zoo.resize import match_layers, resize


@dataclass(frozen=True)
class Neighbours:
    """The networks of a zoo that are nearest to an architecture, each resized to it."""

    networks: tuple[Network, ...]  # all of the wanted architecture, the nearest first
    indices: tuple[int, ...]  # in the zoo
    distances: tuple[float, ...]  # of their own architectures (see ``match_layers``)


def nearest_networks(zoo: ModelZoo, wanted: Architecture, count: int) -> Neighbours:
    """Resize the ``count`` nearest networks of a zoo, or all of a smaller zoo.

    Of networks that are equally far the one of lower cloning loss comes first.
    """
    distances = distances_to(zoo, wanted)
    return _resized(zoo, wanted, _by_distance(zoo, distances)[:count], distances)


def nearest_of_branches(zoo: ModelZoo, wanted: Architecture, count: int) -> Neighbours:
    """Resize ``count`` near networks of as many branches as there are.

    The nearest one, then the nearest of each other branch, and so on with what is left.
    """
    distances, turns = distances_to(zoo, wanted), Counter[int]()
    ranked = []
    for place, k in enumerate(_by_distance(zoo, distances)):
        branch = zoo.members[k].branch
        ranked.append((turns[branch], place, k))
        turns[branch] += 1
    chosen = [k for _, _, k in sorted(ranked)[:count]]
    return _resized(zoo, wanted, chosen, distances)


def distances_to(zoo: ModelZoo, wanted: Architecture) -> dict[Architecture, float]:
    """Return the distance of each architecture of a zoo."""
    different = {member.hidden_dims for member in zoo.members}
    return {dims: match_layers(dims, wanted).distance for dims in different}


def _by_distance(zoo: ModelZoo, distances: dict[Architecture, float]) -> list[int]:
    def rank(k: int) -> tuple[float, float, int]:
        member = zoo.members[k]
        return (distances[member.hidden_dims], member.loss, k)

    return sorted(range(len(zoo)), key=rank)


def _resized(
    zoo: ModelZoo,
    wanted: Architecture,
    indices: Sequence[int],
    distances: dict[Architecture, float],
) -> Neighbours:
    return Neighbours(
        networks=tuple(resize(zoo.network(k), wanted, zoo.interface) for k in indices),
        indices=tuple(indices),
        distances=tuple(distances[zoo.members[k].hidden_dims] for k in indices),
    )


def average(networks: tuple[Network, ...]) -> Network:
    """Return the mean of networks of one architecture, weight by weight."""
    (hidden_dims,) = {network.hidden_dims for network in networks}
    total = np.zeros(networks[0].weights.shape, np.float64)
    for network in networks:
        total += network.weights
    return Network(hidden_dims, (total / len(networks)).astype(np.float32))


def add_noise(
    network: Network,
    zoo: ModelZoo,
    relative: float,
    generator: np.random.Generator,
) -> Network:
    """Add Gaussian noise to a network.

    Args:
        network: What is disturbed.
        zoo: Where it comes from: the dimensions of its input and output.
        relative: Size of the noise, in standard deviations of a layer's weights, or its biases.
        generator: Draws the noise of this network alone.
    """
    noisy = [
        LayerWeights(*(_disturb(part, relative, generator) for part in layer))
        for layer in split_layers(zoo.interface.spec(network.hidden_dims), network.weights)
    ]
    return Network(network.hidden_dims, join_layers(noisy))


def _disturb(values: np.ndarray, relative: float, generator: np.random.Generator) -> np.ndarray:
    noise = generator.standard_normal(values.shape, np.float32)
    return values + np.float32(relative * values.std()) * noise
