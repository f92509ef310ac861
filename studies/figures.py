"""The pictures of the results page."""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from nnit.figures.canvas import new_figure, png_bytes
from nnit.figures.palette import BLUE, GREY, ORANGE, styles_of
from studies.compare import OURS, Row

COLOURS = {"better": BLUE, "alike": GREY, "open": "#bbbbbb", "worse": ORANGE}
LINES = ("-", "--", ":", "-.")  # of tasks in one figure


def draw_differences(tasks: Mapping[str, Mapping[str, Row]], path: Path) -> None:
    """Draw by how much generated networks are ahead of every method, on each task."""
    figure = new_figure(3.6 * len(tasks), 4.6)
    axes = figure.subplots(1, len(tasks), sharey=True, squeeze=False)
    others = [name for name in dict.fromkeys(chain(*tasks.values())) if name != OURS]
    styles, places = styles_of(others), {name: -k for k, name in enumerate(others)}
    for axis, (task, rows) in zip(axes[0], tasks.items(), strict=True):
        axis.axvline(0, color="#cccccc", linewidth=1)
        for row in (rows[name] for name in others if name in rows):
            place, (low, high) = places[row.method], row.ahead.interval
            colour = COLOURS[row.ahead.verdict]
            axis.plot([low, high], [place, place], color=colour, linewidth=2)
            axis.plot(row.ahead.mean, place, styles[row.method].marker, color=colour, markersize=5)
        axis.set_yticks(list(places.values()), others)
        axis.set_title(task, fontsize=10)
        axis.set_xscale("symlog", linthresh=0.1)
        axis.set_xlabel("success ahead of the method", fontsize=8)
    save(figure, path)


def draw_break_even(tasks: Mapping[str, Mapping[str, Mapping[int, float]]], path: Path) -> None:
    """Draw the processor time of a number of networks, all that they need included."""
    figure = new_figure(5.2, 3.6)
    axis = figure.subplots()
    styles = styles_of(method for methods in tasks.values() for method in methods)
    for place, (task, methods) in enumerate(tasks.items()):
        for method, seconds in methods.items():
            axis.plot(
                list(seconds),
                [value / 3600 for value in seconds.values()],
                color=styles[method].colour,
                marker=styles[method].marker,
                linestyle=LINES[place % len(LINES)],
                label=f"{method}, {task}",
            )
    axis.set(xscale="log", yscale="log", xlabel="networks", ylabel="processor hours")
    axis.legend(frameon=False, fontsize=8)
    save(figure, path)


def draw_alarms(tasks: Mapping[str, Mapping[str, Mapping[str, Any]]], path: Path) -> None:
    """Draw how well each method's alarm tells failures, with 95 % intervals, on each task."""
    figure = new_figure(4.2 * len(tasks), 3.2)
    axes = figure.subplots(1, len(tasks), squeeze=False)
    for axis, (task, methods) in zip(axes[0], tasks.items(), strict=True):
        axis.axvline(0.5, color="#cccccc", linewidth=1)  # chance
        for shift, mark, condition in zip(
            (0.2, 0.0, -0.2), "os^", next(iter(methods.values())), strict=True
        ):
            for place, found in enumerate(methods.values()):
                said = found[condition]
                if said["auroc"] is not None:
                    axis.plot(said["auroc_95"], [place + shift] * 2, color="#777777", linewidth=2)
                    axis.plot(said["auroc"], place + shift, mark, color="#222222", markersize=5)
            axis.plot([], [], mark, color="#222222", label=condition)
        axis.set_yticks(range(len(methods)), list(methods))
        axis.set_title(task, fontsize=10)
        axis.set(xlim=(0, 1), xlabel="AUROC")
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", fontsize=8, frameon=False, ncols=3)
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a picture."""
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png_bytes(figure))
