"""Success of each architecture, a row each, with a point and an interval for each method."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from nnit.figures.canvas import new_figure, plain
from nnit.figures.success import COLOURS

WIDTH, ROW_HEIGHT, MARGIN = 8.4, 0.36, 1.6  # inches
SPREAD = 0.66  # share of a row over which its methods lie


class ArchitectureSuccess(NamedTuple):
    """What one method reached on one architecture."""

    row: str  # the architecture, as it is to be shown
    success: float
    low: float  # of its 95 % interval
    high: float


def draw_by_architecture(
    methods: Mapping[str, Sequence[ArchitectureSuccess]], axis_label: str
) -> Figure:
    """Draw every architecture as a row, in the order of their first appearance.

    Args:
        methods: Method -> what it reached; not every method needs every architecture.
        axis_label: What the shares are, for instance with the number of episodes.
    """
    rows = list(dict.fromkeys(one.row for found in methods.values() for one in found))
    figure = new_figure(WIDTH, ROW_HEIGHT * max(1, len(rows)) + MARGIN)
    axis = figure.subplots()
    step = SPREAD / max(1, len(methods))
    for k, (method, found) in enumerate(methods.items()):
        offset = step * (k - (len(methods) - 1) / 2)
        axis.errorbar(
            [one.success for one in found],
            [rows.index(one.row) + offset for one in found],
            xerr=[
                [max(0.0, one.success - one.low) for one in found],
                [max(0.0, one.high - one.success) for one in found],
            ],
            fmt="o",
            markersize=4,
            capsize=2,
            linewidth=1,
            color=COLOURS[k % len(COLOURS)],
            label=plain(method),
        )
    axis.set_yticks(range(len(rows)), list(map(plain, rows)), fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel(axis_label)
    axis.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure
