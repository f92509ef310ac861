"""The audit as data: what it measures of each sample, each shape, and each kind of shape."""

from typing import NamedTuple

from nnit.intervals import Estimate
from nnit.mlp import Architecture

TRAINED = "train"  # the kind of a shape that a training network may have
EVERY = "all"  # the group of all kinds together


class SampleAudit(NamedTuple):
    """One generated network. None: not measured, or nothing there to compare with."""

    sample_index: int  # among the samples
    hidden_dims: Architecture
    kind: str  # held-out kind, or "train"
    loss: float  # cloning loss
    success: float | None  # success_once
    weight_distance: float | None  # relative, to the nearest network of the zoo of this shape
    weight_ratio: float | None  # of it, to the median of the zoo's own nearest distances
    action_distance: float | None  # root mean square, on the bank of states
    action_ratio: float | None
    identical: bool  # to a network of the zoo, bit by bit
    performs: bool | None  # no worse than the zoo's worst, and success_once where measured
    alarms: tuple[str, ...]  # signs of collapse


class Spread(NamedTuple):
    """The mean distance over pairs of samples of one shape, against the zoo's branches."""

    samples: float  # between samples
    zoo: float  # between zoo networks of different branches
    ratio: float | None  # None where the zoo's are equal


class ShapeAudit(NamedTuple):
    """The samples of one shape together."""

    hidden_dims: Architecture
    kind: str
    samples: int
    zoo_networks: int  # of this shape
    weight_median: float | None  # of the zoo's nearest distances within this shape
    action_median: float | None
    weight_spread: Spread | None  # None of a single sample, or of a zoo without repeated shapes
    action_spread: Spread | None
    own_reference: bool  # the spread is held against this shape's branches, not the mean of others
    failure_iou: float | None
    loss_mean: float
    loss_best: float
    loss_ensemble: float | None  # of the mean output of all samples; None of a single sample
    zoo_loss_mean: float | None
    zoo_loss_worst: float | None
    ghn_loss: float | None  # of the hypernetwork, asked again; grown too, the lower of the two


class GroupAudit(NamedTuple):
    """Means over the shapes of one kind, or of all, with 95 % intervals over shapes."""

    group: str  # held-out kind, "train" or "all"
    shapes: int
    samples: int
    alarmed: int  # samples with an alarm
    novel_weights: Estimate | None  # share of samples with a ratio above NOVEL
    far_weights: Estimate | None  # the same above FAR
    novel_actions: Estimate | None
    far_actions: Estimate | None
    novel_and_performs: Estimate | None  # share novel by weights that also performs
    weight_ratio: Estimate | None
    action_ratio: Estimate | None
    weight_spread_ratio: Estimate | None
    action_spread_ratio: Estimate | None
    failure_iou: Estimate | None
    loss: Estimate  # of the samples
    ensemble_below_mean: Estimate | None  # share of shapes whose ensemble beats the mean of losses
    ensemble_below_best: Estimate | None  # the same against the best single sample
    ghn_loss: Estimate | None
    below_ghn: Estimate | None  # share of shapes whose samples' mean loss is below the GHN's


class SizeRange(NamedTuple):
    """The sizes that a role's weights have in the zoo."""

    role: str
    low: float
    high: float


class Audit(NamedTuple):
    """Everything that ``nnit audit`` says."""

    samples: tuple[SampleAudit, ...]
    shapes: tuple[ShapeAudit, ...]
    groups: tuple[GroupAudit, ...]
    size_ranges: tuple[SizeRange, ...]
    states: int  # in the bank
    constant_loss: float  # of the best constant action
    constant_success: float | None  # where the rollouts have a source "constant"
