"""The front of size and success: every candidate, and the step line of the best of each size."""

from collections.abc import Sequence
from typing import NamedTuple

from nnit.figures.canvas import new_figure, png_bytes
from nnit.figures.failures import place, show_failures
from nnit.figures.palette import GREY, METHODS

CANDIDATE_COLOUR, FRONT_COLOUR = GREY, METHODS["generated"].colour


class FrontierPoint(NamedTuple):
    """One candidate as it is drawn."""

    label: str
    parameters: int
    success: float
    low: float  # of its interval
    high: float
    on_front: bool


def draw_frontier(points: Sequence[FrontierPoint], min_success: float) -> bytes:
    """Draw success against the logarithm of the number of parameters, as a PNG.

    Args:
        points: The candidates; at least one.
        min_success: Drawn as a line: what is wanted.
    """
    figure = new_figure(9.0, 5.2)
    axis = figure.subplots()
    others = [point for point in points if not point.on_front]
    front = sorted(point for point in points if point.on_front)
    front.sort(key=lambda point: point.parameters)
    for chosen, colour, alpha, label in (
        (others, CANDIDATE_COLOUR, 0.45, "candidates"),
        (front, FRONT_COLOUR, 1.0, "front"),
    ):
        if chosen:
            axis.errorbar(
                [point.parameters for point in chosen],
                [place(point.success) for point in chosen],
                yerr=[
                    [max(0.0, place(one.success) - place(one.low)) for one in chosen],
                    [max(0.0, place(one.high) - place(one.success)) for one in chosen],
                ],
                fmt="o",
                markersize=4,
                linewidth=0.8,
                alpha=alpha,
                color=colour,
                label=label,
            )
    if front:
        last = max(point.parameters for point in points)
        axis.step(
            [*(point.parameters for point in front), last],
            [place(point.success) for point in [*front, front[-1]]],
            where="post",
            color=FRONT_COLOUR,
        )
    for point in front:
        axis.annotate(
            point.label,
            (point.parameters, place(point.success)),
            xytext=(-4, 6),
            textcoords="offset points",
            fontsize=8,
            color=FRONT_COLOUR,
            ha="right",
        )
    axis.axhline(place(min_success), color="black", linewidth=0.8, linestyle=":")
    axis.set_xscale("log")
    axis.set_xlabel("parameters")
    show_failures(axis, "success_once, Wilson interval")
    axis.grid(axis="x", alpha=0.3)
    axis.legend(loc="lower right", frameon=False)
    return png_bytes(figure)
