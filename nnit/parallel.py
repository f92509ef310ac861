"""Run independent units of work: the one seam between what is to be done and what does it.

An ``Engine`` says what does: processes of this machine, the workers of a Dask scheduler, or one of
several runs that share the units out and are merged later. A unit's result depends on the unit
alone, and so it is the same by each of them.
"""

import signal
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

from nnit.engine import Engine, ShardEnd, refuse_gaps, shard_of
from nnit.errors import InterruptedRunError, UsageError, name_unit
from nnit.processes import ProcessPool, default_workers
from nnit.progress import Progress, silent
from nnit.shipping import Cargo, Finished

Unit = TypeVar("Unit")
Result = TypeVar("Result")

POLL_S = 0.2  # how long a request to stop may go unnoticed
LABEL = "units"


class Pool(Protocol):
    """What runs units: processes of this machine, or of others."""

    def begin(self, cargo: Cargo, names: Sequence[str]) -> None:
        """Take the units of a round, and what each is called; those of the last are finished."""
        ...

    def has_room(self) -> bool:
        """Whether it is worth while to submit another unit."""
        ...

    def submit(self, index: int) -> None:
        """Run a unit; where its worker is killed, run it again in another one."""
        ...

    def finished(self, timeout_s: float) -> list[Finished]:
        """Return the units that have ended, as soon as there is one; none after the time."""
        ...

    def close(self) -> None:
        """Drop what is running, and end."""
        ...


def map_units(
    function: Callable[[Unit], Result],
    units: Sequence[Unit],
    engine: Engine,
    progress: Progress = silent,
    *,
    label: str = LABEL,
    names: Sequence[str] | None = None,
    unit_sizes: Sequence[int] | None = None,
    on_result: Callable[[int, Result], None] | None = None,
) -> list[Result]:
    """Apply a function to every unit in worker processes; return the results in unit order.

    Where the engine is a shard, it runs all units nevertheless: they are not kept for the others.

    Args:
        function: A function at the top level of a module, called once per unit.
        units: Picklable arguments; large arrays that several of them share go to each worker once,
            and can't be written to there.
        engine: What runs them; no more processes than there are units are started.
        progress: Advanced after each unit.
        label: What progress and errors call the units.
        names: What errors call each.
        unit_sizes: What each unit counts for in ``progress``; 1 each by default.
        on_result: Called here, in the parent, with index and result as units finish, in any
            order; a place to save partial results.

    Raises:
        ResourceError: a unit's worker was killed again and again, for instance for lack of memory;
            or the workers of the engine can't be reached.
        InterruptedRunError: ``progress.stop_signal()`` asked to stop; running units are dropped.
        Exception: whatever ``function`` raised first, with the unit's name and the worker's
            traceback as notes.
    """
    results: dict[int, Result] = {}

    def keep(index: int, result: Result) -> None:
        results[index] = result
        if on_result is not None:
            on_result(index, result)

    run_units(
        function,
        units,
        Engine(engine.workers, engine.scheduler),
        progress,
        on_result=keep,
        label=label,
        names=names,
        unit_sizes=unit_sizes,
    )
    return [results[index] for index in range(len(units))]


def run_units(
    function: Callable[[Unit], Result],
    units: Sequence[Unit],
    engine: Engine,
    progress: Progress = silent,
    *,
    on_result: Callable[[int, Result], None],
    done: Container[int] = (),
    label: str = LABEL,
    names: Sequence[str] | None = None,
    unit_sizes: Sequence[int] | None = None,
    unit_costs: Sequence[float] | None = None,
    needed_for: str | None = None,
) -> None:
    """Do what ``map_units`` does with units whose results are kept; a shard runs its own alone.

    Args:
        function: As of ``map_units``.
        units: All of them.
        engine: What runs them.
        progress: Advanced after each unit.
        on_result: Called with index and result as units finish, in any order: keeps them.
        done: The units whose results are kept already, by this run or another.
        label: What progress and errors call the units.
        names: What errors call each.
        unit_sizes: What each unit counts for in ``progress``; 1 each by default.
        unit_costs: How long each takes, in any unit; by default as its size says.
        needed_for: What the units that come after these are called; None: there are none.

    Raises:
        ShardEnd: the engine is a shard which has run its units, and the others have not run theirs,
            or there are no further ones.
        UsageError: shards are merged, and have not run all units.
        Exception: as ``map_units``.
    """
    work = _Round(units, label, names, unit_sizes, unit_costs)
    missing = [k for k in range(len(units)) if k not in done]
    if engine.merged:
        refuse_gaps(missing, label, len(units), engine.merged)
    shard = engine.shard
    mine = [k for k in range(len(units)) if shard is None or shard_of(k, shard.count) == shard]
    todo = [k for k in mine if k not in done]
    work.start(progress, mine, todo)
    if todo:
        with _opened(function, engine, len(todo)) as pool:
            _run(pool, work, todo, progress, on_result)
    if shard is not None and (needed_for is None or len(todo) < len(missing)):
        raise ShardEnd(shard, label, sum(work.sizes[k] for k in mine), needed_for)


class UnitPool(Generic[Unit, Result]):
    """Workers that stay for several rounds of units; made by ``open_pool``."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def map(
        self, units: Sequence[Unit], progress: Progress = silent, *, label: str = LABEL
    ) -> list[Result]:
        """Do what ``map_units`` does with workers that run already; after an error, close them."""
        results: dict[int, Result] = {}
        self.run(units, progress, on_result=results.__setitem__, label=label)
        return [results[index] for index in range(len(units))]

    def run(
        self,
        units: Sequence[Unit],
        progress: Progress = silent,
        *,
        on_result: Callable[[int, Result], None],
        done: Container[int] = (),
        label: str = LABEL,
        names: Sequence[str] | None = None,
        unit_sizes: Sequence[int] | None = None,
    ) -> None:
        """Do what ``run_units`` does with workers that run already; after an error, close them."""
        work = _Round(units, label, names, unit_sizes)
        todo = [k for k in range(len(units)) if k not in done]
        work.start(progress, range(len(units)), todo)
        _run(self._pool, work, todo, progress, on_result)


@contextmanager
def open_pool(
    function: Callable[[Unit], Result], engine: Engine
) -> Iterator[UnitPool[Unit, Result]]:
    """Start workers for rounds of units that depend on the results of earlier rounds.

    Raises:
        UsageError: the engine is a shard.
        ResourceError: the workers of the engine can't be reached.
    """
    if engine.shard is not None:
        raise UsageError(f"--shard: each round of {function.__name__} depends on all of the last")
    with _opened(function, engine) as pool:
        yield UnitPool(pool)


class _Round:
    """Units that can be run in any order."""

    def __init__(
        self,
        units: Sequence[Any],
        label: str,
        names: Sequence[str] | None,
        sizes: Sequence[int] | None,
        costs: Sequence[float] | None = None,
    ) -> None:
        total = len(units)
        self.units, self.label = units, label
        self.names = names or [f"{k + 1} of {total} ({label})" for k in range(total)]
        self.sizes = sizes or [1] * total
        self.costs = costs or self.sizes

    def start(self, progress: Progress, all_units: Iterable[int], todo: Iterable[int]) -> None:
        """Tell progress what there is and what is left of it."""
        total, left = (sum(self.sizes[k] for k in some) for some in (all_units, todo))
        progress.start(self.label, total, total - left)


def _run(
    pool: Pool,
    work: _Round,
    todo: Sequence[int],
    progress: Progress,
    on_result: Callable[[int, Any], None],
) -> None:
    waiting, finished = deque(todo), 0
    cargo = Cargo(work.units, todo)
    pool.begin(cargo, work.names)
    all_of_it = sum(work.costs[k] for k in todo)
    try:
        while finished < len(todo):
            _raise_if_stopped(progress, finished, len(todo))
            _submit(pool, waiting)
            for one in pool.finished(POLL_S):
                if one.error is not None:
                    if work.names[one.index] not in str(one.error):
                        name_unit(one.error, work.names[one.index])
                    raise one.error
                cargo.finish(one.index)
                _submit(pool, waiting)
                on_result(one.index, one.result)
                share = work.costs[one.index] / all_of_it
                progress.advance(work.sizes[one.index], share=share)
                finished += 1
    except KeyboardInterrupt:  # a worker was so slow to take a unit that nobody asked about signals
        _raise_if_stopped(progress, finished, len(todo))
        raise


def _submit(pool: Pool, waiting: deque[int]) -> None:
    while waiting and pool.has_room():
        pool.submit(waiting.popleft())


def _raise_if_stopped(progress: Progress, done: int, total: int) -> None:
    signal_number = progress.stop_signal()
    if signal_number:
        name = signal.Signals(signal_number).name
        raise InterruptedRunError(signal_number, f"stopped by {name} after {done} of {total} units")


@contextmanager
def _opened(
    function: Callable[[Any], Any], engine: Engine, most: int | None = None
) -> Iterator[Pool]:
    """Open what runs units: no more processes than ``most``."""
    pool: Pool
    if engine.scheduler is None:
        workers = engine.workers or default_workers()
        pool = ProcessPool(function, min(workers, most or workers))
    else:
        pool = _dask_pool(function, engine.scheduler)
    try:
        yield pool
    finally:
        pool.close()


def _dask_pool(function: Callable[[Any], Any], scheduler: str) -> Pool:
    """Return the workers of a Dask scheduler.

    Raises:
        UsageError: Dask is not installed: it is an extra.
    """
    try:
        from nnit.dask_cluster import DaskPool
    except ModuleNotFoundError as error:
        if error.name not in ("dask", "distributed"):
            raise
        raise UsageError(
            f"--executor dask://{scheduler}: needs nnit[cluster]; pip install 'nnit[cluster]'"
        ) from None
    return DaskPool(function, scheduler)
