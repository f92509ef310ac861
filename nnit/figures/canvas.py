"""Figures without global state, as bytes that depend on nothing but the data."""

import io

from matplotlib.figure import Figure

DPI = 110
SHOWN_CHARACTERS = 80


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of ``width`` x ``height`` inches; no window is ever opened."""
    return Figure(figsize=(width, height), layout="constrained")


def plain(text: str) -> str:
    """Return text from anywhere as a figure shows it: as it is, not as formulas, and not too long.

    What the font lacks is spelt out.
    """
    shown = ascii(text)[1:-1] if not (text.isascii() and text.isprintable()) else text
    return shown[:SHOWN_CHARACTERS].replace("$", r"\$")


def png_bytes(figure: Figure) -> bytes:
    """Draw a figure; the same figure gives the same bytes with the same matplotlib."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
