"""Work over processes: the same results in the same order, and no way to hang."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from nnit.engine import ONE_WORKER, Engine, Shard, ShardEnd
from nnit.errors import InterruptedRunError, ResourceError, UsageError, unit_of
from nnit.parallel import map_units, open_pool, run_units
from nnit.processes import THREAD_VARIABLES, default_workers
from nnit.progress import SilentProgress
from nnit.shipping import SHARED_BYTES, Cargo, unpack


def _square(unit):
    return unit * unit


def _slower_first(unit):
    time.sleep(0.8 if unit == 0 else 0.0)  # the other worker begins and ends one meanwhile
    return unit


def _process_and_threads(_):
    return os.getpid(), [os.environ[name] for name in THREAD_VARIABLES]


def _torch_threads(_):
    import torch

    return torch.get_num_threads()


def _fail_on_two(unit):
    if unit == 2:
        raise UsageError("unit two", "is impossible")
    return unit


def _kill_own_process(unit):
    if unit == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return unit


def _kill_own_process_twice(file):
    """Return the attempts; units with an odd number need three."""
    with file.open("a") as stream:
        stream.write(".")
    attempts = len(file.read_text())
    if int(file.name) % 2 and attempts < 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return attempts


def _leave(_):
    sys.exit(3)


def _sleep_long(_):
    time.sleep(600)


def _write_process_id_and_sleep(folder):
    (folder / str(os.getpid())).touch()
    time.sleep(600)


class _Recorder(SilentProgress):
    def __init__(self, stop_after_s=None, signal_number=signal.SIGTERM):
        self.advanced, self.shares = [], []
        self.stop_at = None if stop_after_s is None else time.monotonic() + stop_after_s
        self.signal_number = signal_number

    def advance(self, units=1, *, share=None, **figures):
        self.advanced.append(units)
        self.shares.append(share)

    def stop_signal(self):
        stopped = self.stop_at is not None and time.monotonic() > self.stop_at
        return self.signal_number if stopped else 0


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_unit_order(workers):
    """Results stand in the order of the units, however many workers there are."""
    assert map_units(_square, range(7), Engine(workers)) == [unit * unit for unit in range(7)]


def test_a_unit_that_finishes_later_keeps_its_place():
    """``on_result`` sees units as they finish, the returned list has them in order."""
    seen = []
    results = map_units(
        _slower_first, range(3), Engine(2), on_result=lambda i, r: seen.append((i, r))
    )
    assert results == [0, 1, 2]
    assert sorted(seen) == [(0, 0), (1, 1), (2, 2)]
    assert seen[0] != (0, 0)


def test_no_unit_gives_no_result():
    """An empty list of units needs no process."""
    assert map_units(_square, [], Engine(2)) == []


def test_one_worker_is_a_process_with_one_thread():
    """A single worker is another process, pinned like any other; the parent stays as it was."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    ((process_id, threads),) = map_units(_process_and_threads, [0], ONE_WORKER)
    assert process_id != os.getpid()
    assert threads == ["1"] * len(THREAD_VARIABLES)
    assert {name: os.environ.get(name) for name in THREAD_VARIABLES} == before


def test_torch_computes_with_one_thread_in_a_worker():
    """The pinning reaches torch."""
    assert map_units(_torch_threads, [0], ONE_WORKER) == [1]


def test_progress_counts_what_units_are_worth():
    """Each finished unit advances the progress by its size."""
    progress = _Recorder()
    map_units(_square, [1, 2, 3], ONE_WORKER, progress, unit_sizes=[10, 10, 5])
    assert progress.advanced == [10, 10, 5]
    assert progress.shares == [0.4, 0.4, 0.2]


def test_progress_is_told_how_much_of_the_work_a_unit_was():
    """By what units cost, where that is said; what was done before does not count."""
    progress, costs = _Recorder(), [9.0, 3.0, 1.0]
    kept = {}
    run_units(
        _square,
        [1, 2, 3],
        ONE_WORKER,
        progress,
        on_result=kept.__setitem__,
        done={0},
        unit_sizes=[10, 10, 5],
        unit_costs=costs,
    )
    assert (progress.advanced, progress.shares, kept) == ([10, 5], [0.75, 0.25], {1: 4, 2: 9})


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_worker_is_raised_here(workers):
    """Type and faults of a unit's error survive, with its name and the worker's traceback."""
    with pytest.raises(UsageError, match="unit two") as caught:
        map_units(_fail_on_two, range(5), Engine(workers))
    assert caught.value.faults == ("unit two", "is impossible")
    assert "_fail_on_two" in caught.value.__notes__[0]
    assert unit_of(caught.value) == "3 of 5 (units)"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_worker_is_replaced_and_its_unit_repeated(workers, tmp_path):
    """SIGKILL of workers, as by the kernel's memory killer, loses nothing."""
    units = [tmp_path / str(k) for k in range(4)]
    found = map_units(_kill_own_process_twice, units, Engine(workers))
    assert found == [3 if int(unit.name) % 2 else 1 for unit in units]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_unit_whose_workers_are_killed_is_given_up(workers):
    """After three workers: one line with the unit and the signal, and no hang."""
    names = [f"network {k}" for k in range(4)]
    with pytest.raises(ResourceError, match=r"network 1: 3 workers .* by SIGKILL") as caught:
        map_units(_kill_own_process, range(4), Engine(workers), names=names)
    assert caught.value.exit_code == 6
    assert "\n" not in str(caught.value)


def test_a_worker_that_exits_is_an_error():
    """A worker that ends by itself is our bug, not the machine's."""
    with pytest.raises(RuntimeError, match="exit code 3"):
        map_units(_leave, [0], ONE_WORKER)


def test_fewer_workers_than_none_are_refused():
    """The number of workers is at least one; 0 stands for one per core."""
    with pytest.raises(UsageError, match="--workers -1"):
        Engine(-1)


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_to_stop_ends_running_units(signal_number):
    """Once asked to stop, the call returns within seconds though its units would take minutes."""
    started = time.monotonic()
    with pytest.raises(InterruptedRunError) as caught:
        map_units(
            _sleep_long,
            range(4),
            Engine(2),
            _Recorder(stop_after_s=0.5, signal_number=signal_number),
        )
    assert time.monotonic() - started < 10
    assert caught.value.exit_code == 128 + signal_number


# SIGINT is set because a shell starts commands in its background with it ignored.
PARENT = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {tests!r})
from nnit.engine import Engine
from nnit.parallel import map_units
from test_parallel import _write_process_id_and_sleep
if __name__ == "__main__":
    map_units(_write_process_id_and_sleep, [Path({folder!r})] * 2, Engine(2))
"""


def _start_parent(tmp_path):
    """Run ``map_units`` in a process group of its own; return it and its workers' ids."""
    folder = tmp_path / "workers"
    folder.mkdir()
    script = tmp_path / "parent.py"
    script.write_text(PARENT.format(tests=str(Path(__file__).parent), folder=str(folder)))
    parent = subprocess.Popen(
        [sys.executable, str(script)], start_new_session=True, stderr=subprocess.PIPE
    )
    _wait_until(lambda: len(list(folder.iterdir())) == 2)
    return parent, [int(path.name) for path in folder.iterdir()]


def _wait_until(condition, timeout_s=30.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.05)


def _is_alive(process_id):
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
        return stat.rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_workers_die_with_a_killed_parent(tmp_path):
    """After SIGKILL of the parent no worker is left, though each is in the middle of a unit."""
    parent, workers = _start_parent(tmp_path)
    assert all(map(_is_alive, workers))
    parent.kill()
    parent.communicate()
    _wait_until(lambda: not any(map(_is_alive, workers)), timeout_s=20.0)


def test_ctrl_c_reaches_the_parent_alone(tmp_path):
    """SIGINT to the whole group makes one traceback, the parent's, and leaves no worker."""
    parent, workers = _start_parent(tmp_path)
    os.killpg(parent.pid, signal.SIGINT)
    _, stderr = parent.communicate(timeout=20)
    assert stderr.count(b"Traceback") == 1
    assert b"KeyboardInterrupt" in stderr
    _wait_until(lambda: not any(map(_is_alive, workers)), timeout_s=20.0)


def test_default_workers_respects_the_affinity():
    """The default is the number of cores that this process may use, not the machine's."""
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert default_workers() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_workers_of_a_pool_stay_for_the_next_round():
    """Two rounds are done by the same processes; each gives its results in unit order."""
    with open_pool(_process_and_threads, Engine(2)) as pool:
        rounds = [{process for process, _ in pool.map(range(6))} for _ in range(2)]
    assert len(rounds[0] | rounds[1]) <= 2
    with open_pool(_slower_first, Engine(2)) as pool:
        assert [pool.map(range(3)), pool.map([]), pool.map([5, 0])] == [[0, 1, 2], [], [5, 0]]


@dataclass(frozen=True)
class _Unit:
    """As the units of networks are: some that is its own, and demonstrations that all share."""

    number: int
    shared: dict[str, np.ndarray]


def _units(count):
    demos = {"observations": np.arange(SHARED_BYTES, dtype=np.float64)}
    return [_Unit(k, demos) for k in range(count)]


def _where_and_what(unit):
    time.sleep(0.1)  # so that both workers take part
    array = unit.shared["observations"]
    return os.getpid(), id(array), array.sum(), array.flags.writeable


def test_what_units_share_goes_to_each_worker_once():
    """All units of a worker have one array, whole, that none of them can change."""
    units = _units(12)
    found = map_units(_where_and_what, units, Engine(2))
    places = {(process, place) for process, place, *_ in found}
    assert len(places) == len({process for process, _ in places}) == 2
    expected = units[0].shared["observations"].sum(), False
    assert {(total, writeable) for *_, total, writeable in found} == {expected}


def test_bytes_of_a_unit_hardly_depend_on_what_it_shares():
    """A unit is sent in a hundredth of what it shares, and unpacks to what it was."""
    units = _units(3)
    cargo = Cargo(units, range(3))
    crates = [cargo.pack(k) for k in range(3)]
    (token,) = {token for crate in crates for token in crate.tokens}
    array = cargo.array(token)
    assert array is units[0].shared["observations"]
    assert max(len(crate.data) for crate in crates) < array.nbytes / 100
    again = unpack(crates[2], {token: array.copy()})
    assert again.number == 2
    np.testing.assert_array_equal(again.shared["observations"], array)


def test_an_array_of_one_unit_stays_in_it():
    """What is not shared is not kept by a worker either."""
    alone = [_Unit(0, {"a": np.zeros(SHARED_BYTES)}), _Unit(1, {"a": np.zeros(SHARED_BYTES)})]
    cargo = Cargo(alone, range(2))
    assert [cargo.pack(k).tokens for k in range(2)] == [(), ()]


def test_shared_arrays_are_forgotten_when_their_units_are_done():
    """Workers keep no array that no unit still needs."""
    units = _units(2)
    cargo = Cargo(units, range(2))
    (token,) = cargo.pack(0).tokens
    cargo.finish(0)
    assert cargo.is_needed(token)
    cargo.finish(1)
    assert not cargo.is_needed(token)


def test_shards_run_each_unit_once_and_merging_runs_none():
    """Every unit is run by one of three shards; what one left out is said by its number."""
    kept = {}
    for number in (1, 2, 3):
        with pytest.raises(ShardEnd) as ended:
            _keep_in(kept, Engine(1, shard=Shard(number, 3)))
        assert (ended.value.kept, ended.value.needed_for) == (7 // 3 + (number == 1), None)
    assert kept == {unit: unit * unit for unit in range(7)}
    _keep_in(kept, Engine(merged=3))
    del kept[1], kept[4], kept[5]
    with pytest.raises(UsageError, match=r"3 of 7 units \(squares\) .* shards 2, 3 of 3 again"):
        _keep_in(kept, Engine(merged=3))


def _keep_in(kept, engine):
    done = dict(kept)

    def keep(index, result):
        assert index not in kept
        kept[index] = result

    run_units(_square, range(7), engine, on_result=keep, done=done, label="squares")


def test_a_shard_goes_on_where_it_needs_no_other():
    """Once the others have run their units too, what needs these can be done."""
    kept = {unit: unit for unit in (1, 3)}
    engine, units = Engine(1, shard=Shard(1, 2)), range(4)
    how = {"on_result": kept.__setitem__, "needed_for": "networks", "label": "branches"}
    run_units(_square, units, engine, done=dict(kept), **how)
    assert kept == {0: 0, 1: 1, 2: 4, 3: 3}
    with pytest.raises(ShardEnd, match="shard 1 of 2: 2 branches"):
        run_units(_square, units, engine, done={0, 1, 2}, **how)


def test_rounds_are_not_for_a_shard():
    """What to run next depends on all results of a round."""
    with (
        pytest.raises(UsageError, match="--shard"),
        open_pool(_square, Engine(1, shard=Shard(1, 2))),
    ):
        pass
