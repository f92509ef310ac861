"""Charts of the report as Vega-Lite specifications: JSON that a browser draws.

Lines and words are in the colour of the text around (``currentColor``), so that a chart follows the
page into dark mode. Text from artifacts is data, never part of an expression.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from nnit.figures.failures import FLOOR, TICKS, failures
from nnit.figures.palette import BLUE, COLOURS, GREEN, GREY, ORANGE, styles_of

Spec = dict[str, Any]
INK = "currentColor"
ROW_HEIGHT = 26  # pixels
CLOSE = 1.13  # points of one depth whose widths differ by less are moved apart
APART = (0.0, 0.24, -0.24)  # layers
SERIES_COLOURS, SERIES_DASHES = (*COLOURS, GREY), ([1, 0], [6, 2], [2, 2], [6, 2, 2, 2])


class Reached(NamedTuple):
    """What the networks of one method and shape reached."""

    method: str
    kind: str  # how the shape is held out, if it is
    architecture: str
    depth: int
    widest: int
    parameters: int
    networks: int
    success: float
    low: float  # of its 95 % interval
    high: float


class TrainedShapes(NamedTuple):
    """The range of shapes in training."""

    widths: tuple[int, int]
    depths: tuple[int, int]


class Candidate(NamedTuple):
    """A candidate of a frontier."""

    architecture: str
    parameters: int
    success: float
    low: float
    high: float
    on_front: bool


class SizedLoss(NamedTuple):
    """The loss of a network and its size."""

    architecture: str
    parameters: int
    loss: float


def success_map(reached: Sequence[Reached], trained: TrainedShapes | None) -> Spec:
    """Return success as colour over the widest layer and the number of layers.

    Of several methods one is shown, which a reader chooses.
    """
    methods = list(dict.fromkeys(one.method for one in reached))
    values = [
        {**_shown(one), "place": one.depth + offset}
        for method in methods
        for one, offset in _moved_apart([one for one in reached if one.method == method])
    ]
    widths = {
        "field": "widest",
        "type": "quantitative",
        "title": "units of the widest layer",
    }
    depths = {"field": "place", "type": "quantitative", "title": "hidden layers"}
    edges = trained or TrainedShapes((1, 1), (1, 1))
    shapes = [(one.widest, one.depth) for one in reached] or [(1, 1)]
    smallest = min(edges.widths[0] if trained else shapes[0][0], *(w for w, _ in shapes))
    largest = max(edges.widths[1], *(w for w, _ in shapes), smallest + 1)
    deepest = max(edges.depths[1], *(d for _, d in shapes))
    x = {
        "scale": {"type": "log", "base": 2, "domain": [smallest / 1.1, largest * 1.1]},
        "axis": {"values": _powers_of_two(smallest, largest), "format": "d"},
    }
    y = {
        "scale": {"domain": [0.4, deepest + 0.6], "nice": False, "zero": False},
        "axis": {"values": list(range(1, deepest + 1, -(-deepest // 12))), "format": "d"},
    }
    colour = {
        "field": "failures",
        "type": "quantitative",
        "title": "success",
        "scale": {"type": "log", "domain": [FLOOR, 1], "scheme": "blueorange"},
        "legend": {
            **_failure_labels(every_other=True),
            "orient": "bottom",
            "direction": "horizontal",
            "gradientLength": 220,
        },
    }
    points = {
        "mark": {"type": "circle", "size": 150, "opacity": 1, "stroke": INK},
        "params": [{"name": "under", "select": {"type": "point", "on": "pointerover"}}],
        "encoding": {
            "x": {**widths, **x},
            "y": {**depths, **y},
            "color": colour,
            "strokeWidth": {
                "condition": {"param": "under", "empty": False, "value": 3},
                "value": 0.8,
            },
            "tooltip": _tooltip(),
        },
    }
    layers: list[Spec] = [points]
    if trained:
        layers.insert(0, _trained_area(trained, widths, depths))
    spec = _chart(values, layers, height=90 + 44 * min(deepest, 20))
    if len(methods) > 1:
        spec["params"] = [
            {
                "name": "method",
                "value": methods[0],
                "bind": {"input": "select", "options": methods, "name": "Networks: "},
            }
        ]
        points["transform"] = [{"filter": "datum.method === method"}]
    return spec


def success_by_architecture(reached: Sequence[Reached]) -> Spec:
    """Return a row for each shape, below a line for each kind, with 95 % intervals."""
    rows: list[str] = []
    place: dict[tuple[str, str], int] = {}
    for kind in dict.fromkeys(one.kind for one in reached):
        rows.append(f"{kind or 'unknown'}:")
        for one in reached:
            if one.kind == kind and (kind, one.architecture) not in place:
                place[kind, one.architecture] = len(rows)
                rows.append(one.architecture)
    methods = list(dict.fromkeys(one.method for one in reached))
    values = [{**_shown(one), "row": place[one.kind, one.architecture]} for one in reached]
    across = {"scale": _FAILURE_SCALE, "axis": {**_failure_labels(), "title": "success_once"}}
    y = {
        "field": "row",
        "type": "ordinal",
        "title": None,
        "scale": {"domain": list(range(len(rows)))},
        # Names are looked up: text within an expression could be part of it.
        "axis": {"labelExpr": "rows[datum.value]", "labelLimit": 150, "ticks": False},
    }
    shared = {"y": y, "yOffset": {"field": "method", "scale": {"domain": methods}}}
    intervals = {
        "mark": {"type": "rule", "opacity": 0.7},
        "encoding": {
            **shared,
            "x": {"field": "failures", "type": "quantitative", **across},
            "x2": {"field": "high_failures"},
            "color": _method_colour(methods),
        },
    }
    low, high = ({**intervals["encoding"], "x2": {"field": f"{end}_failures"}} for end in _ENDS)
    points = {
        "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
        "params": [{"name": "under", "select": {"type": "point", "on": "pointerover"}}],
        "encoding": {
            **shared,
            "x": {"field": "failures", "type": "quantitative", **across},
            "color": _method_colour(methods),
            "shape": _method_shape(methods),
            "size": {"condition": {"param": "under", "empty": False, "value": 160}, "value": 60},
            "tooltip": _tooltip(),
        },
    }
    layers = [{**intervals, "encoding": low}, {**intervals, "encoding": high}, points]
    spec = _chart(values, layers, height=len(rows) * max(ROW_HEIGHT, 9 * len(methods)))
    spec["params"] = [{"name": "rows", "value": rows}]
    return spec


def training_curves(series: Mapping[str, Sequence[tuple[int, float]]]) -> Spec:
    """Return a line for each value of a training, logarithmic where all values allow it.

    Args:
        series: Name of the value -> (step, value), in order.
    """
    values = [
        {"step": step, "value": value, "name": name}
        for name, points in series.items()
        for step, value in points
    ]
    is_positive = all(value["value"] > 0 for value in values)
    scale = _SPREAD if is_positive else {"zero": False}
    names = list(series)
    number = len(names)
    dashes = [list(SERIES_DASHES[k % len(SERIES_DASHES)]) for k in range(number)]
    colours = [SERIES_COLOURS[k % len(SERIES_COLOURS)] for k in range(number)]
    title = names[0] if number == 1 else None
    legend = None if number == 1 else {"orient": "top", "title": None, "columns": 2}
    lines = {
        "mark": {"type": "line", "point": {"opacity": 0, "size": 80}, "strokeWidth": 1.6},
        "encoding": {
            "x": {
                "field": "step",
                "type": "quantitative",
                "title": "step",
                "scale": {"nice": False},
            },
            "y": {"field": "value", "type": "quantitative", "title": title, "scale": scale},
            "color": {
                "field": "name",
                "type": "nominal",
                "scale": {"domain": names, "range": colours},
                "legend": legend,
            },
            "strokeDash": {
                "field": "name",
                "type": "nominal",
                "scale": {"domain": names, "range": dashes},
                "legend": legend,
            },
            "tooltip": [
                {"field": "name", "type": "nominal", "title": "value of"},
                {"field": "step", "type": "quantitative"},
                {"field": "value", "type": "quantitative", "format": ".4g"},
            ],
        },
    }
    return _chart(values, [lines], height=220)


def loss_by_size(networks: Sequence[SizedLoss]) -> Spec:
    """Return the loss of each network against its number of parameters."""
    values = [one._asdict() for one in networks]
    is_positive = all(one.loss > 0 for one in networks)
    points = {
        "mark": {"type": "circle", "size": 40, "opacity": 0.75, "color": GREEN},
        "encoding": {
            "x": _parameters(),
            "y": {
                "field": "loss",
                "type": "quantitative",
                "title": "loss over all demonstrations",
                "scale": _SPREAD if is_positive else {"zero": False},
                "axis": {"tickCount": 5},
            },
            "tooltip": [
                {"field": "architecture", "type": "nominal", "title": "shape"},
                {"field": "parameters", "type": "quantitative", "format": ","},
                {"field": "loss", "type": "quantitative", "format": ".4g"},
            ],
        },
    }
    return _chart(values, [points], height=240)


def frontier(candidates: Sequence[Candidate], min_success: float) -> Spec:
    """Return success against size, those of the front apart from the others."""
    values = [
        {
            **one._asdict(),
            **_as_failures(one.success, one.low, one.high),
            "interval": _interval(one.success, one.low, one.high),
            "place": "on the front" if one.on_front else "other candidates",
        }
        for one in sorted(candidates, key=lambda one: one.parameters)
    ]
    places = ["on the front", "other candidates"]
    y = {
        "field": "failures",
        "type": "quantitative",
        "scale": {**_FAILURE_SCALE, "reverse": False},
        "axis": {**_failure_labels(), "title": "success_once"},
    }
    points = {
        "mark": {"type": "point", "filled": True, "size": 60, "opacity": 0.9},
        "encoding": {
            "x": _parameters(),
            "y": y,
            "color": {
                "field": "place",
                "type": "nominal",
                "scale": {"domain": places, "range": [BLUE, GREY]},
                "legend": {"orient": "top", "title": None},
            },
            "shape": {
                "field": "place",
                "type": "nominal",
                "scale": {"domain": places, "range": ["circle", "cross"]},
                "legend": {"orient": "top", "title": None},
            },
            "tooltip": [
                {"field": "architecture", "type": "nominal", "title": "shape"},
                {"field": "parameters", "type": "quantitative", "format": ","},
                {"field": "interval", "type": "nominal", "title": "success_once"},
            ],
        },
    }
    steps = {
        "transform": [{"filter": "datum.on_front"}],
        "mark": {"type": "line", "interpolate": "step-after", "color": BLUE},
        "encoding": {"x": _parameters(), "y": y},
    }
    wanted = {
        "data": {"values": [{"failures": failures(min_success)}]},
        "mark": {"type": "rule", "strokeDash": [2, 3], "color": ORANGE},
        "encoding": {"y": y},
    }
    return _chart(values, [wanted, steps, points], height=320)


_ENDS = ("low", "high")
_SPREAD: Spec = {"type": "log", "nice": False, "padding": 8}
_FAILURE_SCALE = {"type": "log", "domain": [FLOOR, 1], "reverse": True, "nice": False}
_CONFIG: Spec = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "tickColor": INK,
        "domainColor": INK,
        "gridColor": INK,
        "gridOpacity": 0.14,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
    "legend": {
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "symbolLimit": 40,
        "labelLimit": 220,
    },
}


def _chart(values: Sequence[Mapping[str, Any]], layers: Sequence[Spec], height: int) -> Spec:
    """Return a chart as wide as its place on the page."""
    return {
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": list(values)},
        "layer": list(layers),
        "config": _CONFIG,
    }


def _shown(one: Reached) -> dict[str, Any]:
    return {
        "method": one.method,
        "kind": one.kind,
        "architecture": one.architecture,
        "widest": one.widest,
        "parameters": one.parameters,
        "networks": one.networks,
        "interval": _interval(one.success, one.low, one.high),
        **_as_failures(one.success, one.low, one.high),
    }


def _as_failures(success: float, low: float, high: float) -> dict[str, float]:
    return {
        "failures": failures(success),
        "low_failures": failures(low),
        "high_failures": failures(high),
    }


def _interval(success: float, low: float, high: float) -> str:
    return f"{success:.3f} [{low:.3f}, {high:.3f}]"


def _tooltip() -> list[Spec]:
    words = {
        "architecture": "shape",
        "kind": "held out as",
        "method": "networks",
        "interval": "success_once",
    }
    texts = [{"field": k, "type": "nominal", "title": title} for k, title in words.items()]
    number = {"field": "parameters", "type": "quantitative", "format": ","}
    return [*texts, number]


def _failure_labels(*, every_other: bool = False) -> Spec:
    ticks = TICKS[:: 2 if every_other else 1]
    labels = {f"{failures(tick):.3f}": f"{tick:g}" for tick in ticks}
    return {
        "values": [failures(tick) for tick in ticks],
        "labelExpr": f"({json.dumps(labels)})[format(datum.value, '.3f')]",
    }


def _method_colour(methods: Sequence[str]) -> Spec:
    colours = [style.colour for style in styles_of(methods).values()]
    return {**_by_method(methods), "scale": {"domain": list(methods), "range": colours}}


def _method_shape(methods: Sequence[str]) -> Spec:
    shapes = [style.shape for style in styles_of(methods).values()]
    return {**_by_method(methods), "scale": {"domain": list(methods), "range": shapes}}


def _by_method(methods: Sequence[str]) -> Spec:
    legend = {"orient": "top", "title": None, "columns": 3 if len(methods) > 2 else 2}
    return {"field": "method", "type": "nominal", "legend": legend}


def _parameters() -> Spec:
    axis = {"format": "~s", "tickCount": 5}
    return {"field": "parameters", "type": "quantitative", "scale": _SPREAD, "axis": axis}


def _moved_apart(reached: Iterable[Reached]) -> list[tuple[Reached, float]]:
    """Return each with how far it is moved up or down, where it would lie on another."""
    moved, last, turn = [], (0, 0), 0
    for one in sorted(reached, key=lambda one: (one.depth, one.widest)):
        is_close = one.depth == last[0] and one.widest < last[1] * CLOSE
        turn = turn + 1 if is_close else 0
        moved.append((one, APART[turn % len(APART)]))
        last = (one.depth, one.widest)
    return moved


def _powers_of_two(smallest: float, largest: float) -> list[int]:
    powers = [2**k for k in range(32) if smallest / 1.1 <= 2**k <= largest * 1.1]
    return powers[:: -(-len(powers) // 8)] if powers else []


def _trained_area(trained: TrainedShapes, widths: Spec, depths: Spec) -> Spec:
    corners = {
        "widest": trained.widths[0],
        "to_width": trained.widths[1],
        "place": trained.depths[0] - 0.4,
        "to_depth": trained.depths[1] + 0.4,
    }
    area = {"x": widths, "x2": {"field": "to_width"}, "y": depths, "y2": {"field": "to_depth"}}
    return {
        "data": {"values": [corners]},
        "mark": {"type": "rect", "color": INK, "opacity": 0.08, "tooltip": None},
        "encoding": area,
    }
