"""Statistics of the training split, and what they do to it."""

import numpy as np
import pytest
from learning_examples import INTERFACE, make_zoo

from nnit.mlp import LayerShape, split_layers
from nnit.tokens.standardizer import fit_standardizer, layer_affine, role_index
from nnit.tokens.token_set import ROLES
from nnit.zoo.members import build_zoo

DIMS = [(5,), (16, 8), (7, 9, 3), (30, 4)]


@pytest.mark.parametrize(
    ("num_layers", "roles"),
    [
        (1, ["last"]),
        (2, ["first", "last"]),
        (4, ["first", "middle", "middle", "last"]),
    ],
)
def test_roles_of_the_layers(num_layers, roles):
    """The last layer is never the first, also where there is only one."""
    assert [ROLES[role_index(k, num_layers)] for k in range(num_layers)] == roles


def test_held_out_members_do_not_enter_the_statistics():
    """A network with huge weights changes nothing unless its split is ``train``."""
    without = fit_standardizer(make_zoo(DIMS))
    for split, changes in (("unseen_combo", False), ("wider", False), ("train", True)):
        zoo = make_zoo([*DIMS, (8, 8)], splits=["train"] * len(DIMS) + [split])
        zoo.network(len(DIMS)).weights[:] *= 1e4
        assert (fit_standardizer(zoo) != without) is changes


def test_a_zoo_without_training_networks_is_refused():
    """There is nothing to fit on."""
    with pytest.raises(ValueError, match="train"):
        fit_standardizer(make_zoo([(4, 4)], splits=["deeper"]))


def test_standardised_training_data_has_mean_zero_and_variance_one():
    """For every role, weights and biases apart, every layer weighing the same."""
    zoo = make_zoo(DIMS)
    zoo.weights[:] = 3 * zoo.weights + 0.7
    standardizer = fit_standardizer(zoo)
    moments = {}
    for k in range(len(zoo)):
        layers = split_layers(zoo.spec(k), zoo.network(k).weights)
        for index, layer in enumerate(layers):
            role = role_index(index, len(layers))
            affine = layer_affine(standardizer, LayerShape(*layer.weight.shape), role)
            for part, (shift, scale) in zip(("weight", "bias"), affine, strict=True):
                values = (getattr(layer, part) - shift) / scale
                entry = moments.setdefault((part, role), [])
                entry.append((values.mean(dtype=float), np.square(values).mean(dtype=float)))
    assert len(moments) == 6
    for entry in moments.values():
        np.testing.assert_allclose(np.mean(entry, axis=0), [0, 1], atol=1e-5)


def test_width_does_not_show_in_the_scale():
    """Weights are scaled by the square root of 2 / fan-in, biases are not."""
    standardizer = fit_standardizer(make_zoo(DIMS))
    narrow, wide = (layer_affine(standardizer, LayerShape(8, n), 1) for n in (16, 64))
    assert narrow.weight.scale == pytest.approx(2 * wide.weight.scale)
    assert narrow.weight.shift == pytest.approx(2 * wide.weight.shift)
    assert narrow.bias == wide.bias


def test_zoo_of_one_layer_networks_leaves_middle_layers_alone():
    """There is no middle layer to learn from: only the scaling by fan-in stays."""
    standardizer = fit_standardizer(make_zoo([(5,), (7,)]))
    middle = ROLES.index("middle")
    assert standardizer.weight_mean[middle] == standardizer.bias_mean[middle] == 0
    assert standardizer.weight_std[middle] == standardizer.bias_std[middle] == 1


def test_weights_that_are_all_alike_do_not_divide_by_zero():
    """Biases of zeros give a small positive scale."""
    zoo = make_zoo([(5,), (7, 7)])
    flat = np.zeros_like(zoo.weights)
    standardizer = fit_standardizer(
        build_zoo(list(zoo.members), np.split(flat, zoo.offsets[1:-1]), INTERFACE)
    )
    assert min(*standardizer.bias_std, *standardizer.weight_std) > 0
