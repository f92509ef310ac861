"""One MLP that is cut to any width."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from learning_examples import INTERFACE, RANGE, make_demos, random_flat

from nnit.architectures import sample_architecture
from nnit.cloning import cloning_data, evaluate_loss, layers_from_flat, run_mlp
from nnit.demos import Demos
from nnit.groups.training import CloningSettings
from nnit.mlp import CLASS
from nnit.slimmable import cut_flat, train_slimmable

WIDEST, NARROWEST = (24, 24), (8, 8)
DEPTH_TWO = replace(RANGE, depth_min=2)


def trained(steps, demos: Demos | None = None, seed=0, drawn=None):
    """Train on tiny demonstrations; returns the weights and the data."""
    data = cloning_data(demos or make_demos())

    def draw(chance):
        dims = sample_architecture(chance, DEPTH_TWO)
        if drawn is not None:
            drawn.append(dims)
        return dims

    settings = CloningSettings(steps, 32, 5e-3)
    return train_slimmable(WIDEST, NARROWEST, draw, data, INTERFACE, settings, seed), data


def test_a_part_is_the_whole_with_the_other_units_silent():
    """Cut to narrower layers it does what it does where all other units are 0."""
    wanted, spec = (16, 9), INTERFACE.spec(WIDEST)
    flat = torch.from_numpy(random_flat(spec, 0))
    x = torch.randn(5, INTERFACE.obs_dim)
    cut = layers_from_flat(INTERFACE.spec(wanted), cut_flat(flat, WIDEST, wanted, INTERFACE))
    silent = flat.clone()
    for layer, width in zip(layers_from_flat(spec, silent)[:-1], wanted, strict=True):
        layer.weight[width:], layer.bias[width:] = 0, 0
    torch.testing.assert_close(run_mlp(cut, x), run_mlp(layers_from_flat(spec, silent), x))
    assert torch.equal(cut_flat(flat, WIDEST, WIDEST, INTERFACE), flat)


@pytest.mark.parametrize("wanted", [(16,), (16, 16, 16), (16, 28)])
def test_what_is_no_part_is_refused(wanted):
    """Of another depth, or wider."""
    flat = torch.zeros(INTERFACE.spec(WIDEST).num_parameters)
    with pytest.raises(ValueError, match="no part"):
        cut_flat(flat, WIDEST, wanted, INTERFACE)


def test_every_width_learns():
    """The widest, the narrowest and one between, which was held out of training."""
    drawn: list[tuple[int, ...]] = []
    before, data = trained(0)
    after, _ = trained(400, drawn=drawn)
    for dims in (WIDEST, (16, 8), NARROWEST):
        first, last = (
            evaluate_loss(
                layers_from_flat(INTERFACE.spec(dims), cut_flat(flat, WIDEST, dims, INTERFACE)),
                data,
            )
            for flat in (before, after)
        )
        assert last < 0.5 * first
    assert len(drawn) == 800
    assert (16, 8) not in drawn
    assert all(12 not in dims for dims in drawn)


def test_the_seed_decides():
    """The same weights again, others with another seed."""
    (one, _), (same, _), (other, _) = trained(3), trained(3), trained(3, seed=1)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_classes_are_taught_as_probabilities():
    """Parts of a classifier learn from it too."""
    demos = make_demos()
    labels = np.eye(INTERFACE.act_dim, dtype=np.float32)[demos.actions.argmax(axis=1)]
    classes = replace(demos, actions=labels, interface=INTERFACE._replace(output=CLASS))
    before, data = trained(0, classes)
    after, _ = trained(300, classes)
    narrow = INTERFACE.spec(NARROWEST)
    first, last = (
        evaluate_loss(layers_from_flat(narrow, cut_flat(f, WIDEST, NARROWEST, INTERFACE)), data)
        for f in (before, after)
    )
    assert last < 0.8 * first
