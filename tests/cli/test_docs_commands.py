"""No page of the documentation shows a command or a flag that there is not."""

import re
import shlex
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest
from docs_pages import blocks_of, pages

from nnit_cli.app import PANELS, load

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", *pages(REPOSITORY)]
IN_TEXT = re.compile(r"`((?:nnit |--)[^`]+)`")
COMMANDS = {name: load(name) for names in PANELS.values() for name in names}
BEFORE_NNIT = ((), ("docker", "run"), ("python", "-m"), ("torchrun",))  # what a call begins with
OF_OTHERS = {"--obs-mode", "--profile"}  # flags that pages name, of ManiSkill and of benchmarks


def flags_of(command) -> set[str]:
    """Return the flags of a command, and of those below it."""
    below = getattr(command, "commands", {}).values()
    own = {flag for one in command.params for flag in (*one.opts, *one.secondary_opts)}
    return own | {"--help", "-h"} | {flag for one in below for flag in flags_of(one)}


ALL_FLAGS = {flag for command in COMMANDS.values() for flag in flags_of(command)} | OF_OTHERS


def calls(line: str) -> Iterator[list[str]]:
    """Yield the words behind ``nnit`` of each call in a line of a shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";|&()")
    lexer.whitespace_split, lexer.commenters = True, "#"
    for is_end, words in groupby(lexer, lambda word: set(word) <= set(";|&()")):
        part = list(words)
        if not is_end and "nnit" in part:
            at = part.index("nnit")
            if part[:at] == [] or tuple(part[:2]) in BEFORE_NNIT or part[0] == "torchrun":
                yield part[at + 1 :]


def parse(words: list[str]) -> None:
    """Read the words as the command line does, without running anything."""
    name, *rest = words
    command = COMMANDS[name]
    if name == "merge":
        parse(rest)
    elif not (rest and rest[0] in getattr(command, "commands", {})):
        command.make_context(name, rest)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_a_page_shows_can_be_read(page):
    """Every command, flag and value, of blocks that tests run and of those that they don't."""
    for block in blocks_of(page):
        for words in (words for one in block.shown for words in calls(one.command)):
            parse(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_flags_in_the_text_are_there(page):
    """Values may be missing or stand for others."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for code in IN_TEXT.findall(text):
        words = code.split()
        flags = {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"}
        if words[0] != "nnit":
            assert flags <= ALL_FLAGS, code
        elif not words[1].startswith("-"):
            assert words[1] in COMMANDS, code
            assert flags <= flags_of(COMMANDS[words[1]]), code


def test_what_ci_judges_is_what_it_has_just_made():
    """Each command of the page that makes something replaces what a cache has brought."""
    lines = (REPOSITORY / "docs/ci.md").read_text().splitlines()
    shown = [line.partition("run: ")[2] or line.removeprefix("$ ") for line in lines]
    makers = [line for line in shown if line.startswith(("nnit sample ", "nnit rollout "))]
    assert len(makers) == 4
    assert all("--force" in line.split() for line in makers)


def test_what_is_no_command_is_found():
    """The reader that pages are held to is as strict as the terminal."""
    assert [*calls("$(nnit demos) && torchrun -m nnit tokenize zoo | jq .x  # nnit no")] == [
        ["demos"],
        ["tokenize", "zoo"],
    ]
    for words, error in ((["tokenise"], KeyError), (["tokenize", "--pach", "8"], Exception)):
        with pytest.raises(error, match=r"tokenise|No such option"):
            parse(words)
