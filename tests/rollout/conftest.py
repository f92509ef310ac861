"""A policy that solves PushCube, made in seconds."""

import numpy as np
import pytest

from nnit.mlp import LayerWeights, join_layers
from nnit.rollout.episodes import EvaluationRequest
from nnit.tasks.collect import DemoRequest, collect_demos
from nnit.tasks.task import TaskRef

HIDDEN = 192


@pytest.fixture(scope="session")
def demos():
    """Sixty demonstrations of PushCube."""
    return collect_demos(TaskRef("PushCube-v1"), DemoRequest(60))


@pytest.fixture(scope="session")
def interface(demos):
    """The scaling of observations that fits them."""
    return demos.interface


@pytest.fixture(scope="session")
def cloned(demos):
    """Random ReLU features with a ridge regression on top of them."""
    rng = np.random.default_rng(0)
    obs_dim = demos.interface.obs_dim
    weight = (rng.normal(size=(HIDDEN, obs_dim)) / np.sqrt(obs_dim)).astype(np.float32)
    bias = rng.normal(scale=0.5, size=HIDDEN).astype(np.float32)
    features = np.maximum(demos.interface.standardise(demos.observations) @ weight.T + bias, 0)
    features = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    gram = features.T @ features + 0.1 * np.eye(HIDDEN + 1)
    solution = np.linalg.solve(gram, features.T @ demos.actions).astype(np.float32)
    layers = [LayerWeights(weight, bias), LayerWeights(solution[:-1].T, solution[-1])]
    return EvaluationRequest("clone", "cloned", (HIDDEN,), "train", join_layers(layers))


@pytest.fixture(scope="session")
def idle(interface):
    """A network of zeros: it never moves on purpose."""
    weights = np.zeros(interface.spec((8, 8)).num_parameters, np.float32)
    return EvaluationRequest("idle", "sample", (8, 8), "unseen_combo", weights)
