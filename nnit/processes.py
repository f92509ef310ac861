"""Run units of work in processes of this machine.

Workers have one thread each for BLAS, OpenMP and torch, whatever their number: one worker is a
process too. They are forked from a server that has imported what they need and done nothing else
(multiprocessing's forkserver), so that a unit's result cannot depend on how many workers there are,
nor on what the parent imported, and the import is paid for once. A worker that is killed is
replaced, and its unit repeated.
"""

import multiprocessing
import os
import resource
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from typing import Any

from nnit.errors import ResourceError
from nnit.shipping import Cargo, Finished, attempt

MOST_DEATHS = 3  # of workers that run one unit
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def default_workers() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass
class _Worker:
    process: ForkServerProcess
    connection: Connection
    unit: int | None = None  # that it runs
    tokens: set[int] = field(default_factory=set)  # of shared arrays that it has

    def end(self) -> int | None:
        """Forget it, which is dead or killed, and return its exit code."""
        self.process.join(timeout=5.0)
        code = self.process.exitcode
        self.process.close()
        self.connection.close()
        return code


class ProcessPool:
    """Workers on this machine, as ``nnit.parallel.Pool``.

    Args:
        function: What they do.
        workers: How many.
    """

    def __init__(self, function: Callable[[Any], Any], workers: int) -> None:
        self._function = function
        self._cargo, self._names = Cargo([], []), [""]
        self._deaths: Counter[int] = Counter()  # of workers, by the unit that they ran
        self._workers: list[_Worker] = []
        start_server(function.__module__)
        try:
            for _ in range(workers):
                self._workers.append(_start(function))
        except BaseException:
            self.close()
            raise

    def begin(self, cargo: Cargo, names: Sequence[str]) -> None:
        """Take the units of a round; those of the last one are finished."""
        self._cargo, self._names = cargo, names
        self._deaths.clear()

    def has_room(self) -> bool:
        """Whether a worker has nothing to do."""
        return any(worker.unit is None for worker in self._workers)

    def submit(self, index: int) -> None:
        """Give a unit to such a worker."""
        self._give(next(worker for worker in self._workers if worker.unit is None), index)

    def finished(self, timeout_s: float) -> list[Finished]:
        """Return the units that have ended; a worker that was killed is replaced."""
        readable = wait([worker.connection for worker in self._workers], timeout=timeout_s)
        ended = [worker for worker in self._workers if worker.connection in readable]
        return [one for worker in ended if (one := self._take(worker)) is not None]

    def close(self) -> None:
        """Kill the workers that are still there."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.end()

    def _give(self, worker: _Worker, index: int) -> None:
        crate = self._cargo.pack(index)
        fresh = {one: self._cargo.array(one) for one in crate.tokens if one not in worker.tokens}
        worker.tokens = {one for one in worker.tokens if self._cargo.is_needed(one)} | set(fresh)
        worker.unit = index
        with suppress(BrokenPipeError, ConnectionResetError):  # it is dead, which ``_take`` finds
            worker.connection.send((index, crate, fresh, worker.tokens))

    def _take(self, worker: _Worker) -> Finished | None:
        with suppress(EOFError, OSError):  # the latter in the middle of a message
            finished = worker.connection.recv()
            worker.unit = None
            return finished
        return self._replace(worker)

    def _replace(self, worker: _Worker) -> Finished | None:
        """Start another worker instead of a dead one; its unit is repeated, but not for ever.

        Raises:
            RuntimeError: the worker ended by itself, which is a bug.
        """
        code, index = worker.end(), worker.unit
        self._workers.remove(worker)
        if code is None or code >= 0:
            raise RuntimeError(f"a worker process ended with exit code {code}")
        self._workers.append(replacement := _start(self._function))
        if index is None:
            return None
        self._deaths[index] += 1
        if self._deaths[index] < MOST_DEATHS:
            self._give(replacement, index)
            return None
        killer = signal.Signals(-code).name
        error = ResourceError(
            f"unit {self._names[index]}: {MOST_DEATHS} workers that ran it were killed by "
            f"{killer}; if memory is short, use fewer --workers"
        )
        return Finished(index, None, error)


def call_apart(function: Callable[[Any], Any], argument: object, *, max_bytes: int) -> Any:  # noqa: ANN401
    """Call a function in a process of its own, which may die without harm to this one.

    For libraries that a hostile file brings down: they say so on a stderr that nobody sees.

    Args:
        function: At the top of a module; what it raises is raised here.
        argument: Picklable, as the result.
        max_bytes: Of memory that it may take.

    Raises:
        ChildProcessError: it was killed; the text is the signal's name.
    """
    start_server(function.__module__)
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(
        target=_answer, args=(theirs, function, argument, max_bytes), daemon=True
    )
    process.start()
    theirs.close()
    try:
        with ours:
            result, error = ours.recv()
    except EOFError:
        process.join()
        code = process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise ChildProcessError(how) from None
    finally:
        process.kill()
        process.join()
        process.close()
    if error is not None:
        raise error
    return result


def _answer(
    connection: Connection, function: Callable[[Any], Any], argument: object, max_bytes: int
) -> None:
    """Be the process of ``call_apart``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    resource.setrlimit(resource.RLIMIT_DATA, (max_bytes, max_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        connection.send((function(argument), None))
    except Exception as error:  # noqa: BLE001 - it is raised where the function was called
        connection.send((None, error))


def start_server(*modules: str) -> None:
    """Start the server that workers are forked from; it runs already after the first call.

    Args:
        modules: What it imports; workers import what else they need.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(modules))
    with _one_thread_each(), _stop_signals_blocked():
        forkserver.ensure_running()


def _start(function: Callable[[Any], Any]) -> _Worker:
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, function), daemon=True)
    process.start()
    theirs.close()  # so that the worker's death reads as the end of the stream
    return _Worker(process, ours)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Have children inherit one thread per library: read when numpy or torch is imported."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _stop_signals_blocked() -> Iterator[None]:
    """Have children start with both blocked: terminals and ``timeout`` send them to the group.

    Multiprocessing's resource tracker comes first, because starting it unblocks them.
    """
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, function: Callable[[Any], Any]) -> None:
    """Be a worker: answer units until the parent closes the connection or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    shared: dict[int, Any] = {}
    while True:
        try:
            index, crate, fresh, tokens = connection.recv()
        except (EOFError, ConnectionResetError):
            return
        shared = {token: one for token, one in (shared | fresh).items() if token in tokens}
        connection.send(attempt(function, index, crate, shared))


def _exit_with_parent() -> None:
    """Leave at once when the parent is gone, even by SIGKILL and in the middle of a unit."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
