"""Runs the command line many times in one second each, to be killed at any moment.

As a script it is the server: one process that imports everything and forks for each command. The
workers of a command are forked from it too, where nnit itself forks them from a server of its own:
seconds less for each, while all files are written by the command's own process as ever.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

READY = "ready"
PATIENCE_S = 60.0


class Ended(NamedTuple):
    """How a command ended."""

    code: int  # negative: the signal that killed it
    out: str
    err: str


class CommandServer:
    """The test's side: starts one command at a time, in a process group of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: int | None = None
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            },
            text=True,
        )
        assert self._answer() == READY

    def start(self, words: Sequence[str], *, cwd: Path, file_limit: int | None = None) -> int:
        """Start ``nnit`` with these words; return the id of its process and group.

        Args:
            words: What stands behind ``nnit``.
            cwd: Where.
            file_limit: Bytes that a file may have: what a full disk looks like to a process.
        """
        request = {
            "words": list(words),
            "cwd": str(cwd),
            "streams": [str(self._folder / name) for name in ("out", "err")],
            "file_limit": file_limit,
        }
        if self._running is not None:  # a test gave it up
            kill_group(self._running)
            self.end()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        self._running = int(self._answer())
        return self._running

    def end(self) -> Ended:
        """Wait for the command that was started."""
        code, self._running = int(self._answer()), None
        return Ended(code, *((self._folder / name).read_text() for name in ("out", "err")))

    def run(self, words: Sequence[str], *, cwd: Path, file_limit: int | None = None) -> Ended:
        """Start a command and wait for its end."""
        self.start(words, cwd=cwd, file_limit=file_limit)
        return self.end()

    def close(self) -> None:
        """End the server, and a command that a test gave up."""
        if self._running is not None:
            kill_group(self._running)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def kill_group(process: int) -> None:
    """Kill a command and its workers, unless it has just ended."""
    try:
        os.killpg(process, signal.SIGKILL)
    except ProcessLookupError:
        return


def wait_for(folder: Path, *patterns: str, but: Sequence[Path] = ()) -> Path:
    """Return the first thing that matches a pattern, as soon as it is there."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        for pattern in patterns:
            for found in folder.glob(pattern):
                if found not in but:
                    return found
        time.sleep(0.0002)
    raise TimeoutError(f"{' or '.join(patterns)} did not appear in {folder}")


@contextmanager
def command_server(folder: Path) -> Iterator[CommandServer]:
    """Run a server while the block runs."""
    server = CommandServer(folder)
    try:
        yield server
    finally:
        server.close()


def serve() -> None:
    """Be the server: a request is a line of JSON; the answers are a process id, an exit code."""
    import multiprocessing

    import torch
    import torch._dynamo  # what the first optimiser imports

    from nnit import processes
    from nnit.tasks.simulation import prepare_process
    from nnit_cli.main import main
    from stages import demos, diffuse_train, ghn_train, rollout, sample, tokenize, zoo_export

    assert {demos, diffuse_train, ghn_train, rollout, sample, tokenize, zoo_export}
    torch.set_num_threads(1)
    prepare_process()
    forking = multiprocessing.get_context("fork")
    multiprocessing.get_context = lambda method=None: forking  # type: ignore[assignment]
    processes.start_server = lambda *modules: None
    print(READY, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        process = os.fork()
        if process == 0:
            os._exit(_be_the_command(main, request))
        os.setpgid(process, process)
        print(process, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


def _be_the_command(main, request) -> int:
    os.setpgid(0, 0)
    streams = [os.open(p, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for p in request["streams"]]
    for stream, number in zip([os.open(os.devnull, os.O_RDONLY), *streams], range(3), strict=True):
        os.dup2(stream, number)
    os.chdir(request["cwd"])
    if request["file_limit"] is not None:
        limit = request["file_limit"]
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    return main(request["words"])


if __name__ == "__main__":
    serve()
