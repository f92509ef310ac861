"""A weight matrix as a picture of one pixel a weight."""

import io

import numpy as np
from matplotlib.image import imsave

NEGATIVE, POSITIVE = (33, 92, 190), (201, 80, 10)  # of weights at the bound and beyond
BOUND_PERCENTILE = 99.0
LEVELS = 15  # of strength: more are hardly seen, and make a larger file


def weight_bound(field: np.ndarray) -> float:
    """Return the absolute weight that gets the strongest colour: all but the largest hundredth."""
    return float(np.percentile(np.abs(field), BOUND_PERCENTILE)) or 1.0


def weight_png(field: np.ndarray, bound: float) -> bytes:
    """Draw ``(fan_out, fan_in)`` weights in blue to orange, the fainter the nearer to 0.

    Weights of 0 are transparent, so that the picture fits a white page and a dark one.
    """
    strength = np.clip(np.abs(field) / bound, 0, 1)
    colours = np.where(field[..., None] < 0, NEGATIVE, POSITIVE)
    pixels = np.concatenate(
        [colours, np.round(LEVELS * strength)[..., None] * (255 // LEVELS)], axis=-1
    )
    buffer = io.BytesIO()
    imsave(buffer, pixels.astype(np.uint8), format="png", metadata={"Software": "nnit"})
    return buffer.getvalue()
