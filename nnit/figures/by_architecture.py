"""Success of each architecture, a row each, with a point and an interval for each method."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from nnit.figures.canvas import new_figure, plain
from nnit.figures.failures import place, show_failures
from nnit.figures.palette import styles_of

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
    step, styles = SPREAD / max(1, len(methods)), styles_of(methods)
    for k, (method, found) in enumerate(methods.items()):
        offset = step * (k - (len(methods) - 1) / 2)
        places = [[place(value) for value in one[1:]] for one in found]
        axis.errorbar(
            [success for success, _, _ in places],
            [rows.index(one.row) + offset for one in found],
            xerr=[
                [max(0.0, success - low) for success, low, _ in places],
                [max(0.0, high - success) for success, _, high in places],
            ],
            fmt=styles[method].marker,
            markersize=4,
            capsize=2,
            linewidth=1,
            color=styles[method].colour,
            label=plain(method),
        )
    axis.set_yticks(range(len(rows)), list(map(plain, rows)), fontsize=8)
    axis.invert_yaxis()
    show_failures(axis, axis_label, across=True)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure
