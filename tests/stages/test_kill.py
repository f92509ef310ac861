"""SIGKILL at any moment of any writing command: no artifact or the whole one, and a rerun works."""

import itertools
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from command_server import CommandServer, kill_group, wait_for
from tiny_pipeline import COMMANDS, command_line, digest, names, tree

WAYS = ("tokenize", "ghn-train", "zoo-export")  # of working: without a state, with one, with units
KILLS = 6  # of each; all commands publish by the same code, which tests/artifacts kills too
KILLED = -9
HIDDEN = ".out.tmp-*"  # where the artifact is before it is published
JUST_PUBLISHED_S = 0.002

pytestmark = [pytest.mark.slow, pytest.mark.sim]


class Course(NamedTuple):
    """How long an uninterrupted run takes."""

    duration_s: float
    publishing_s: float  # from the first sign of the artifact to the end of the process


class Moment(NamedTuple):
    """When to kill."""

    delay_s: float
    after: str | None  # what must be there before seconds count; None: they do from the start


@pytest.mark.parametrize("name", WAYS)
def test_kill_at_any_moment(name, pipeline, server, tmp_path):
    """Six moments: what is there is nothing, or every byte of an uninterrupted run's artifact.

    Most runs go on from what the one before left: state, hidden folders, lock files.
    """
    whole, out = pipeline / COMMANDS[name].kind, tmp_path / "out"
    resume = ["--resume"] if COMMANDS[name].resumes else []
    words = command_line(name, pipeline, out, "--quiet", *resume)
    course = measure(server, words, tmp_path)
    kills, attempts = 0, moments(name, course)
    while kills < KILLS:
        moment = next(attempts)  # raises StopIteration where kills keep coming too late
        if moment.after:
            remove(out)
        else:
            clear(tmp_path)
        kills += kill_at(moment, server, words, tmp_path)
        if out.exists():
            assert digest(out) == digest(whole)
            assert tree(out) == tree(whole)
    remove(out)
    ended = server.run(words, cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert tree(out) == tree(whole)
    assert names(tmp_path) == ["out"]


def measure(server: CommandServer, words: list[str], folder: Path) -> Course:
    """Run a command to its end twice; the first time it may load what the second has at hand."""
    for _ in range(2):
        clear(folder)
        started = time.monotonic()
        server.start(words, cwd=folder)
        wait_for(folder, HIDDEN)
        published = time.monotonic()
        ended = server.end()
        assert (ended.code, ended.err) == (0, "")
        course = Course(time.monotonic() - started, time.monotonic() - published)
    return course


def moments(name: str, course: Course) -> Iterator[Moment]:
    """Draw moments: over the whole course, while publishing, and around the last rename.

    Four times as many as kills are wanted: some come too late.
    """
    draw = np.random.default_rng(sum(map(ord, name)))
    spans = ((course.duration_s, None), (course.publishing_s, HIDDEN), (JUST_PUBLISHED_S, "out"))
    parts = KILLS // len(spans) + 1
    for part in itertools.islice(itertools.cycle(range(parts)), 4 * parts):
        for span_s, after in spans:
            yield Moment((part + draw.random()) / parts * span_s, after)


def kill_at(moment: Moment, server: CommandServer, words: list[str], folder: Path) -> bool:
    """Start a command and kill it; return whether it was still running."""
    remains = list(folder.glob(HIDDEN))
    process = server.start(words, cwd=folder)
    if moment.after:
        wait_for(folder, moment.after, "out", but=remains)
    time.sleep(moment.delay_s)
    kill_group(process)
    ended = server.end()
    assert ended.code in (0, KILLED), ended.err
    return ended.code == KILLED


def remove(out: Path) -> None:
    """Remove the artifact, if it is there."""
    shutil.rmtree(out, ignore_errors=True)


def clear(folder: Path) -> None:
    """Remove whatever is in a folder."""
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
