"""Figures of alignment."""

import numpy as np

from nnit.figures.alignment import LagCurve, WeightImages, smoothness_figure, weights_figure


def fields(seed):
    """Return two small matrices."""
    return list(np.random.default_rng(seed).standard_normal((2, 6, 9)))


def test_the_same_weights_give_the_same_picture():
    """Bytes depend on the weights and the labels alone."""
    zoos = [WeightImages("a", fields(0)), WeightImages("b", fields(1))]
    drawn = weights_figure(zoos)
    assert drawn == weights_figure(zoos)
    assert drawn != weights_figure([zoos[0], zoos[1]._replace(fields=fields(2))])


def test_the_same_curves_give_the_same_picture():
    """Bytes depend on the curves alone, and a zoo without any is drawn too."""
    curve = LagCurve("a", [1, 2], [0.5, 0.1], [0.0, 0.0])
    empty = LagCurve("b", [], [], [])
    drawn = smoothness_figure({"rows": [curve, empty]})
    assert drawn == smoothness_figure({"rows": [curve, empty]})
