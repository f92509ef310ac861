"""What ``nnit sample`` may be asked for: architectures with parts left to the generator."""

from nnit.errors import shorten
from nnit.mlp import parse_width, split_text
from nnit.patterns import STAR, PartialArchitecture

FLAG = "--arch"


def parse_pattern(text: str) -> PartialArchitecture:
    """Read an architecture with stars for the widths that shall be generated: ``128,*,128``.

    Raises:
        UsageError: not a comma-separated list of widths and stars, or one that no network may have.
    """
    where = f"{FLAG} {shorten(text)}"
    parts = split_text(text, FLAG)
    return tuple(None if part == STAR else parse_width(part, where) for part in parts)
