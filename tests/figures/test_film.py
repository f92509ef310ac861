"""Films are whole, repeatable, and show what was drawn."""

import numpy as np
import pytest
from film_player import played

from nnit.figures.film import mp4_bytes


def moving_square(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """A white square goes one pixel to the right a picture."""
    pictures = np.zeros((count, height, width, 3), np.uint8)
    for k, picture in enumerate(pictures):
        picture[16:32, k : k + 16] = 255
    return list(pictures)


def test_every_picture_is_shown_in_its_place(tmp_path):
    """As many as were drawn, at the rate asked for, each nearly as it was."""
    drawn = moving_square(30)
    path = tmp_path / "film.mp4"
    path.write_bytes(mp4_bytes(drawn, fps=20))
    fps, shown = played(path)
    assert fps == 20
    assert shown.shape == (30, 48, 64, 3)
    errors = np.abs(shown.astype(int) - np.stack(drawn)).mean(axis=(1, 2, 3))
    assert errors.max() < 12
    others = np.abs(shown.astype(int) - np.stack(drawn[::-1])).mean(axis=(1, 2, 3))
    assert others.max() > 40


def test_the_same_pictures_give_the_same_bytes():
    """And others do not."""
    assert mp4_bytes(moving_square(8), 20) == mp4_bytes(moving_square(8), 20)
    assert mp4_bytes(moving_square(8), 20) != mp4_bytes(moving_square(8)[::-1], 20)


@pytest.mark.parametrize(("height", "width"), [(47, 64), (48, 63), (47, 63)])
def test_an_odd_row_or_column_is_left_out(tmp_path, height, width):
    """H.264 has none; nothing is stretched."""
    path = tmp_path / "film.mp4"
    path.write_bytes(mp4_bytes(moving_square(4, height, width), 20))
    _, shown = played(path)
    assert shown.shape == (4, height // 2 * 2, width // 2 * 2, 3)
