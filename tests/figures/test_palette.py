"""Methods are told apart by everybody, and look the same in every figure."""

from itertools import combinations

import numpy as np
import pytest
from ruamel.yaml import YAML

from nnit.figures.palette import COLOURS, METHODS, PAIRS, is_known, styles_of

# Machado, Oliveira and Fernandes 2009, "A physiologically-based model for simulation of color
# vision deficiency", severity 1.0: linear RGB to linear RGB.
SEEN = {
    "by all": np.eye(3),
    "with protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "with deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WHITE = TO_XYZ.sum(axis=1)
LEAST_DELTA_E = 30  # of CIE 1976; 2.3 is what is just noticed
LEAST_CONTRAST = 3  # of WCAG 2.2, 1.4.11
PAGES = ("#ffffff", "#14171c", "#eaebec")  # light, dark, and the shade of what was trained


def linear(colour: str) -> np.ndarray:
    """Return linear RGB of ``#rrggbb``."""
    srgb = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """Return CIELAB of linear RGB."""
    x = TO_XYZ @ np.clip(rgb, 0, 1) / WHITE
    f = np.where(x > 216 / 24389, np.cbrt(x), (24389 / 27 * x + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def delta_e(one: str, other: str, seen: np.ndarray) -> float:
    """Return how far two colours are from each other as somebody sees them."""
    return float(np.linalg.norm(lab(seen @ linear(one)) - lab(seen @ linear(other))))


@pytest.mark.parametrize("who", SEEN)
def test_methods_of_one_marker_differ_in_colour(who):
    """For any two of them, with any of the usual kinds of colour vision."""
    same_marker = [
        (one, other)
        for one, other in combinations(METHODS, 2)
        if METHODS[one].shape == METHODS[other].shape
    ]
    assert same_marker
    for one, other in same_marker:
        apart = delta_e(METHODS[one].colour, METHODS[other].colour, SEEN[who])
        assert apart >= LEAST_DELTA_E, (one, other, apart)


@pytest.mark.parametrize("page", PAGES)
def test_colours_stand_out_from_the_page(page):
    """From a light one and from a dark one alike."""
    for colour in COLOURS:
        low, high = sorted(float(TO_XYZ[1] @ linear(one)) for one in (colour, page))
        assert (high + 0.05) / (low + 0.05) >= LEAST_CONTRAST, (colour, page)


def test_no_two_methods_look_alike(repository):
    """Neither those that nnit knows, among them all of the study, nor others beside them."""
    assert len(set(METHODS.values())) == len(METHODS)
    plan = YAML(typ="safe", pure=True).load(repository / "studies" / "plan.yaml")
    assert all(map(is_known, plan["methods"]))
    others = [f"other-{k}" for k in range(10)]
    styles = styles_of(["sample", "ghn", "cloned", *others])
    assert len(set(styles.values())) == len(styles)
    assert set(styles.values()) <= set(PAIRS)


def test_a_method_looks_the_same_in_every_figure():
    """Whatever its place, and whatever else is drawn."""
    alone = styles_of(["mine"])["mine"]
    assert styles_of(["sample", "ghn", "mine"])["mine"] == alone
    assert styles_of(["mine", "ghn"])["ghn"] == styles_of(["ghn"])["ghn"] == METHODS["asked"]
