"""One thread, as in worker processes."""

import pytest
from learning_examples import worker_settings


@pytest.fixture(autouse=True)
def _as_in_a_worker():
    """Nothing of ``prepare_torch`` is left behind."""
    with worker_settings():
        yield
