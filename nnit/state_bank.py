"""A fixed bank of states on which networks are compared by what they do."""

import numpy as np

from nnit.demos import Demos
from nnit.seeding import numpy_generator


def draw_states(demos: Demos, count: int, seed: int) -> np.ndarray:
    """Draw standardised observations of demonstrations, none twice: ``(<= count, obs_dim)``.

    Where there are fewer than ``count``, all of them are the bank. They stand in the order of
    the demonstrations.
    """
    generator = numpy_generator(seed, "state-bank")
    total = len(demos.observations)
    rows = np.sort(generator.permutation(total)[:count])
    return demos.interface.standardise(demos.observations[rows])
