"""What ``nnit sample`` may be asked for: architectures with parts left to the generator."""

from nnit.diffusion.architecture import STAR
from nnit.errors import UsageError
from nnit.mlp import parse_architecture
from nnit.tokens.sequence import PartialArchitecture


def parse_pattern(text: str) -> PartialArchitecture:
    """Read an architecture with stars for the widths that shall be generated: ``128,*,128``.

    Raises:
        UsageError: not a comma-separated list of positive integers and stars.
    """
    stars = [part.strip() == STAR for part in text.split(",")]
    if not any(stars):
        return parse_architecture(text)
    try:
        widths = parse_architecture(",".join(_without_star(part) for part in text.split(",")))
    except UsageError as error:
        raise UsageError(f"--arch {text}: {str(error).partition(': ')[2]}") from None
    return tuple(None if star else width for star, width in zip(stars, widths, strict=True))


def _without_star(part: str) -> str:
    return "1" if part.strip() == STAR else part
