"""Units by the workers of a Dask scheduler: as by processes of this machine."""

import asyncio
import functools
import os
import random
import resource
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import test_parallel as local
from dask_processes import dask_cluster
from distributed import Future

from nnit import dask_cluster as engine_module
from nnit.dask_cluster import Setup
from nnit.engine import Engine
from nnit.errors import InterruptedRunError, ResourceError, UsageError, unit_of
from nnit.parallel import map_units, open_pool

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def engine(cluster) -> Engine:
    """Two workers, whatever the last test did to them."""
    cluster.wait_for_workers(2)
    return Engine(scheduler=cluster.address)


@pytest.fixture(scope="module")
def lone_scheduler(tmp_path_factory):
    """A scheduler without workers; tests come in their order."""
    with dask_cluster(tmp_path_factory.mktemp("lone"), 0) as found:
        yield found


@functools.cache
def _remembered() -> float:
    return time.monotonic()


def _prepared(unit):
    """Leave a worker as units of training do; return what it was like before."""
    import torch

    from nnit.training import prepare_torch

    tiny = torch.full((1,), 1e-39)
    found = (float(tiny * 0.5) != 0, torch.get_deterministic_debug_mode(), torch.get_num_threads())
    prepare_torch()
    assert float(tiny * 0.5) == 0
    return found


def _nap_and_mark(mark):
    """Return the name; while it runs, a file with it holds the process id."""
    mark.write_text(str(os.getpid()))
    time.sleep(0.1)
    mark.unlink(missing_ok=True)
    return mark.name


PAGES = 256  # of an array


def _page_faults(_):
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    for _ in range(100):
        np.ones(PAGES * resource.getpagesize(), np.uint8)
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before


def _nap(seconds):
    time.sleep(seconds)
    return os.getpid()


def test_results_come_in_unit_order(engine):
    """As those of local workers, and by both workers."""
    assert map_units(local._slower_first, range(5), engine) == list(range(5))
    assert len(set(map_units(_nap, [0.05] * 12, engine))) == 2


def test_an_error_in_a_worker_is_raised_here(engine):
    """Type, faults, the unit's name and the worker's traceback, as of a local worker."""
    with pytest.raises(UsageError, match="unit two") as caught:
        map_units(local._fail_on_two, range(5), engine)
    assert caught.value.faults == ("unit two", "is impossible")
    assert "_fail_on_two" in caught.value.__notes__[0]
    assert unit_of(caught.value) == "3 of 5 (units)"


def test_a_killed_worker_is_replaced_and_its_unit_repeated(engine, tmp_path):
    """SIGKILL of workers loses nothing."""
    units = [tmp_path / str(k) for k in range(2)]
    assert map_units(local._kill_own_process_twice, units, engine)[1] == 3


def test_ten_random_kills_lose_no_unit(engine, tmp_path):
    """While both workers are at work: a unit that waits at workers which die is given up too."""
    draw, over, killed = random.Random(0), threading.Event(), list[str]()

    def kill() -> None:
        while len(killed) < 10 and not over.wait(draw.uniform(0.05, 0.3)):
            marks = list(tmp_path.iterdir())
            if len(marks) == 2:
                mark = draw.choice(marks)
                with suppress(OSError, ValueError):  # the unit has just ended
                    os.kill(int(mark.read_text()), signal.SIGKILL)
                    killed.append(mark.name)
                mark.unlink(missing_ok=True)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        while len(killed) < 10:
            units = [tmp_path / str(k) for k in range(60)]
            assert map_units(_nap_and_mark, units, engine) == [one.name for one in units]
    finally:
        over.set()
        killer.join()


def test_a_unit_whose_workers_are_killed_is_given_up(engine):
    """One line with the unit, after as many workers as the scheduler allows."""
    names = [f"network {k}" for k in range(2)]
    with pytest.raises(ResourceError, match=r"unit network 1: 3 workers .* killed") as caught:
        map_units(local._kill_own_process, range(2), engine, names=names)
    assert "\n" not in str(caught.value)


def test_what_units_share_goes_to_each_worker_once(engine):
    """All units of a worker have one array, whole, that none of them can change."""
    units = local._units(12)
    found = map_units(local._where_and_what, units, engine)
    places = {(process, place) for process, place, *_ in found}
    assert len(places) == len({process for process, _ in places}) == 2
    expected = units[0].shared["observations"].sum(), False
    assert {(total, writeable) for *_, total, writeable in found} == {expected}


def test_a_unit_finds_torch_as_in_a_fresh_process(engine):
    """Though every unit leaves it prepared for training."""
    assert set(map_units(_prepared, range(6), engine)) == {(True, 0, 1)}


def test_a_worker_uses_memory_again_that_it_has_freed(engine):
    """Dask would have it map every array anew, as often as training makes one."""
    assert max(map_units(_page_faults, range(4), engine)) < 100 * PAGES / 4


def test_a_round_begins_with_empty_caches(monkeypatch):
    """What a worker has read may have changed on disk since another run."""
    monkeypatch.setattr(engine_module, "_rounds", [""])
    monkeypatch.setitem(sys.modules, "nnit.remembered", sys.modules[__name__])
    first = _remembered()
    engine_module._begin("a round")
    second = _remembered()
    engine_module._begin("a round")
    assert first != second == _remembered()


def test_workers_of_a_pool_stay_for_the_next_round(engine):
    """Rounds that depend on each other, by one connection."""
    with open_pool(local._slower_first, engine) as pool:
        assert [pool.map(range(3)), pool.map([]), pool.map([5, 0])] == [[0, 1, 2], [], [5, 0]]


def test_a_result_that_takes_long_to_fetch_is_waited_for_longer(engine, monkeypatch):
    """A transfer that was given up begins anew: with the same patience it would never end."""
    monkeypatch.setattr("nnit.dask_cluster.FETCHING_S", 1e-3)
    assert map_units(local._square, range(4), engine) == [0, 1, 4, 9]


def test_a_transfer_that_is_cancelled_is_repeated(engine, monkeypatch):
    """Dask's `sync` has neither result nor error to give then."""
    whole, cancelled = Future._result, []

    async def once_cancelled(future, *args):
        if future.key not in cancelled:
            cancelled.append(future.key)
            raise asyncio.CancelledError
        return await whole(future, *args)

    monkeypatch.setattr(Future, "_result", once_cancelled)
    assert map_units(local._square, range(4), engine) == [0, 1, 4, 9]
    assert len(cancelled) == 4


def test_a_request_to_stop_drops_what_is_not_finished(engine):
    """The call returns at once, and the scheduler forgets what no worker has begun."""
    started = time.monotonic()
    with pytest.raises(InterruptedRunError, match=r"SIGTERM after \d of 100 units"):
        map_units(_nap, [0.2] * 100, engine, local._Recorder(stop_after_s=0.3))
    assert time.monotonic() - started < 5
    assert map_units(local._square, [3], engine) == [9]


def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch):
    """With the address, and how to start one."""
    monkeypatch.setattr(engine_module, "CONNECTING_S", 0.3)
    with pytest.raises(
        ResourceError, match=r"dask://127\.0\.0\.1:1: no scheduler answers"
    ) as caught:
        map_units(local._square, [1], Engine(scheduler="127.0.0.1:1"))
    assert len(caught.value.faults) == 1


def test_a_scheduler_without_workers_is_one_line(lone_scheduler, monkeypatch):
    """With how to start some."""
    monkeypatch.setattr(engine_module, "PATIENCE_S", 0.3)
    with pytest.raises(ResourceError, match=r"has no workers; start some with .* --nthreads 1"):
        map_units(local._square, [1], Engine(scheduler=lone_scheduler.address))


def test_a_worker_with_threads_is_refused(lone_scheduler):
    """Units of one process would change each other's settings."""
    worker = lone_scheduler.add_workers(1, "--nthreads", "2", "--no-nanny")
    with pytest.raises(UsageError, match=r"worker tcp://.* has 2 threads; .* --nthreads 1"):
        map_units(local._square, [1], Engine(scheduler=lone_scheduler.address))
    worker.kill()
    worker.wait(timeout=30)


def test_a_lost_scheduler_is_one_line(lone_scheduler, tmp_path):
    """A run does not wait for what will not come back."""
    lone_scheduler.add_workers(1)
    engine = Engine(scheduler=lone_scheduler.address)
    with pytest.raises(ResourceError, match=r"--executor dask://.* scheduler") as caught:
        map_units(
            _tell_and_nap, [tmp_path / "begun"] * 20, engine, _Killing(lone_scheduler, tmp_path)
        )
    assert len(caught.value.faults) == 1


def _tell_and_nap(file):
    file.touch()
    time.sleep(0.5)


class _Killing(local._Recorder):
    """Kills the scheduler once a unit has begun."""

    def __init__(self, cluster, folder: Path) -> None:
        super().__init__()
        self._cluster, self._folder = cluster, folder

    def stop_signal(self):
        if (self._folder / "begun").exists():
            self._cluster.processes[0].kill()
        return 0


HERE = Setup((("Python", "3.11.2"), ("nnit", "0.1.0"), ("torch", "2.13.0")), 1, ("1", "1", "1"))


@pytest.mark.parametrize(
    ("worker", "fault"),
    [
        (HERE, ""),
        (
            HERE._replace(versions=(*HERE.versions[:1], ("nnit", "0.0.9"), *HERE.versions[2:])),
            "nnit 0.0.9, not 0.1.0",
        ),
        (HERE._replace(threads=4), "has 4 threads"),
        (HERE._replace(pinned=("1", None, "1")), "may compute in several threads"),
    ],
)
def test_a_worker_that_might_give_other_results_is_refused(worker, fault):
    """Versions and threads; what is as here is fine."""
    found = worker.misfit(HERE)
    assert fault in found
    assert bool(fault) == bool(found)


def test_without_the_extra_there_is_one_line(monkeypatch):
    """It says what to install."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "nnit.dask_cluster")
    with pytest.raises(UsageError, match=r"needs nnit\[cluster\]; pip install") as caught:
        map_units(local._square, [1], Engine(scheduler="127.0.0.1:1"))
    assert len(caught.value.faults) == 1
