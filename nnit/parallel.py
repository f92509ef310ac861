"""Run independent units of work over processes.

Workers have one thread each for BLAS, OpenMP and torch, whatever their number: one worker is a
process too. They are forked from a server that has imported what they need and done nothing else
(multiprocessing's forkserver), so that a unit's result cannot depend on how many workers there are,
nor on what the parent imported, and the import is paid for once.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from typing import Any, Generic, TypeVar

from nnit.errors import InterruptedRunError, ResourceError, UsageError
from nnit.progress import Progress, silent

Unit = TypeVar("Unit")
Result = TypeVar("Result")

POLL_S = 0.2  # how long a request to stop may go unnoticed
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


def map_units(
    function: Callable[[Unit], Result],
    units: Sequence[Unit],
    workers: int,
    progress: Progress = silent,
    *,
    unit_sizes: Sequence[int] | None = None,
    on_result: Callable[[int, Result], None] | None = None,
) -> list[Result]:
    """Apply a function to every unit in worker processes; return the results in unit order.

    Args:
        function: A function at the top level of a module, called once per unit.
        units: Picklable arguments.
        workers: Processes, at least 1; no more than there are units are started.
        progress: Advanced after each unit. The caller starts it.
        unit_sizes: What each unit counts for in ``progress``; 1 each by default.
        on_result: Called here, in the parent, with index and result as units finish, in any
            order; a place to save partial results.

    Raises:
        UsageError: ``workers`` is below 1.
        ResourceError: a worker was killed, for instance for lack of memory.
        InterruptedRunError: ``progress.stop_signal()`` asked to stop; running units are dropped.
        Exception: whatever ``function`` raised first, with the worker's traceback as a note.
    """
    _check_workers(workers)
    with _worker_pool(function, min(workers, len(units))) as pool:
        return _map(pool, units, progress, unit_sizes, on_result)


class UnitPool(Generic[Unit, Result]):
    """Worker processes that stay for several rounds of units; made by ``open_pool``."""

    def __init__(self, workers: "list[_Worker]") -> None:
        self._workers = workers

    def map(
        self,
        units: Sequence[Unit],
        progress: Progress = silent,
        *,
        unit_sizes: Sequence[int] | None = None,
        on_result: Callable[[int, Result], None] | None = None,
    ) -> list[Result]:
        """Do what ``map_units`` does with workers that run already; after an error, close them."""
        return _map(self._workers, units, progress, unit_sizes, on_result)


@contextmanager
def open_pool(function: Callable[[Unit], Result], workers: int) -> Iterator[UnitPool[Unit, Result]]:
    """Start workers for rounds of units that depend on the results of earlier rounds.

    Raises:
        UsageError: ``workers`` is below 1.
    """
    _check_workers(workers)
    with _worker_pool(function, workers) as pool:
        yield UnitPool(pool)


def _check_workers(workers: int) -> None:
    if workers < 1:
        raise UsageError(f"--workers {workers}: must be at least 1")


def _map(
    pool: "list[_Worker]",
    units: Sequence[Any],
    progress: Progress,
    unit_sizes: Sequence[int] | None,
    on_result: Callable[[int, Any], None] | None,
) -> list[Any]:
    sizes = unit_sizes if unit_sizes is not None else [1] * len(units)
    results: dict[int, Any] = {}
    todo = iter(enumerate(units))
    try:
        for worker in pool:
            worker.give(todo)
        while len(results) < len(units):
            _raise_if_stopped(progress, len(results), len(units))
            for worker in _ready(pool):
                index, result = worker.take()
                worker.give(todo)
                results[index] = result
                if on_result is not None:
                    on_result(index, result)
                progress.advance(sizes[index])
    except KeyboardInterrupt:  # a worker was so slow to take a unit that nobody asked about signals
        _raise_if_stopped(progress, len(results), len(units))
        raise
    return [results[index] for index in range(len(units))]


@dataclass
class _Worker:
    process: ForkServerProcess
    connection: Connection

    def give(self, todo: Iterator[tuple[int, Any]]) -> None:
        """Send the next unit, if there is one; a dead worker is noticed by ``take``."""
        unit = next(todo, None)
        if unit is not None:
            try:
                self.connection.send(unit)
            except (BrokenPipeError, ConnectionResetError):
                return

    def take(self) -> tuple[int, Any]:
        """Receive one result.

        Raises:
            ResourceError: the worker is dead.
            Exception: what the unit raised.
        """
        try:
            index, result, error = self.connection.recv()
        except (EOFError, ConnectionResetError):
            raise self._death() from None
        if error is not None:
            raise error
        return index, result

    def _death(self) -> Exception:
        self.process.join(timeout=5.0)
        code = self.process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return ResourceError(
                f"a worker process was killed by {name}; if memory is short, use fewer --workers"
            )
        return RuntimeError(f"a worker process ended with exit code {code}")


def _ready(pool: list[_Worker]) -> list[_Worker]:
    readable = wait([worker.connection for worker in pool], timeout=POLL_S)
    return [worker for worker in pool if worker.connection in readable]


def _raise_if_stopped(progress: Progress, done: int, total: int) -> None:
    signal_number = progress.stop_signal()
    if signal_number:
        name = signal.Signals(signal_number).name
        raise InterruptedRunError(signal_number, f"stopped by {name} after {done} of {total} units")


def start_server(*modules: str) -> None:
    """Start the server that workers are forked from; it runs already after the first call.

    Args:
        modules: What it imports; workers import what else they need.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(modules))
    with _one_thread_each(), _stop_signals_blocked():
        forkserver.ensure_running()


@contextmanager
def _worker_pool(function: Callable[[Any], Any], workers: int) -> Iterator[list[_Worker]]:
    """Start workers; kill those that are still there in the end."""
    pool: list[_Worker] = []
    try:
        start_server(function.__module__)
        for _ in range(workers):
            pool.append(_start(function))
        yield pool
    finally:
        for worker in pool:
            worker.process.kill()
        for worker in pool:
            worker.process.join()
            worker.process.close()
            worker.connection.close()


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
    while True:
        try:
            index, unit = connection.recv()
        except (EOFError, ConnectionResetError):
            return
        connection.send(_attempt(function, index, unit))


def _attempt(
    function: Callable[[Any], Any], index: int, unit: object
) -> tuple[int, Any, Exception | None]:
    try:
        return index, function(unit), None
    except Exception as error:  # noqa: BLE001 - raised again in the parent
        error.add_note(f"in a worker process:\n{traceback.format_exc()}")
        return index, None, error


def _exit_with_parent() -> None:
    """Leave at once when the parent is gone, even by SIGKILL and in the middle of a unit."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
