"""One colour and one marker for each method, the same in every figure.

Nine markers in three colours; of more methods, some need a further marker. Colours are told apart
with protanopia and deuteranopia too, and stand out from a white page and from a dark one; methods
of one colour differ in their marker. Blue is what a generator wrote, orange what was trained or
asked of a hypernetwork, green the rest.
"""

import zlib
from collections.abc import Iterable
from typing import NamedTuple

BLUE, ORANGE, GREEN = "#2d6fe0", "#c9680a", "#3f8f7f"
GREY = "#7f8791"  # of what is no method
COLOURS = (BLUE, ORANGE, GREEN)
STAR = (  # Vega has none of its own, and takes a path
    "M0,-1L0.22,-0.31L0.95,-0.31L0.36,0.12L0.59,0.81L0,0.38L-0.59,0.81L-0.36,0.12L-0.95,-0.31"
    "L-0.22,-0.31Z"
)
MATPLOTLIB_MARKERS = {  # Vega's name of a shape -> matplotlib's
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "cross": "P",
    "triangle-up": "^",
    "triangle-down": "v",
    "triangle-left": "<",
    "triangle-right": ">",
    STAR: "*",
}


class Style(NamedTuple):
    """How a method is drawn."""

    colour: str
    shape: str  # a key of ``MATPLOTLIB_MARKERS``

    @property
    def marker(self) -> str:
        """The shape as matplotlib calls it."""
        return MATPLOTLIB_MARKERS[self.shape]


METHODS: dict[str, Style] = {  # sources of rollouts, and methods of the study
    "generated": Style(BLUE, "circle"),
    "cloned": Style(ORANGE, "circle"),
    "mean": Style(GREEN, "circle"),
    "packaged": Style(BLUE, "square"),
    "asked": Style(ORANGE, "square"),
    "expert": Style(GREEN, "square"),
    "from-weights": Style(BLUE, "diamond"),
    "ghn-grown": Style(ORANGE, "diamond"),
    "zoo": Style(GREEN, "diamond"),
    "untold": Style(BLUE, "cross"),
    "asked-cnn": Style(ORANGE, "cross"),
    "noise": Style(GREEN, "cross"),
    "one-step": Style(BLUE, "triangle-up"),
    "tuned": Style(ORANGE, "triangle-up"),
    "nearest": Style(GREEN, "triangle-up"),
    "regression": Style(BLUE, "triangle-down"),
    "slimmable": Style(ORANGE, "triangle-down"),
    "average": Style(GREEN, "triangle-down"),
    "added": Style(BLUE, "triangle-left"),
    "asked-pointwise": Style(ORANGE, "triangle-left"),
    "constant": Style(GREEN, "triangle-left"),
    "best": Style(BLUE, "triangle-right"),
    "flat": Style(ORANGE, "triangle-right"),
    "unaligned": Style(GREEN, "triangle-right"),
    "shuffled": Style(BLUE, STAR),
    "cloned-short": Style(ORANGE, STAR),
}
SAME_AS = {  # sources of rollouts, and what people call them -> what they are
    "sample": "generated",
    "ghn": "asked",
    "GHN asked again": "asked",
    "GHN asked again, grown": "ghn-grown",
    "cloned directly": "cloned",
    "constant action": "constant",
}
PAIRS = tuple(Style(colour, shape) for shape in MATPLOTLIB_MARKERS for colour in COLOURS)


def styles_of(methods: Iterable[str]) -> dict[str, Style]:
    """Return the style of each method of a figure.

    A method with no style of its own has one that follows from its name, and the next one that is
    free where another method of the figure has that. Of more methods than there are pairs some look
    alike.
    """
    names = list(dict.fromkeys(methods))
    styles = {name: METHODS[SAME_AS.get(name, name)] for name in names if is_known(name)}
    for name in sorted(set(names) - set(styles)):
        start = zlib.crc32(name.encode()) % len(PAIRS)
        in_turn = PAIRS[start:] + PAIRS[:start]
        free = (style for style in in_turn if style not in styles.values())
        styles[name] = next(free, in_turn[0])
    return {name: styles[name] for name in names}


def is_known(method: str) -> bool:
    """Whether a method has a style of its own."""
    return SAME_AS.get(method, method) in METHODS
