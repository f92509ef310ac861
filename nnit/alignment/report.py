"""The alignment report as data: for each zoo, what its networks of one shape have in common."""

from typing import NamedTuple

from nnit.intervals import Estimate
from nnit.mlp import Architecture


class LayerMatching(NamedTuple):
    """The fraction of a hidden layer's units whose match has the same index."""

    layer: int  # hidden layer, 1 for the first
    by_activations: float
    by_weights: float | None  # None across widths, where matrices have no common columns
    chance: float  # 1 / width, or 1 / the wider width
    pairs: int


class IndexAlignment(NamedTuple):
    """How far units of one index are each other's best match."""

    by_activations: Estimate | None
    by_weights: Estimate | None
    chance: float | None
    layers: tuple[LayerMatching, ...]


class Smoothness(NamedTuple):
    """Autocorrelation of weights that are ``lag`` blocks apart, and of the shuffled control."""

    role: str  # "first", "middle", "last"
    axis: str  # "output units", "input units"
    block: int  # side of the blocks whose means are compared; 1: the weights themselves
    lag: int
    autocorrelation: Estimate
    shuffled: Estimate  # the same networks with their hidden units in random order


class Interpolation(NamedTuple):
    """Cloning loss along the line between two networks, the mean over pairs."""

    losses: tuple[float, ...]  # at nnit.alignment.barrier.ALPHAS
    barrier: Estimate
    relative: Estimate  # the barrier over the mean loss of the ends


class LayerRank(NamedTuple):
    """How many directions a layer uses, the mean over networks of one shape.

    The participation ratio of the energies of singular values, and how many of the largest hold
    99 % of the energy; of activations less their means.
    """

    hidden_dims: Architecture
    layer: int  # 1 for the first; the last is the output layer
    largest: int  # the most that the layer's weights can have
    participation: float
    values: float
    activation_participation: float | None  # of the hidden units that it feeds; None: outputs
    activation_values: float | None


def layers_between(ranks: tuple[LayerRank, ...]) -> list[LayerRank]:
    """Return those of weights between hidden layers."""
    return [rank for rank in ranks if 1 < rank.layer <= len(rank.hidden_dims)]


class ZooAlignment(NamedTuple):
    """One zoo."""

    label: str
    shapes: tuple[Architecture, ...]  # of which pairs were drawn
    pairs: int
    same_shape: IndexAlignment
    across_widths: IndexAlignment
    weight_correlation: Estimate  # of weights at equal places
    weight_correlation_matched: Estimate  # after matching by weights
    line: Interpolation
    line_matched: Interpolation  # after matching by weights
    smoothness: tuple[Smoothness, ...]
    ranks: tuple[LayerRank, ...] = ()  # of the networks in the pairs; a report of schema 1 has none


class Alignment(NamedTuple):
    """Everything that ``nnit align-report`` says.

    Intervals are 95 %, Student's, over shapes, or over pairs where two networks differ in width.
    """

    zoos: tuple[ZooAlignment, ...]
    states: int  # in the bank
    alphas: tuple[float, ...]  # where on the line the losses were measured
