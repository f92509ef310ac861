"""What ``nnit sample`` may be asked for."""

import pytest

from nnit.errors import UsageError
from nnit.mlp import MAX_DEPTH
from nnit.patterns import format_pattern
from stages.patterns import parse_pattern


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("128,256,128", (128, 256, 128)),
        ("128,*,128", (128, None, 128)),
        ("*", (None,)),
        (" * , 8", (None, 8)),
    ],
)
def test_stars_are_what_the_generator_fills(text, pattern):
    """Everything else is an architecture."""
    assert parse_pattern(text) == pattern


@pytest.mark.parametrize("text", ["", "8,,8", "*,0", "*,x", "**", "8;*", "*-"])
def test_other_texts_are_refused_in_one_line_that_shows_them(text):
    """As for architectures without stars."""
    with pytest.raises(UsageError) as caught:
        parse_pattern(text)
    assert len(caught.value.faults) == 1
    assert str(caught.value).startswith("--arch")
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "text", ["*," * MAX_DEPTH + "*", "8," * 5000 + "*", "*," + "9" * 5000, "*,65537"]
)
def test_what_no_network_may_have_is_refused_in_one_short_line(text):
    """Too deep, or too wide, by the limits of architectures without stars."""
    with pytest.raises(UsageError, match=r"--arch") as caught:
        parse_pattern(text)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("text", ["8", "8,*", "*,*,24"])
def test_formatting_is_the_inverse(text):
    """A pattern reads back as it was written."""
    assert format_pattern(parse_pattern(text)) == text
