"""Figures are bytes that depend on nothing but what is drawn."""

from nnit.figures.canvas import new_figure, png_bytes

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def draw(height: float) -> bytes:
    """Draw a line that rises to ``height``."""
    figure = new_figure(2.0, 1.0)
    figure.subplots().plot([0, 1], [0, height])
    return png_bytes(figure)


def test_the_same_data_give_the_same_bytes():
    """Drawing twice gives the same PNG, and other data give another."""
    assert draw(1.0) == draw(1.0)
    assert draw(1.0) != draw(2.0)
    assert draw(1.0).startswith(PNG_SIGNATURE)
