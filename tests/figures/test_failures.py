"""The axis of success that shows failures."""

import pytest

from nnit.figures import charts
from nnit.figures.by_architecture import ArchitectureSuccess, draw_by_architecture
from nnit.figures.failures import FLOOR, TICKS, place
from nnit.figures.palette import styles_of
from nnit.figures.success import Point, draw_success


def test_equal_ratios_of_failures_are_equally_far_apart():
    """From 0 to 0.9 as from 0.9 to 0.99; what hardly fails stands at the end."""
    assert place(0.0) == 0
    assert place(0.9) - place(0.0) == pytest.approx(place(0.99) - place(0.9))
    assert place(1.0) == place(0.9999) == 3
    assert sorted(map(place, TICKS)) == list(map(place, TICKS))


def test_every_figure_has_the_same_range_and_styles():
    """However far apart the successes are, and in whatever order the methods come."""
    methods = {"zoo": 0.2, "mine": 0.999, "sample": 0.9}
    by_size = [
        draw_success(
            {"task": {name: [Point(8, s, s, s)] for name, s in some.items()}}, "x", octaves=True
        )
        for some in (methods, {"sample": 0.5})
    ]
    by_shape = draw_by_architecture(
        {name: [ArchitectureSuccess("8", s, s, s)] for name, s in methods.items()}, "x"
    )
    limits = {figure.axes[0].get_ylim() for figure in by_size} | {by_shape.axes[0].get_xlim()}
    assert len(limits) == 1
    for figure in (*by_size, by_shape):
        for drawn in figure.axes[0].containers:
            line, style = drawn.lines[0], styles_of(methods)[drawn.get_label()]
            assert (line.get_color(), line.get_marker()) == (style.colour, style.marker)


def test_charts_of_the_report_have_the_same_range_and_styles():
    """Colour, marker and axis of each method, as in pictures."""
    methods = {"zoo": 0.2, "mine": 0.999, "sample": 0.9}
    reached = [charts.Reached(name, "", "8", 1, 8, 9, 1, s, s, s) for name, s in methods.items()]
    candidates = [charts.Candidate("8", 9, s, s, s, on_front=True) for s in methods.values()]
    by_shape, by_size = charts.success_by_architecture(reached), charts.frontier(candidates, 0.9)
    drawn = by_shape["layer"][-1]["encoding"]
    for channel, part in (("color", "colour"), ("shape", "shape")):
        scale = drawn[channel]["scale"]
        styles = {name: getattr(style, part) for name, style in styles_of(methods).items()}
        assert dict(zip(scale["domain"], scale["range"], strict=True)) == styles
    coloured = charts.success_map(reached, None)["layer"][-1]["encoding"]["color"]
    for axis in (drawn["x"], by_size["layer"][-1]["encoding"]["y"], coloured):
        assert (axis["field"], axis["scale"]["type"]) == ("failures", "log")
        assert axis["scale"]["domain"] == [FLOOR, 1]
