"""A Dask scheduler and its workers as a user starts them, each a process of its own."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from command_server import kill_group
from distributed import Client

ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "2",  # of a unit: the third is its last
}


class Cluster:
    """A scheduler on this machine.

    Args:
        folder: An empty one, for what they write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.processes: list[subprocess.Popen] = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            host, port = free.getsockname()
        self.address = f"{host}:{port}"
        self._start("scheduler", "--host", host, "--port", str(port))

    def add_workers(self, count: int, *flags: str) -> subprocess.Popen:
        """Start workers, of one thread each unless flags say otherwise; they join soon."""
        number = ["--nworkers", str(count), "--nthreads", "1"]
        return self._start("worker", self.address, *number, *flags)

    def wait_for_workers(self, count: int) -> None:
        """Return when so many are there: those that were killed are replaced meanwhile."""
        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=30)

    def close(self) -> None:
        """End all of them."""
        for process in self.processes:
            kill_group(process.pid)  # workers that are about to be replaced would hang on
            process.wait(timeout=30)

    def _start(self, *words: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *words, "--no-dashboard"],
            cwd=self._folder,
            env={**os.environ, **ENVIRONMENT},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.processes.append(process)
        return process


@contextmanager
def dask_cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """Run a scheduler with workers while the block runs."""
    cluster = Cluster(folder)
    try:
        if workers:
            cluster.add_workers(workers)
        yield cluster
    finally:
        cluster.close()
