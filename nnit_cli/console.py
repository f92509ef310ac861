"""What the terminal shows: data on stdout, progress and notes on stderr.

Names and messages may come out of files that others wrote. Nothing of them reaches the terminal but
by ``printable``, or as JSON of ASCII alone.
"""

import json
import os
import shutil
import sys
import textwrap
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING, TextIO

from nnit_cli.signals import StopRequest

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Table = list[tuple[str, ...]]
GAP = "  "  # between columns
ARCHITECTURE = "architecture"  # the head of a column of words that begin with digits
WIDTH = 80  # characters of a line where nothing says how many there are
LINE_EVERY_S = 5.0  # between progress lines where no bar can be drawn
BAR_FIGURES_EVERY_S = 0.2


class QuietProgress:
    """Shows nothing and passes the request to stop on; the base of those that show something."""

    def __init__(self, stop: StopRequest) -> None:
        self._stop = stop

    def start(self, label: str, total: int, done: int = 0) -> None:
        """Begin a part of the work (see ``nnit.progress``)."""

    def advance(self, units: int = 1, *, share: float | None = None, **figures: float) -> None:
        """Some units are finished."""

    def note(self, line: str) -> None:
        """Show one line of information."""

    def stop_signal(self) -> int:
        """Return the number of the signal that asks to stop, or 0."""
        return self._stop.poll()


class CountingProgress(QuietProgress):
    """Knows what is done and how long the rest takes; the base of those that show it."""

    def __init__(self, stop: StopRequest) -> None:
        super().__init__(stop)
        self._label, self._total, self._done, self._fresh = "", 0, 0, 0
        self._share = self._started = self._shown = 0.0

    def start(self, label: str, total: int, done: int = 0) -> None:
        """Begin a part of the work."""
        self._label, self._total, self._done, self._fresh = label, total, done, total - done
        self._share, self._started = 0.0, time.monotonic()
        self._shown = self._started

    def count(self, units: int, share: float | None) -> None:
        """Count what is finished."""
        self._done += units
        self._share += units / max(1, self._fresh) if share is None else share

    def time_left(self, elapsed_s: float) -> str:
        """Return how long the rest takes, if it goes on as before; nothing where all is done."""
        if self._done == self._total or not self._share:
            return ""
        return f"{_duration(elapsed_s / self._share * max(0.0, 1 - self._share))} left"


class LineProgress(CountingProgress):
    """Writes a line every few seconds: for log files and pipes."""

    def __init__(
        self, stop: StopRequest, stream: TextIO, line_every_s: float = LINE_EVERY_S
    ) -> None:
        super().__init__(stop)
        self._stream, self._line_every_s = stream, line_every_s

    def advance(self, units: int = 1, *, share: float | None = None, **figures: float) -> None:
        """Write a line where the last one is some seconds old, and at the end of the part."""
        self.count(units, share)
        now = time.monotonic()
        if now - self._shown >= self._line_every_s or self._done == self._total:
            self._shown = now
            self.note(self._line(now - self._started, figures))

    def note(self, line: str) -> None:
        """Write the line."""
        print(printable(line), file=self._stream, flush=True)

    def _line(self, elapsed_s: float, figures: Mapping[str, float]) -> str:
        took = f"took {_duration(elapsed_s)}" if self._done == self._total else ""
        said = (*_figures(figures), took or self.time_left(elapsed_s))
        return ", ".join([f"{self._label}: {self._done}/{self._total}", *filter(None, said)])


class BarProgress(CountingProgress):
    """Draws a bar with the time that is left: for people at a terminal."""

    def __init__(self, stop: StopRequest, bars: "Progress") -> None:
        super().__init__(stop)
        self._bars = bars
        self._task: TaskID | None = None

    def start(self, label: str, total: int, done: int = 0) -> None:
        """Begin a part of the work: a new bar below the others."""
        super().start(label, total, done)
        self._task = self._bars.add_task(
            printable(label), total=total, completed=done, figures="", left=""
        )

    def advance(self, units: int = 1, *, share: float | None = None, **figures: float) -> None:
        """Move the bar; what stands beside it changes a few times a second."""
        if self._task is None:
            return
        self.count(units, share)
        self._bars.advance(self._task, units)
        now = time.monotonic()
        if now - self._shown >= BAR_FIGURES_EVERY_S or self._done == self._total:
            self._shown = now
            self._bars.update(self._task, left=self.time_left(now - self._started))
            if figures:
                self._bars.update(self._task, figures=printable(", ".join(_figures(figures))))

    def note(self, line: str) -> None:
        """Write the line above the bars."""
        self._bars.console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def open_progress(stop: StopRequest, *, quiet: bool) -> Iterator[QuietProgress]:
    """Yield what long-running code reports to: a bar at a terminal, lines elsewhere."""
    with stop.awaited():
        if quiet:
            yield QuietProgress(stop)
        elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            with _bars() as bars:
                yield BarProgress(stop, bars)
        else:
            yield LineProgress(stop, sys.stderr)


def printable(text: str) -> str:
    """Return text on one line that no terminal obeys.

    What is no character to look at is written as Python's ``repr`` does: line breaks, escape codes,
    marks that turn the direction of writing, halves of characters.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def print_error(line: str) -> None:
    """Write one line about what went wrong on stderr."""
    print(f"nnit: {printable(line)}", file=sys.stderr, flush=True)


def print_traceback(error: BaseException) -> None:
    """Write where an error was raised on stderr, for those who look for its cause."""
    for line in "".join(traceback.format_exception(error)).rstrip("\n").split("\n"):
        print(printable(line), file=sys.stderr)


def accept_any_text() -> None:
    """Have stdout write what its encoding lacks in ASCII, as stderr does, and not fail."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def print_line(line: str) -> None:
    """Write one line on stdout."""
    print(printable(line))


def print_json(data: object) -> None:
    """Write data on stdout, as JSON of ASCII characters."""
    print(json.dumps(data, indent=2))


def print_ending(result: str, following: str) -> None:
    """Write the result in one line, bold at a terminal, and the command to type next."""
    if result:
        print()
        bold, plain = ("\x1b[1m", "\x1b[0m") if _is_styled() else ("", "")
        print(f"{bold}{printable(result)}{plain}")
    if following:
        print_line(f"next: {following}")


def _is_styled() -> bool:
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


def print_facts(facts: Mapping[str, object]) -> None:
    """Write names and values on stdout, in two columns."""
    names = [printable(name) for name in facts]
    width = max(map(len, names), default=0)
    for name, value in zip(names, facts.values(), strict=True):
        print_line(f"{name:<{width}}  {_value(value)}")


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Write a table on stdout; the first row is its head, numbers stand to the right.

    What is too wide for the terminal, or for 80 columns elsewhere, is written in parts that each
    begin with the columns of words.
    """
    shown = [tuple(map(printable, row)) for row in rows]
    for k, part in enumerate(fit_table(shown, table_width())):
        if k:
            print()
        columns = list(zip(*part, strict=True))
        widths = [max(map(len, column)) for column in columns]
        numeric = list(map(_is_numeric, columns))
        for row in part:
            cells = [
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(row, widths, numeric, strict=True)
            ]
            print(GAP.join(cells).rstrip())


def table_width() -> int:
    """Return how many characters fit on a line."""
    return shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH


def fit_table(rows: Table, width: int) -> list[Table]:
    """Part a table into some that are no wider than they have to be.

    Args:
        rows: Cells that can be printed; the first row is the head.
        width: Characters of a line.

    Returns:
        The table, or several with the leading columns of words in each.
    """
    columns = list(zip(*rows, strict=True))
    lead = next((k for k, column in enumerate(columns) if k and _is_numeric(column)), 1)
    if lead >= len(columns) or _width_of(columns) <= width:
        return [rows]
    room = width - _width_of(columns[:-1]) - len(GAP)
    if not _is_numeric(columns[-1]) and room >= width // 4:
        return [wrap_texts(rows, room)]
    rows = wrap_titles(rows, width // 2)
    columns = list(zip(*rows, strict=True))
    parts, taken = [], list[tuple[str, ...]]()
    for column in columns[lead:]:
        if taken and _width_of([*columns[:lead], *taken, column]) > width:
            parts.append(taken)
            taken = []
        taken.append(column)
    return [list(zip(*columns[:lead], *part, strict=True)) for part in [*parts, taken]]


def wrap_texts(rows: Table, width: int) -> Table:
    """Write the last cell of each row, a text, on several lines where it is long."""
    wrapped: Table = []
    for *cells, text in rows:
        first, *rest = textwrap.wrap(text, width, break_on_hyphens=False) or [text]
        wrapped.append((*cells, first))
        wrapped += [(*[""] * len(cells), line) for line in rest]
    return wrapped


def wrap_titles(rows: Table, width: int) -> Table:
    """Write what a row is called on several lines where it is long; its cells stand at the last."""
    wrapped = rows[:1]
    for title, *cells in rows[1:]:
        lines = textwrap.wrap(
            title,
            width,
            subsequent_indent="    ",
            break_long_words=False,  # paths stay whole
            break_on_hyphens=False,
        )
        *before, last = lines or [title]
        wrapped += [(line, *[""] * len(cells)) for line in before]
        wrapped.append((last, *cells))
    return wrapped


def _width_of(columns: Sequence[tuple[str, ...]]) -> int:
    return sum(max(map(len, column)) for column in columns) + len(GAP) * (len(columns) - 1)


def print_tables(tables: list[list[tuple[str, ...]]]) -> None:
    """Write tables on stdout with an empty line between two."""
    for k, rows in enumerate(tables):
        if k:
            print()
        print_table(rows)


def _bars() -> "Progress":
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TextColumn("{task.fields[left]}", markup=False),
        progress.TextColumn("{task.fields[figures]}", markup=False),
        console=Console(stderr=True),
    )


def _figures(figures: Mapping[str, float]) -> list[str]:
    return [f"{name.replace('_', ' ')} {_value(figure)}" for name, figure in figures.items()]


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _is_numeric(column: tuple[str, ...]) -> bool:
    head, *cells = column
    return head != ARCHITECTURE and all(map(_is_number, cells))


def _is_number(cell: str) -> bool:
    return not cell or cell.removeprefix("-")[:1].isdigit() or cell in {"-", "nan"}


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, of_hour = divmod(minutes, 60)
    if hours:
        return f"{hours} h {of_hour} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
