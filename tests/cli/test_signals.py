"""Ctrl-C and SIGTERM: save and stop, within seconds, with the right exit code."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from nnit_cli.signals import StopRequest

POLITE = """
from nnit.errors import InterruptedRunError
def work(progress):
    while not progress.stop_signal():
        time.sleep(0.01)
    print("kept", flush=True)
    raise InterruptedRunError(progress.stop_signal(), "saved; go on with --resume")
"""
DEAF = """
def work(progress):
    try:
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
"""
SLOW_TO_SAVE = """
def work(progress):
    while not progress.stop_signal():
        time.sleep(0.01)
    time.sleep(60)
"""
DEAF_WHERE_IT_IS_LOST = """
class Last:
    def __del__(self):
        time.sleep(60)
def work(progress):
    Last()
    time.sleep(60)
"""
RUN = """
import sys, time
from nnit_cli.app import build_app
from nnit_cli.console import open_progress
from nnit_cli.outcome import guarded
from nnit_cli.signals import stop_request
{work}
def command():
    with open_progress(stop_request, quiet=True) as progress:
        print("ready", flush=True)
        work(progress)
app = build_app()
app.command("work")(command)
with stop_request.listening():
    sys.exit(guarded(lambda: app(["work"], standalone_mode=False), debug=False))
"""
NOTICE = "\nnnit: stopping and saving; once more to stop at once\n"
EARLY = """
import os, signal, sys
take = signal.signal
def take_and_say(*args):
    signal.signal = take
    before = take(*args)
    os.write(1, b"taken")
    return before
signal.signal = take_and_say
from nnit_cli.main import main
sys.exit(main())
"""
DURING = range(0, 320, 40)  # milliseconds after nnit has taken the signal over


class Worker:
    """A command at work in a process of its own."""

    def __init__(self, work: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN.replace("{work}", work)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.process.pid, number)

    def end(self) -> tuple[int, str, str, float]:
        """Return exit code, stdout, stderr and the seconds that the end took."""
        start = time.monotonic()
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err, time.monotonic() - start


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_work_that_polls_saves_and_stops(number, code):
    """The error that it raises is printed, and the exit code is 128 + the signal."""
    worker = Worker(POLITE)
    worker.signal(number)
    returned, _, err, seconds = worker.end()
    assert returned == code
    assert err == f"{NOTICE}nnit: saved; go on with --resume\n"
    assert seconds < 10


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_work_that_does_not_poll_is_ended_after_some_seconds(number, code):
    """What is on the way out runs, so that temporary files are removed."""
    worker = Worker(DEAF)
    worker.signal(number)
    returned, out, err, seconds = worker.end()
    assert (returned, out) == (code, "cleaned up\n")
    assert err == f"{NOTICE}nnit: interrupted\n"
    assert 2 < seconds < 20


def test_an_interrupt_that_python_drops_comes_again():
    """In a ``__del__`` or a weak reference's callback an exception is printed and forgotten."""
    worker = Worker(DEAF_WHERE_IT_IS_LOST)
    worker.signal(signal.SIGINT)
    returned, _, err, seconds = worker.end()
    assert (returned, err) == (130, f"{NOTICE}nnit: interrupted\n")
    assert 2 < seconds < 20


def test_work_is_saved_where_nobody_reads_stderr_any_more():
    """As of ``2>&1 | tee log``, where Ctrl-C ends ``tee`` too."""
    worker = Worker(POLITE)
    with worker.process as process:
        process.stderr.close()
        worker.signal(signal.SIGINT)
        assert process.stdout.read() == "kept\n"
    assert process.returncode == 130


def test_second_signal_ends_at_once():
    """Even while the first is being answered."""
    worker = Worker(SLOW_TO_SAVE)
    worker.signal(signal.SIGINT)
    time.sleep(0.5)
    worker.signal(signal.SIGINT)
    returned, _, err, seconds = worker.end()
    assert (returned, err) == (130, NOTICE)
    assert seconds < 10


def test_work_that_heard_has_as_long_as_it_takes():
    """Saving a large state may take longer than the patience with those who don't poll."""
    worker = Worker(SLOW_TO_SAVE)
    worker.signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        worker.process.wait(timeout=4)
    worker.signal(signal.SIGTERM)
    assert worker.end()[0] == 143


def test_an_interrupt_that_an_import_swallows_ends_the_command_before_its_work():
    """Compiled modules catch whatever is raised while they register their classes."""
    stop = StopRequest()
    begun = False
    with stop.listening():
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt), stop.awaited():
            begun = True
    assert not begun


def interrupted_after(milliseconds: int, *words: str) -> tuple[int, str]:
    """Start nnit as its script does, send SIGINT that long after it can take it; how it ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", EARLY, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.read(5) == "taken"
    time.sleep(milliseconds / 1000)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    return process.returncode, err


@pytest.mark.parametrize("milliseconds", DURING)
def test_ctrl_c_while_nnit_is_imported_is_one_line(milliseconds, tmp_path):
    """Or it has said by then that its input is not there, and may be on its way out."""
    code, err = interrupted_after(milliseconds, "ghn-train", str(tmp_path / "none"))
    if code == 130:
        assert err == "nnit: interrupted\n"
    else:
        assert milliseconds > 0
        assert code in {4, -signal.SIGINT}
        assert err == f"nnit: {tmp_path}/none: no such artifact; make it with `nnit demos`\n"


@pytest.mark.parametrize("milliseconds", DURING[::2])
def test_ctrl_c_at_the_end_is_no_traceback(milliseconds):
    """A help text may have been printed by then, or the interpreter be on its way out."""
    ended = interrupted_after(milliseconds, "--help")
    assert ended in {(130, "nnit: interrupted\n"), (-signal.SIGINT, ""), (0, "")}
