"""What tests of several rooms use."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_server import CommandServer, command_server
from dask_processes import Cluster, dask_cluster
from hypothesis import settings

from nnit.processes import start_server

COMMANDS, ROOMS = (
    {"nnit", "server", "cluster", "pipeline"},
    {"cli", "e2e", "campaign"},
)  # fixtures, folders
LONG = ("slow", "seconds", "sim", "commands")  # markers
REPOSITORY = Path(__file__).parents[1]
settings.register_profile("nnit", deadline=None, derandomize=True)  # a machine may be busy
settings.load_profile("nnit")
Nnit = Callable[..., subprocess.CompletedProcess[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that run commands, or build on what commands made; `make test-fast` omits them."""
    for item in items:
        if COMMANDS & set(getattr(item, "fixturenames", ())) or ROOMS & set(item.path.parts):
            item.add_marker("commands")


@pytest.fixture(scope="session", autouse=True)
def workers_at_hand(request) -> None:
    """Have workers forked from a process that has imported what they need, where any will be."""
    if any(item.get_closest_marker(name) for item in request.session.items for name in LONG):
        start_server("nnit.zoo.export", "nnit.rollout.episodes", "mani_skill.envs", "torch._dynamo")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The top folder of the project."""
    return REPOSITORY


@pytest.fixture
def nnit(tmp_path: Path) -> Nnit:
    """Run the command line as a process of its own, in an empty folder."""

    def run(*words: str, timeout: float = 120, **environment: str):
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("NNIT_", "NO_COLOR"))}
        return subprocess.run(
            [sys.executable, "-m", "nnit_cli", *words],
            cwd=tmp_path,
            env={**inherited, "PYTHONPATH": str(REPOSITORY), **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[CommandServer]:
    """The command line in forks of a process that has everything imported."""
    with command_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    """A Dask scheduler with two workers."""
    with dask_cluster(tmp_path_factory.mktemp("cluster"), 2) as running:
        yield running
