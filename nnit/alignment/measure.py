"""Measure the alignment and the smoothness of a zoo's networks."""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from nnit.alignment.barrier import Line, line_losses
from nnit.alignment.matching import (
    match_activations,
    match_weights,
    reorder,
    same_index,
)
from nnit.alignment.rank import activation_ranks, weight_ranks
from nnit.alignment.report import (
    IndexAlignment,
    Interpolation,
    LayerMatching,
    LayerRank,
    Smoothness,
    ZooAlignment,
)
from nnit.alignment.smoothness import Spot, network_smoothness, shuffle_units
from nnit.cloning import CloningData
from nnit.intervals import Estimate, mean_interval
from nnit.mlp import Architecture, LayerWeights, join_layers, split_layers
from nnit.progress import Progress
from nnit.seeding import numpy_generator
from nnit.zoo.members import ModelZoo, networks_by_shape

Pair = tuple[int, int]  # indices into the zoo


class AlignmentSettings(NamedTuple):
    """What is compared."""

    repeats: int  # networks of one shape that make it a repeated one
    shapes: int  # repeated shapes, at most
    pairs: int  # of each shape, and across widths
    seed: int


class PairFindings(NamedTuple):
    """What one pair of networks of one shape shows; lists are by hidden layer."""

    by_activations: list[float]
    by_weights: list[float]
    correlation: float
    correlation_matched: float
    line: Line
    line_matched: Line


def measure_zoo(
    label: str,
    zoo: ModelZoo,
    states: np.ndarray,
    data: CloningData,
    settings: AlignmentSettings,
    progress: Progress,
) -> ZooAlignment:
    """Compare networks of a zoo in pairs.

    Args:
        label: What the zoo is called.
        zoo: The networks, ``repeats`` or more of some shape.
        states: ``(N, obs_dim)``, standardised.
        data: Demonstrations for the losses.
        settings: What is compared.
        progress: Advances by pairs.
    """
    chosen = draw_pairs(zoo, settings)
    across = draw_pairs_across(zoo, settings)
    progress.start(label, sum(map(len, chosen.values())) + len(across))
    findings: dict[Architecture, list[PairFindings]] = {}
    for shape, pairs in chosen.items():
        for pair in pairs:
            findings.setdefault(shape, []).append(compare(zoo, pair, states, data))
            progress.advance()

    def estimate(figure: Callable[[PairFindings], float]) -> Estimate:
        by_shape = [float(np.mean([figure(f) for f in some])) for some in findings.values()]
        return mean_interval(by_shape)

    def interpolation(line_of: Callable[[PairFindings], Line]) -> Interpolation:
        losses = [line_of(f).losses for some in findings.values() for f in some]
        return Interpolation(
            losses=tuple(np.mean(losses, axis=0).tolist()),
            barrier=estimate(lambda f: line_of(f).barrier),
            relative=estimate(lambda f: relative_barrier(line_of(f))),
        )

    return ZooAlignment(
        label=label,
        shapes=tuple(findings),
        pairs=sum(map(len, findings.values())),
        same_shape=IndexAlignment(
            by_activations=estimate(lambda f: float(np.mean(f.by_activations))),
            by_weights=estimate(lambda f: float(np.mean(f.by_weights))),
            chance=float(np.mean([np.mean([1 / w for w in shape]) for shape in findings])),
            layers=matching_by_layer(findings),
        ),
        across_widths=compare_across(zoo, across, states, settings, progress),
        weight_correlation=estimate(lambda f: f.correlation),
        weight_correlation_matched=estimate(lambda f: f.correlation_matched),
        line=interpolation(lambda f: f.line),
        line_matched=interpolation(lambda f: f.line_matched),
        smoothness=measure_smoothness(zoo, chosen, settings),
        ranks=tuple(
            layer
            for shape, pairs in chosen.items()
            for layer in measure_ranks(zoo, shape, members_of(pairs), states)
        ),
    )


def draw_pairs(zoo: ModelZoo, settings: AlignmentSettings) -> dict[Architecture, list[Pair]]:
    """Draw pairs of networks of the most repeated shapes, of different branches if it has any."""
    groups = networks_by_shape(zoo)
    repeated = [shape for shape, group in groups.items() if len(group) >= settings.repeats]
    repeated.sort(key=lambda shape: -len(groups[shape]))
    drawn = {}
    for shape in repeated[: settings.shapes]:
        pairs = list(combinations(groups[shape], 2))
        apart = [(a, b) for a, b in pairs if zoo.members[a].branch != zoo.members[b].branch]
        pairs = apart or pairs
        order = numpy_generator(settings.seed, "pairs", *shape).permutation(len(pairs))
        drawn[shape] = [pairs[k] for k in sorted(order[: settings.pairs])]
    return drawn


def draw_pairs_across(zoo: ModelZoo, settings: AlignmentSettings) -> list[Pair]:
    """Draw pairs of networks that have the same depth and another width in every hidden layer."""
    generator = numpy_generator(settings.seed, "across-widths")
    order = generator.permutation(len(zoo)).tolist()
    pairs: list[Pair] = []
    while order and len(pairs) < settings.pairs:
        one = order.pop()
        mine = zoo.members[one].hidden_dims
        fitting = [k for k in order if _differs_in_width(mine, zoo.members[k].hidden_dims)]
        if fitting:
            pairs.append((one, fitting[0]))
            order.remove(fitting[0])
    return pairs


def _differs_in_width(one: Architecture, other: Architecture) -> bool:
    return len(one) == len(other) and all(a != b for a, b in zip(one, other, strict=True))


def layers_of(zoo: ModelZoo, k: int) -> list[LayerWeights]:
    """Return the layers of network ``k``."""
    return split_layers(zoo.spec(k), zoo.network(k).weights)


def compare(zoo: ModelZoo, pair: Pair, states: np.ndarray, data: CloningData) -> PairFindings:
    """Compare two networks of one shape."""
    spec = zoo.spec(pair[0])
    one, other = (layers_of(zoo, k) for k in pair)
    matchings = match_weights(one, other)
    matched = reorder(other, matchings)
    return PairFindings(
        by_activations=[same_index(m) for m in match_activations(one, other, states)],
        by_weights=[same_index(m) for m in matchings],
        correlation=weight_correlation(one, other),
        correlation_matched=weight_correlation(one, matched),
        line=line_losses(spec, join_layers(one), join_layers(other), data),
        line_matched=line_losses(spec, join_layers(one), join_layers(matched), data),
    )


def weight_correlation(ones: list[LayerWeights], others: list[LayerWeights]) -> float:
    """Return the correlation of all weights at equal places, each over ``sqrt(2 / fan_in)``."""

    def scaled(layers: list[LayerWeights]) -> np.ndarray:
        fields = [x.weight.astype(np.float64) / np.sqrt(2 / x.weight.shape[1]) for x in layers]
        flat = np.concatenate([field.reshape(-1) for field in fields])
        return flat - flat.mean()

    one, other = scaled(ones), scaled(others)
    size = np.linalg.norm(one) * np.linalg.norm(other)
    return float(one @ other / size) if size > 0 else 0.0


def relative_barrier(line: Line) -> float:
    """Return the barrier in units of the mean loss of the ends."""
    ends = (line.losses[0] + line.losses[-1]) / 2
    return line.barrier / ends if ends > 0 else 0.0


def matching_by_layer(
    findings: dict[Architecture, list[PairFindings]],
) -> tuple[LayerMatching, ...]:
    """Average over pairs, each hidden layer apart."""
    layers = []
    for k in range(max(map(len, findings))):
        here = [(shape, f) for shape, some in findings.items() if len(shape) > k for f in some]
        layers.append(
            LayerMatching(
                layer=k + 1,
                by_activations=float(np.mean([f.by_activations[k] for _, f in here])),
                by_weights=float(np.mean([f.by_weights[k] for _, f in here])),
                chance=float(np.mean([1 / shape[k] for shape, _ in here])),
                pairs=len(here),
            )
        )
    return tuple(layers)


def compare_across(
    zoo: ModelZoo,
    pairs: list[Pair],
    states: np.ndarray,
    settings: AlignmentSettings,
    progress: Progress,
) -> IndexAlignment:
    """Match the units of narrower layers into wider ones, by activations alone."""
    shares, chances = [], []
    for a, b in pairs:
        matchings = match_activations(layers_of(zoo, a), layers_of(zoo, b), states)
        shares.append([same_index(matching) for matching in matchings])
        widths = zip(zoo.members[a].hidden_dims, zoo.members[b].hidden_dims, strict=True)
        chances.append([1 / max(both) for both in widths])
        progress.advance()
    if not pairs:
        return IndexAlignment(None, None, None, ())
    layers = []
    for k in range(max(map(len, shares))):
        here = [position for position, share in enumerate(shares) if len(share) > k]
        layers.append(
            LayerMatching(
                layer=k + 1,
                by_activations=float(np.mean([shares[p][k] for p in here])),
                by_weights=None,
                chance=float(np.mean([chances[p][k] for p in here])),
                pairs=len(here),
            )
        )
    means = [float(np.mean(share)) for share in shares]
    chance = float(np.mean([np.mean(some) for some in chances]))
    return IndexAlignment(mean_interval(means), None, chance, tuple(layers))


def members_of(pairs: Sequence[Pair]) -> list[int]:
    """Return the networks that occur in pairs."""
    return sorted({k for pair in pairs for k in pair})


def measure_ranks(
    zoo: ModelZoo, shape: Architecture, members: Sequence[int], states: np.ndarray
) -> list[LayerRank]:
    """Measure the rank of every layer, the mean over networks of one shape."""
    networks = [layers_of(zoo, k) for k in members]
    weights = np.mean([weight_ranks(layers) for layers in networks], axis=0)
    activations = np.mean([activation_ranks(layers, states) for layers in networks], axis=0)
    ranks = []
    for k, layer in enumerate(networks[0]):
        hidden = activations[k].tolist() if k < len(activations) else (None, None)
        ranks.append(
            LayerRank(shape, k + 1, min(layer.weight.shape), *weights[k].tolist(), *hidden)
        )
    return ranks


def measure_smoothness(
    zoo: ModelZoo, chosen: dict[Architecture, list[Pair]], settings: AlignmentSettings
) -> tuple[Smoothness, ...]:
    """Measure the autocorrelation of the drawn networks and of their shuffled controls."""
    own: dict[Spot, list[float]] = {}
    shuffled: dict[Spot, list[float]] = {}
    for pairs in chosen.values():
        members = members_of(pairs)
        controls = [
            shuffle_units(layers_of(zoo, k), numpy_generator(settings.seed, "shuffle", k))
            for k in members
        ]
        _add_means(own, [network_smoothness(layers_of(zoo, k)) for k in members])
        _add_means(shuffled, [network_smoothness(layers) for layers in controls])
    found = []
    for spot, values in own.items():
        found.append(Smoothness(*spot, mean_interval(values), mean_interval(shuffled[spot])))
    return tuple(found)


def _add_means(means: dict[Spot, list[float]], networks: Sequence[dict[Spot, float]]) -> None:
    """Add the mean over networks of one shape."""
    for spot in networks[0]:
        means.setdefault(spot, []).append(float(np.mean([network[spot] for network in networks])))
