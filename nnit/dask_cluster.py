"""Run units of work by the workers of a Dask scheduler, on this machine or on others.

Dask's workers live long and have run other units. So each unit finds torch as in a fresh process,
and each round nnit's caches empty; a worker with another nnit, numpy or torch, or with more than
one thread, is refused. Dask moves what units share from worker to worker, once to each; it replaces
a worker that is killed, and repeats its units.
"""

import ctypes
import functools
import logging
import os
import platform
import queue
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from importlib.metadata import version
from typing import Any, NamedTuple

from dask import config
from distributed import Client, Future, KilledWorker, Worker, get_worker

from nnit import __version__
from nnit.errors import ResourceError, UsageError
from nnit.shipping import Cargo, Crate, Finished, attempt

CONNECTING_S = 10.0
PATIENCE_S = 60.0  # without any worker
FETCHING_S = 5.0  # a result, before it is left for later; then twice as long
COUNTING_S = 1.0  # between two looks at how many workers there are
UNITS_EACH = 2  # of a worker: the one that it runs, and the next
LIBRARIES = ("numpy", "torch", "mani_skill")  # whose version may move the last bits of a result
PINNED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # by Dask's nanny
SETTINGS = {"distributed.admin.large-graph-warning-threshold": "1TB"}  # what is shared is large
# Of glibc, by number: M_TRIM_THRESHOLD and M_MMAP_THRESHOLD; see _keep_memory.
MALLOPT = {-1: 64 * 2**20, -3: 32 * 2**20}
OURS = ("nnit", "stages")  # packages whose functions keep what they found
_rounds = [""]  # the last one whose units this process has run, where it is a worker


class Setup(NamedTuple):
    """What a result may depend on, beside its unit."""

    versions: tuple[tuple[str, str], ...]  # of Python, nnit and libraries
    threads: int
    pinned: tuple[str | None, ...]

    def misfit(self, here: "Setup") -> str:
        """Return how the setup of a worker is not as here; nothing where it is."""
        pairs = zip(self.versions, here.versions, strict=True)
        others = [
            f"{name} {theirs}, not {ours}" for (name, theirs), (_, ours) in pairs if theirs != ours
        ]
        if others:
            return f"has {' and '.join(others)}; install there what is here"
        if self.threads != here.threads:
            return f"has {self.threads} threads; start it with --nthreads 1"
        if self.pinned != here.pinned:
            return (
                f"may compute in several threads; start it with a nanny, or {'=1 '.join(PINNED)}=1"
            )
        return ""


class DaskPool:
    """The workers of a scheduler, as ``nnit.parallel.Pool``.

    Args:
        function: What they do.
        scheduler: HOST:PORT of it.

    Raises:
        ResourceError: it does not answer, or has no workers.
        UsageError: a worker that might give other results.
    """

    def __init__(self, function: Callable[[Any], Any], scheduler: str) -> None:
        self._function, self._flag = function, f"--executor dask://{scheduler}"
        self._running: dict[str, tuple[int, Future]] = {}
        self._late = Counter[str]()  # how often a result was not there in time
        self._shared: dict[int, Future] = {}
        self._ended: queue.SimpleQueue[Future] = queue.SimpleQueue()
        logging.getLogger("distributed.client").setLevel(logging.ERROR)  # it tells of repetitions
        self._workers = 0
        self._counted_at = self._seen_at = time.monotonic()  # workers; and when there was any
        try:
            self._client: Any = Client(  # its types are those of its asynchronous use too
                f"tcp://{scheduler}", timeout=CONNECTING_S, set_as_default=False
            )
        except (OSError, ValueError) as error:
            raise ResourceError(
                f"{self._flag}: no scheduler answers there ({error}); start one with "
                "`dask scheduler`, and workers with `dask worker`"
            ) from None
        try:
            self._refuse_strange_workers()
        except BaseException:
            self.close()
            raise

    def begin(self, cargo: Cargo, names: Sequence[str]) -> None:
        """Take the units of a round; those of the last one are finished."""
        self._cargo, self._names, self._round = cargo, names, uuid.uuid4().hex

    def has_room(self) -> bool:
        """Whether a worker would soon have nothing to do."""
        return len(self._running) < UNITS_EACH * self._workers

    def submit(self, index: int) -> None:
        """Hand a unit to the scheduler, and what it shares where no unit did before."""
        crate = self._cargo.pack(index)
        self._shared = {t: one for t, one in self._shared.items() if self._cargo.is_needed(t)}
        with config.set(SETTINGS):
            for token in crate.tokens:
                if token not in self._shared:
                    self._shared[token] = self._client.submit(
                        _hold, self._cargo.array(token), key=f"nnit-shared-{self._round}-{token}"
                    )
        shared = [self._shared[token] for token in crate.tokens]
        given = (self._function, index, crate, shared, self._round, _needed())
        key = f"nnit-{self._round}-{index}"
        future = self._client.submit(_run_unit, *given, key=key)
        self._running[key] = index, future
        future.add_done_callback(self._ended.put)

    def finished(self, timeout_s: float) -> list[Finished]:
        """Return the units that have ended.

        Raises:
            ResourceError: the scheduler or all workers are gone.
        """
        self._count_workers()
        try:
            ended = [self._ended.get(timeout=timeout_s)]
        except queue.Empty:
            return []
        while not self._ended.empty():
            ended.append(self._ended.get())
        return [one for future in ended if (one := self._result_of(future)) is not None]

    def close(self) -> None:
        """Leave: the scheduler forgets the units; what runs goes on to its end, for nobody."""
        self._client.close()

    def _result_of(self, future: Future) -> Finished | None:
        """Return how a unit ended; None where its worker was killed before it could be asked.

        Raises:
            ResourceError: the scheduler has forgotten it.
        """
        key = str(future.key)
        index, _ = self._running[key]
        try:
            finished = future.result(timeout=FETCHING_S * 2 ** self._late[key])
        except (TimeoutError, UnboundLocalError) as error:
            # Dask raises the latter where a transfer is cancelled between. A result that was lost
            # with its worker meanwhile is made again, and comes later.
            if future.status != "error":
                self._late[key] += 1  # the transfer begins anew each time, and may be long
                future.add_done_callback(self._ended.put)  # it is repeated
                return None
            finished = Finished(index, None, error)
        except KilledWorker as error:
            killed = ResourceError(
                f"unit {self._names[index]}: {error.allowed_failures + 1} workers that ran it were "
                f"killed, the last at {error.last_worker.address}; if memory is short, start fewer "
                "workers on a host"
            )
            finished = Finished(index, None, killed)
        except CancelledError as error:
            raise self._lost(f"the scheduler has forgotten a unit ({error})") from None
        except Exception as error:  # noqa: BLE001 - of Dask or of pickling, raised with the unit's name
            finished = Finished(index, None, error)
        del self._running[key]
        return finished

    def _count_workers(self) -> None:
        """Take note of how many workers there are, now and then.

        Raises:
            ResourceError: there have been none for long, or there is no scheduler.
        """
        now = time.monotonic()
        if now < self._counted_at + COUNTING_S:
            return
        try:
            self._workers = len(self._client.nthreads())
        except (OSError, RuntimeError) as error:
            raise self._lost(f"the scheduler is gone ({error})") from None
        self._counted_at = now
        if self._workers:
            self._seen_at = now
        elif now > self._seen_at + PATIENCE_S:
            raise self._lost("the scheduler has no workers any more")

    def _refuse_strange_workers(self) -> None:
        """Wait for a worker, and look at all.

        Raises:
            ResourceError: there is none.
            UsageError: one that might give other results.
        """
        try:
            self._client.wait_for_workers(1, timeout=PATIENCE_S)
        except TimeoutError:
            host = self._flag.rpartition("//")[2]
            raise ResourceError(
                f"{self._flag}: the scheduler has no workers; start some with "
                f"`dask worker {host} --nthreads 1 --nworkers N`"
            ) from None
        found = self._client.run(_setup_of, on_error="return")
        faults = {address: _fault_of(setup) for address, setup in found.items()}
        if lines := [f"{self._flag}: worker {at} {fault}" for at, fault in faults.items() if fault]:
            raise UsageError(*lines)
        self._workers = len(found)

    def _lost(self, what: str) -> ResourceError:
        return ResourceError(
            f"{self._flag}: {what}; what is finished is kept by commands with --resume"
        )


def _fault_of(answer: object) -> str:
    """Return what is wrong with a worker by what it answered; nothing where it is right."""
    if isinstance(answer, Setup):
        return answer.misfit(_needed())
    if isinstance(answer, OSError):  # it is gone by now
        return ""
    return f"can't import this nnit ({type(answer).__name__}: {answer}); install there what is here"


def _needed() -> Setup:
    """Return what workers have to be like."""
    return Setup(_versions(), 1, ("1",) * len(PINNED))


def _setup_of(dask_worker: Worker) -> Setup:
    """Return what a worker is like; called by itself."""
    pinned = tuple(os.environ.get(name) for name in PINNED)
    return Setup(_versions(), dask_worker.state.nthreads, pinned)


@functools.cache
def _versions() -> tuple[tuple[str, str], ...]:
    libraries = ((name, version(name)) for name in LIBRARIES)
    return ("Python", platform.python_version()), ("nnit", __version__), *libraries


def _hold(array: Any) -> Any:  # noqa: ANN401
    """Be where a shared array begins: a worker that runs this has it, and others ask for it."""
    return array


def _run_unit(
    function: Callable[[Any], Any],
    index: int,
    crate: Crate,
    shared: Sequence[Any],
    round_id: str,
    expected: Setup,
) -> Finished:
    """Run a unit in a worker, as a fresh process would.

    A worker may have come after all were looked at, and so it looks at itself once more.
    """
    worker = get_worker()
    if fault := _setup_of(worker).misfit(expected):
        return Finished(index, None, UsageError(f"--executor: worker {worker.address} {fault}"))
    _begin(round_id)
    try:
        return attempt(function, index, crate, dict(zip(crate.tokens, shared, strict=True)))
    finally:
        if "torch" in sys.modules:
            from nnit.training import forget_preparation

            forget_preparation()


def _begin(round_id: str) -> None:
    """Empty nnit's caches before the first unit of a round: files may have changed by now."""
    if _rounds[-1] == round_id:
        return
    _rounds[:] = [round_id]
    _keep_memory()
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in OURS:
            for value in list(vars(module).values()):
                if isinstance(value, functools._lru_cache_wrapper):
                    value.cache_clear()


def _keep_memory() -> None:
    """Let this process use memory again that it has freed.

    Dask's nanny sets ``MALLOC_TRIM_THRESHOLD_``, with which glibc maps every larger array anew:
    training takes twice as long. These are the bounds that glibc itself comes to without it.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, size in MALLOPT.items():
            mallopt(option, size)
