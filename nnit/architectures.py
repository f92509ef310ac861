"""Which architectures may be trained on and which are held out, as rules that code checks.

The kinds of held-out architecture:

- ``unseen_combo``: every width occurs in training, this tuple of widths never does.
- ``unseen_width``: at least one width occurs in no training network at any layer.
- ``wider``: a width beyond the largest trained one, up to ``WIDEST`` times it.
- ``deeper``: more hidden layers than any trained network.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nnit.errors import LeakError
from nnit.mlp import Architecture, format_architecture

HELD_OUT_KINDS = ("unseen_combo", "unseen_width", "wider", "deeper")
WIDEST = 2  # a "wider" architecture's largest width, in multiples of the largest trained one
SHOWN_OFFENDERS = 3
UNIFORM_SHARE = 0.2  # of trained networks, whose hidden layers all have the same width


@dataclass(frozen=True)
class TrainingRange:
    """What a training network may look like; all bounds are inclusive."""

    widths_min: int
    widths_max: int
    width_step: int  # trained widths are widths_min, widths_min + width_step, ...
    depth_min: int  # hidden layers
    depth_max: int
    held_out_widths: tuple[int, ...]  # in no training network at any layer
    held_out: tuple[Architecture, ...]  # listed tuples, of every kind

    def trainable_widths(self) -> tuple[int, ...]:
        """Return every width that a training network may have, in ascending order."""
        widths = range(self.widths_min, self.widths_max + 1, self.width_step)
        return tuple(width for width in widths if width not in self.held_out_widths)

    def is_trainable(self, hidden_dims: Architecture) -> bool:
        """Whether a training network may have this architecture."""
        return (
            self.depth_min <= len(hidden_dims) <= self.depth_max
            and set(hidden_dims) <= set(self.trainable_widths())
            and tuple(hidden_dims) not in self.held_out
        )


def held_out_kind(hidden_dims: Architecture, training: TrainingRange) -> str | None:
    """Return how an architecture differs from all training networks, or None where it doesn't.

    The first rule that holds decides: ``deeper``, ``wider``, ``unseen_width``, and
    ``unseen_combo`` for the listed ones. It is a fact about the range alone: whether a network
    of a trainable architecture was really trained is for the zoo to say.
    """
    if len(hidden_dims) > training.depth_max:
        return "deeper"
    if max(hidden_dims) > training.widths_max:
        return "wider"
    if not set(hidden_dims) <= set(training.trainable_widths()):
        return "unseen_width"
    return "unseen_combo" if tuple(hidden_dims) in training.held_out else None


def rule_fault(hidden_dims: Architecture, kind: str, training: TrainingRange) -> str | None:
    """Say why an architecture doesn't belong to the held-out kind it is listed under, or None."""
    text = format_architecture(hidden_dims)
    if len(hidden_dims) < training.depth_min:
        return f"{text} has fewer hidden layers than the {training.depth_min} of depth_min"
    found = held_out_kind(hidden_dims, training)
    if found != kind:
        return f"{text} is not {kind}: by the rules it is {found or 'trainable'}"
    if kind == "wider" and max(hidden_dims) > WIDEST * training.widths_max:
        return f"{text} is wider than {WIDEST} x {training.widths_max}, the largest trained width"
    return None


def sample_architecture(generator: np.random.Generator, training: TrainingRange) -> Architecture:
    """Draw an architecture to train on; never a held-out one.

    Depth is uniform, and each width is drawn with a chance inversely proportional to it (about
    as many networks from 16 to 32 as from 128 to 256): without the first, one-layer networks
    are rare and come out worse; without the second, most networks are wide. Some networks have one
    width throughout, with a chance proportional to its square: otherwise the last units of two
    layers next to each other would hardly ever be trained together.
    """
    widths = np.array(training.trainable_widths())
    narrow, wide = ((widths**power) / (widths**power).sum() for power in (-1.0, 2.0))
    depth = int(generator.integers(training.depth_min, training.depth_max, endpoint=True))
    while True:
        if generator.random() < UNIFORM_SHARE:
            hidden_dims = (int(generator.choice(widths, p=wide)),) * depth
        else:
            hidden_dims = tuple(generator.choice(widths, size=depth, p=narrow).tolist())
        if training.is_trainable(hidden_dims):
            return hidden_dims


def refuse_held_out(
    architectures: Iterable[Architecture], training: TrainingRange, where: str
) -> None:
    """Make sure that every architecture may be trained on.

    Args:
        architectures: What is about to enter training, or a fitted statistic.
        training: The range that it must lie in.
        where: What they are, for the message: "zoo", say.

    Raises:
        LeakError: one of them is held out or outside the range.
    """
    offenders = sorted({dims for dims in architectures if not training.is_trainable(dims)})
    if not offenders:
        return
    named = "; ".join(
        f"{format_architecture(dims)} ({held_out_kind(dims, training) or 'too shallow'})"
        for dims in offenders[:SHOWN_OFFENDERS]
    )
    more = f" and {len(offenders) - SHOWN_OFFENDERS} more" * (len(offenders) > SHOWN_OFFENDERS)
    raise LeakError(f"{where}: held-out architectures must not be trained on: {named}{more}")
