"""Losses over the steps of a training."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from nnit.figures.canvas import new_figure, plain

WIDTH, HEIGHT = 7.2, 3.2  # inches


def draw_curves(curves: Mapping[str, Sequence[tuple[int, float]]], label: str) -> Figure:
    """Draw a line for each training, on a logarithmic scale where all its values allow it.

    Args:
        curves: Name of the training -> (step, value), in order.
        label: What the values are.
    """
    figure = new_figure(WIDTH, HEIGHT)
    axis = figure.subplots()
    for name, points in curves.items():
        axis.plot([step for step, _ in points], [value for _, value in points], label=plain(name))
    if all(value > 0 for points in curves.values() for _, value in points):
        axis.set_yscale("log")
    axis.set_xlabel("step")
    axis.set_ylabel(plain(label))
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
    return figure


def draw_sizes(sizes: Sequence[int], values: Sequence[float], label: str) -> Figure:
    """Draw one value of each network against its number of parameters.

    Args:
        sizes: Parameters of each network.
        values: The value of each network.
        label: What the values are.
    """
    figure = new_figure(WIDTH, HEIGHT)
    axis = figure.subplots()
    axis.scatter(sizes, values, s=8, alpha=0.5, linewidths=0)
    axis.set_xscale("log")
    if values and min(values) > 0:
        axis.set_yscale("log")
    axis.set_xlabel("parameters")
    axis.set_ylabel(label)
    axis.grid(alpha=0.3)
    return figure
