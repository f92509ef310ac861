"""Whether a sampler's path leads away from networks that work."""

import numpy as np
import pytest
import torch
from learning_examples import INTERFACE, random_flat

from nnit.diffusion.batch import BatchRules, collate
from nnit.diffusion.drift import losses_along_path
from nnit.diffusion.ema import Ema
from nnit.diffusion.step import DiffusionTrainingSettings
from nnit.diffusion.training import network_tokens, train_diffusion
from nnit.diffusion.transformer import TransformerConfig, build_transformer
from nnit.diffusion.typical import grid_of
from nnit.seeding import torch_generator
from nnit.tokens.tokenizer import tokenize_zoo
from nnit.training import build_optimizer
from nnit.zoo.members import ZooMember, build_zoo

pytestmark = pytest.mark.seconds


def error_from(clean):
    """Judge content by its squared distance from a network."""
    return lambda content: float((content - clean.content).square().sum())


def test_a_perfect_predictor_has_no_loss_on_either_path(networks):
    """Nor is there any where it is always off by the same: then both are alike."""
    clean = collate(networks[:1])
    for off in (0.0, 0.5):
        path = losses_along_path(
            lambda batch, _a, _w, off=off: clean.content + off,
            clean,
            error_from(clean),
            4,
            torch_generator(0),
        )
        expected = [float(off**2 * clean.mask.sum())] * 4
        assert path.true == pytest.approx(expected)
        assert path.own == pytest.approx(expected)


def test_a_predictor_that_adds_to_errors_drifts(networks):
    """It trusts what it is given, and adds to it: exact at the truth, worse at each own step."""
    clean = collate(networks[:1])

    def predict(batch, _t_arch, t):
        if not t.any():
            return clean.content + 0.1
        noise_gone = batch.content - clean.content  # what is left beside the network
        return clean.content + noise_gone

    path = losses_along_path(predict, clean, error_from(clean), 4, torch_generator(0))
    assert path.drift > 1


def test_trained_on_its_own_predictions_it_does_not_drift():
    """A tiny zoo around one network a shape: at all times its own path is as near as the true one.

    Within a fifth, on the mean over the shapes.
    """
    shapes = [(8,), (8, 8), (16, 8), (16,)]
    centres = [random_flat(INTERFACE.spec(dims), seed=k) for k, dims in enumerate(shapes)]
    members = [ZooMember(shapes[k % 4], k // 4 % 2, 0, 0.0, 0.0) for k in range(16)]
    weights = [
        centres[k % 4] + 0.1 * random_flat(INTERFACE.spec(shapes[k % 4]), seed=40 + k)
        for k in range(16)
    ]
    token_set = tokenize_zoo(build_zoo(members, weights, INTERFACE), 4)
    tokens = [network_tokens(token_set, k) for k in range(16)]
    config = TransformerConfig(
        4, (1, 2), (8, 16), width=32, depth=2, heads=2, num_branches=2, places=grid_of(tokens)
    )
    model = build_transformer(config, 0)
    model.typical.fit(tokens, [0] * 16, [-1] * 16)
    ema, optimizer = Ema(model, 0.9), build_optimizer(model, 0.0)
    settings = DiffusionTrainingSettings(150, BatchRules(512), 3e-3, seed=0, autocast=False)
    branches = [k // 4 % 2 for k in range(16)]
    for _ in train_diffusion(
        model, ema, optimizer, tokens, list(token_set.architectures), branches, settings
    ):
        pass
    model.load_state_dict(ema.parameters)
    paths = []
    for k in range(4):
        alike = torch.stack([tokens[j].content for j in range(k, 16, 4)])
        centre = collate([tokens[k]._replace(content=alike.mean(0))])
        clean = collate([tokens[k]], branches=[branches[k]])
        paths.append(losses_along_path(model, clean, error_from(centre), 10, torch_generator(k)))
    own, true = (np.mean([path[side] for path in paths], axis=0) for side in (1, 0))
    assert (own <= 1.2 * true).all()
