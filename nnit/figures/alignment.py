"""Figures of alignment: weight images side by side, and autocorrelation by distance."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nnit.figures.canvas import new_figure, png_bytes
from nnit.figures.palette import styles_of

COLOUR_PERCENTILE = 99.0
INCHES = 2.6  # side of a weight image


class WeightImages(NamedTuple):
    """The same layer of several networks of one zoo."""

    label: str
    fields: Sequence[np.ndarray]  # (fan_out, fan_in) each, divided by sqrt(2 / fan_in)
    notes: Sequence[str] = ()  # below each


class LagCurve(NamedTuple):
    """Autocorrelation by distance, and that of the shuffled control."""

    label: str
    lags: Sequence[int]
    autocorrelation: Sequence[float]
    shuffled: Sequence[float]


def weights_figure(zoos: Sequence[WeightImages]) -> bytes:
    """Draw a column of weight images for each zoo, all in one colour scale."""
    rows = max(len(zoo.fields) for zoo in zoos)
    largest = np.concatenate([np.abs(f).reshape(-1) for zoo in zoos for f in zoo.fields])
    bound = float(np.percentile(largest, COLOUR_PERCENTILE)) or 1.0
    tallest = max(len(field) / field.shape[1] for zoo in zoos for field in zoo.fields)
    figure = new_figure(INCHES * len(zoos) + 0.8, (INCHES * tallest + 0.4) * rows + 0.2)
    axes = figure.subplots(rows, len(zoos), squeeze=False)
    image = None
    for column, zoo in enumerate(zoos):
        for row, field in enumerate(zoo.fields):
            axis = axes[row, column]
            image = axis.imshow(
                field, cmap="RdBu_r", vmin=-bound, vmax=bound, interpolation="nearest"
            )
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_title(f"{zoo.label}, network {row + 1}", fontsize=9)
            if zoo.notes:
                axis.set_xlabel(zoo.notes[row], fontsize=8)
    assert image is not None, "there is a zoo with a field"
    bar = figure.colorbar(image, ax=axes, shrink=0.6)
    bar.set_label("weight / sqrt(2 / fan-in)", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    return png_bytes(figure)


def smoothness_figure(curves: Mapping[str, Sequence[LagCurve]]) -> bytes:
    """Draw autocorrelation by lag, a panel for each direction and a line for each zoo.

    Args:
        curves: Title of the panel -> a curve for each zoo.
    """
    figure = new_figure(3.6 * len(curves), 2.8)
    axes = figure.subplots(1, len(curves), squeeze=False, sharey=True)[0]
    for axis, (title, zoos) in zip(axes, curves.items(), strict=True):
        styles = styles_of(curve.label for curve in zoos)
        for curve in zoos:
            colour, marker = styles[curve.label].colour, styles[curve.label].marker
            axis.plot(
                curve.lags, curve.autocorrelation, f"{marker}-", color=colour, label=curve.label
            )
            axis.plot(curve.lags, curve.shuffled, "x:", color=colour, label="_control")
        axis.axhline(0, color="black", linewidth=0.5)
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("distance between units", fontsize=8)
        axis.tick_params(labelsize=8)
    axes[0].set_ylabel("autocorrelation (dotted: shuffled)", fontsize=8)
    axes[0].legend(fontsize=8)
    return png_bytes(figure)
