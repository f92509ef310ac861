"""The bank of states."""

import numpy as np
from learning_examples import INTERFACE, make_demos

from nnit.state_bank import draw_states


def test_the_bank_holds_standardised_observations_once_each():
    """Every state is one of the demonstrations', none twice, and a seed gives the same ones."""
    demos = make_demos()
    states = draw_states(demos, 20, seed=1)
    everything = INTERFACE.standardise(demos.observations)
    assert states.shape == (20, INTERFACE.obs_dim)
    assert len(np.unique(states, axis=0)) == 20
    assert {row.tobytes() for row in states} <= {row.tobytes() for row in everything}
    np.testing.assert_array_equal(states, draw_states(demos, 20, seed=1))
    assert not np.array_equal(states, draw_states(demos, 20, seed=2))


def test_a_small_set_is_the_bank_as_a_whole():
    """Where there are fewer states than wanted, all are used, in their order."""
    demos = make_demos()
    everything = INTERFACE.standardise(demos.observations)
    np.testing.assert_array_equal(draw_states(demos, 10**6, seed=0), everything)
