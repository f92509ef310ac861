"""A complete tiny pipeline, built once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from learning_examples import worker_settings
from tiny_pipeline import build


@pytest.fixture(autouse=True)
def _as_in_a_worker() -> Iterator[None]:
    """One thread, as in worker processes; what the stages set in torch is undone."""
    with worker_settings():
        yield


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory) -> Path:
    """A folder with one artifact of each kind and ``params.yaml``; not to be changed."""
    folder = tmp_path_factory.mktemp("pipeline")
    with worker_settings():
        build(folder)
    return folder
