"""The zoo as data."""

import numpy as np
from learning_examples import INTERFACE, make_zoo, random_flat

DIMS = [(3,), (4, 5), (3,)]


def test_every_network_has_its_own_weights():
    """Members, shapes and weights come back in order, whatever their lengths."""
    zoo = make_zoo(DIMS, seed=4)
    assert len(zoo) == 3
    for k, dims in enumerate(DIMS):
        spec = INTERFACE.spec(dims)
        assert zoo.spec(k) == spec
        network = zoo.network(k)
        assert network.hidden_dims == dims
        np.testing.assert_array_equal(network.weights, random_flat(spec, 4 + k))


def test_weights_of_a_network_are_a_view():
    """A zoo of gigabytes is not copied to look at one network."""
    zoo = make_zoo(DIMS)
    assert np.shares_memory(zoo.network(1).weights, zoo.weights)
