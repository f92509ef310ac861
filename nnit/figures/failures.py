"""The axis of success that shows failures: the logarithm of 1 - success, the same in every figure.

On it 0.99 is as far from 0.9 as 0.9 is from 0, where a plain axis has both at its end. A share of
failures below ``FLOOR``, none at all too, is drawn at the end, which reads 1.
"""

import math

from matplotlib.axes import Axes

FLOOR = 0.001
TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 1.0)  # success
MARGIN = 0.08  # beyond both ends, in powers of ten


def failures(success: float) -> float:
    """Return the share of failures as it is drawn: within ``FLOOR`` to 1."""
    return min(1.0, max(FLOOR, 1.0 - success))


def place(success: float) -> float:
    """Return where a success stands on the axis: 0 where all fails, 1 for each power of ten."""
    return -math.log10(failures(success))


def show_failures(axis: Axes, label: str, *, across: bool = False) -> None:
    """Make the y axis, or the x axis, that of ``place``."""
    limits = (place(0.0) - MARGIN, place(1.0) + MARGIN)
    places, labels = [place(tick) for tick in TICKS], [f"{tick:g}" for tick in TICKS]
    if across:
        axis.set(xlim=limits, xlabel=label)
        axis.set_xticks(places, labels)
    else:
        axis.set(ylim=limits, ylabel=label)
        axis.set_yticks(places, labels)
    axis.grid(axis="x" if across else "y", alpha=0.3)
