"""Success against the size of a network, for several methods side by side."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from nnit.figures.canvas import new_figure
from nnit.figures.failures import place, show_failures
from nnit.figures.palette import styles_of

PANEL_WIDTH, PANEL_HEIGHT = 5.0, 3.6  # inches
ENTRIES_PER_PANEL = 2  # of the legend, side by side
LEGEND_ROW_HEIGHT = 0.2  # inches
SPREAD = 0.03  # methods stand side by side around a size: that much of it, in octaves or layers


class Point(NamedTuple):
    """The success of all networks of one size."""

    size: float  # hidden units of the widest layer, or hidden layers
    success: float
    low: float  # of its 95 % interval
    high: float


def draw_success(
    panels: Mapping[str, Mapping[str, Sequence[Point]]],
    size_label: str,
    *,
    octaves: bool,
    trained: tuple[float, float] | None = None,
) -> Figure:
    """Draw a panel for each task, points with 95 % intervals for each method.

    No line joins them: neighbouring sizes are networks of quite different shapes.

    Args:
        panels: Task -> method -> points, in any order.
        size_label: What the sizes are.
        octaves: Draw them on a logarithmic axis.
        trained: The smallest and the largest size in training, drawn as a shade.
    """
    methods = list(dict.fromkeys(method for lines in panels.values() for method in lines))
    styles = styles_of(methods)
    columns = max(1, min(len(methods), ENTRIES_PER_PANEL * len(panels)))
    legend_height = LEGEND_ROW_HEIGHT * -(-len(methods) // columns)
    figure = new_figure(PANEL_WIDTH * max(1, len(panels)), PANEL_HEIGHT + legend_height)
    axes = figure.subplots(1, max(1, len(panels)), squeeze=False, sharey=True)[0]
    for ax, (task, lines) in zip(axes, panels.items(), strict=False):
        if trained:
            ax.axvspan(*trained, color="0.93", zorder=0)
        for k, method in enumerate(methods):
            points = sorted(lines.get(method, ()))
            if not points:
                continue
            offset = SPREAD * (k - (len(methods) - 1) / 2)
            sizes = np.array([point.size for point in points])
            sizes = sizes * 2**offset if octaves else sizes + offset
            ends = [[place(value) for value in point[1:]] for point in points]
            success, low, high = np.array(ends).T
            ax.errorbar(
                sizes,
                success,
                yerr=np.maximum([success - low, high - success], 0),
                fmt=styles[method].marker,
                color=styles[method].colour,
                markersize=4,
                elinewidth=0.8,
                label=method,
            )
        if octaves:
            ax.set_xscale("log", base=2)
        ax.set(title=task, xlabel=size_label)
        show_failures(ax, "")
    axes[0].set_ylabel("success_once")
    handles, labels = _legend(axes)
    if handles:
        figure.legend(
            handles, labels, loc="outside lower center", ncols=columns, fontsize="x-small"
        )
    return figure


def _legend(axes: Sequence) -> tuple[list, list[str]]:
    """Return one entry for each method, whichever panels it is in."""
    entries: dict[str, object] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    return list(entries.values()), list(entries)
