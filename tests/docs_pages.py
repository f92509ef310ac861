"""What the pages of the documentation show: blocks of commands, and what is printed below each."""

import re
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(
    r"(<!-- not run: (?P<why>[^>]+) -->\n)?```(?:console|bash)\n(?P<text>.*?)```", re.S
)
PROMPT = re.compile(r"^(?:node\d+)?\$ ", re.MULTILINE)


class Shown(NamedTuple):
    """A command of a page, and the lines below it."""

    command: str
    output: str


class Block(NamedTuple):
    """A block of commands."""

    shown: list[Shown]
    why_not_run: str | None  # what the page says of it


def pages(repository: Path) -> list[Path]:
    """Return the pages of the site that are written by hand."""
    return sorted((repository / "docs").glob("*.md"))


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of commands of a page, in order."""
    found = []
    for match in BLOCK.finditer(page.read_text()):
        text = match["text"].replace("\\\n", " ")
        if not PROMPT.search(text):  # bash: a command a line
            shown = [Shown(line, "") for line in text.splitlines() if line.strip()]
        else:
            parts = PROMPT.split(text)[1:]
            shown = [Shown(*part.partition("\n")[::2]) for part in parts]
        found.append(Block(shown, match["why"]))
    return found
