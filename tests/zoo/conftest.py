"""A small hypernetwork that has learnt something, and its branches."""

import pytest
from learning_examples import INTERFACE, RANGE, TINY_GHN, make_demos, worker_settings

from nnit.architectures import sample_architecture
from nnit.cloning import cloning_data
from nnit.ghn.model import build_ghn
from nnit.ghn.training import GhnTrainingSettings, train_ghn
from nnit.groups.training import CloningSettings
from nnit.training import build_optimizer, model_arrays
from nnit.zoo.export import BranchUnit, ExportSettings, train_branch

SETTINGS = ExportSettings(
    networks=45,
    repeated=((8,),),
    repeats=3,
    branches=2,
    branch_noise=0.3,
    branch_steps=20,
    architectures_per_step=2,
    branch_batch_size=32,
    branch_learning_rate=2e-3,
    weight_decay=0.01,
    fine_tuning=CloningSettings(steps=15, batch_size=32, learning_rate=1e-3),
    seed=3,
)


@pytest.fixture(autouse=True)
def _as_in_a_worker():
    """One thread, and nothing of ``prepare_torch`` is left behind."""
    with worker_settings():
        yield


@pytest.fixture(scope="session")
def settings():
    """Few and short steps."""
    return SETTINGS


@pytest.fixture(scope="session")
def branch_units():
    """Two branches of one trained hypernetwork, to do."""
    ghn = build_ghn(TINY_GHN, INTERFACE.obs_dim, INTERFACE.act_dim, 0)
    demos = make_demos()
    steps = train_ghn(
        ghn,
        build_optimizer(ghn, 0.01),
        cloning_data(demos),
        INTERFACE,
        lambda generator: sample_architecture(generator, RANGE),
        GhnTrainingSettings(80, 2, 64, 5e-3, seed=0),
    )
    for _ in steps:
        pass
    arrays = model_arrays(ghn)
    return [BranchUnit(k, TINY_GHN, arrays, demos, RANGE, SETTINGS) for k in range(2)]


@pytest.fixture(scope="session")
def branches(branch_units):
    """The arrays of the two branches."""
    with worker_settings():
        return [train_branch(unit).arrays for unit in branch_units]
