"""What comes out of files cannot speak to the terminal, nor in the name of nnit."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_streams import at_a_terminal

from nnit import errors
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import publish
from nnit_cli.console import (
    LineProgress,
    print_error,
    print_facts,
    print_json,
    print_line,
    print_table,
    printable,
)
from nnit_cli.outcome import guarded
from nnit_cli.signals import StopRequest

FORGED = "1.0\nnnit: all is well\r\x1b[2J\x1b]0;title\x07\x9b31m\u2028\u202edas\u2066\x7f\ud800"
SHOWN = r"1.0\nnnit: all is well\r\x1b[2J\x1b]0;title\x07\x9b31m\u2028\u202edas\u2066\x7f\ud800"
BAR = f"""
from nnit_cli.console import open_progress
from nnit_cli.signals import StopRequest
forged = {FORGED!r}
with open_progress(StopRequest(), quiet=False) as progress:
    progress.note(forged)
    progress.start(forged, 1)
    progress.advance(**{{forged: 0.5}})
"""
anything = st.text(st.characters(codec=None, exclude_categories=()))


def test_controls_are_written_as_python_writes_them():
    """Line breaks, escape codes, C1, directions of writing, and a half of a character."""
    assert printable(FORGED) == SHOWN


@pytest.mark.parametrize("text", ["", "zoo: 3 × 4 …", "Ääß", "日本語", r"C:\new", "a  b"])
def test_other_text_stays_as_it_is(text):
    """Of any script, backslashes and spaces included."""
    assert printable(text) == text


@given(anything)
def test_any_text_becomes_one_line_to_look_at(text):
    """That can be encoded, too."""
    shown = printable(text)
    assert shown.isprintable()
    assert shown.encode().decode() == shown


@pytest.mark.parametrize(
    "show",
    [
        print_line,
        print_error,
        lambda text: print_facts({text: text}),
        lambda text: print_table([(text, "n"), ("a", text)]),
        lambda text: LineProgress(StopRequest(), sys.stderr).note(text),
    ],
)
def test_whatever_is_printed_is_printable(capsys, show):
    """As many lines as without the forged text, and nothing else that a terminal obeys."""
    show("plain")
    plain = capsys.readouterr()
    show(FORGED)
    forged = capsys.readouterr()
    for before, after in zip(plain, forged, strict=True):
        assert after.count("\n") == before.count("\n")
        assert after.replace("\n", "").isprintable()
    assert SHOWN in forged.out + forged.err


def test_columns_fit_what_is_shown(capsys):
    """Facts and tables are as wide as what the controls in them became."""
    print_facts({"a\n": 1, "kind": 2})
    print_table([("kind", "n"), ("\x1b", "1")])
    assert capsys.readouterr().out.splitlines() == ["a\\n   1", "kind  2", "kind  n", "\\x1b  1"]


def test_a_fault_is_one_line_whatever_it_holds(capsys):
    """A line break within it begins no fault of its own; with --debug as well."""
    error = errors.UsageError(f"a: {FORGED}", "b")
    lines = [f"nnit: a: {SHOWN}", "nnit: b"]

    def fail() -> None:
        raise error

    assert guarded(fail, debug=False) == 2
    assert capsys.readouterr().err.split("\n") == [*lines, ""]
    assert guarded(fail, debug=True) == 2
    shown = capsys.readouterr().err
    assert shown.endswith("\n".join([*lines, ""]))
    assert shown.replace("\n", "").isprintable()


def test_bars_show_no_controls():
    """Notes, labels and figures; the escape codes are those of the bar alone."""
    shown = at_a_terminal(["-c", BAR], COLUMNS="400")
    assert r"1.0\nnnit: all is well\r\x1b[2J" in shown
    assert not any(code in shown for code in ("\x1b[2J", "\x1b]0", "\x9b", "\u202e", "\u2028"))


def test_json_is_ascii_and_loses_nothing(capsys):
    """Halves of characters too, which no stream could encode."""
    print_json({FORGED: FORGED})
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.replace("\n", "").isprintable()
    assert json.loads(out) == {FORGED: FORGED}


@pytest.mark.parametrize("name", ["a\nnnit: all is well", "b\x1b[31m", "c\udcff"])
def test_names_of_files_are_shown_on_one_line(nnit, name):
    """A message names the path that was given, and begins once."""
    done = nnit("inspect", name)
    assert done.stderr == f"nnit: {printable(name)}: no such artifact; check the path\n"
    assert done.returncode == 4


def test_a_stream_of_ascii_alone_shows_the_rest_as_codes(nnit, tmp_path):
    """Where the locale has no other characters, they are no error."""
    with publish(tmp_path / "zoo-é", "demos", Provenance("demos", {}, 0), {}) as writer:
        writer.write_file("episodes.bin", b"1")
    done = nnit("verify", "zoo-é", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout, done.stderr) == (0, "zoo-\\xe9: whole\n", "")
