"""Candidates: different, within bounds, even in the logarithm of size, of a seed."""

import numpy as np
import pytest

from nnit.errors import UsageError
from nnit.frontier.candidates import list_shapes, spread_shapes
from nnit.mlp import PolicyInterface
from nnit.patterns import ArchitectureBounds

INTERFACE = PolicyInterface("PickCube-v1", "pd", 42, 4, 50, (0.0,) * 42, (1.0,) * 42)
WIDTHS = tuple(range(16, 257, 4))
DEPTHS = (1, 2, 3, 4)
UNBOUNDED = ArchitectureBounds()

pytestmark = pytest.mark.seconds


def spread(count, bounds=UNBOUNDED, seed=0):
    """Draw shapes of the usual vocabulary."""
    return spread_shapes(count, WIDTHS, DEPTHS, bounds, INTERFACE, seed)


def sizes(shapes):
    """Return the parameters of each shape."""
    return np.array([INTERFACE.spec(shape).num_parameters for shape in shapes])


def test_shapes_are_different_within_bounds_and_of_the_vocabulary():
    """200 shapes, each once, ascending in size, every bound kept."""
    for bounds in (
        ArchitectureBounds(),
        ArchitectureBounds(max_params=6000),
        ArchitectureBounds(max_macs=9000, depth=2),
    ):
        shapes = spread(200, bounds)
        assert len(set(shapes)) == len(shapes) == 200
        assert all(bounds.admit(INTERFACE.spec(shape)) for shape in shapes)
        assert {width for shape in shapes for width in shape} <= set(WIDTHS)
        assert (np.diff(sizes(shapes)) >= 0).all()


def test_shapes_are_even_in_the_logarithm_of_size():
    """Each fifth of the log range has about a fifth of the shapes; even in plain size it is not."""
    found = np.log(sizes(spread(200)))
    counts, _ = np.histogram(found, bins=5)
    assert counts.min() >= 30
    assert counts.max() <= 50
    plain, _ = np.histogram(np.exp(found), bins=5)
    assert plain[0] > 100


def test_all_depths_occur():
    """No depth is left out, among small and large ones."""
    assert {len(shape) for shape in spread(60)} == set(DEPTHS)


def test_the_seed_decides():
    """The same seed draws the same shapes, another one others."""
    assert spread(50) == spread(50)
    assert spread(50) != spread(50, seed=1)
    small = ArchitectureBounds(max_params=3000)
    assert spread(20, small) == spread(20, small)
    assert spread(20, small) != spread(20, small, seed=1)


def test_where_there_are_fewer_all_are_taken():
    """Three widths and two depths are twelve shapes."""
    bounds = ArchitectureBounds()
    shapes = spread_shapes(200, (16, 20, 24), (1, 2), bounds, INTERFACE, 0)
    assert sorted(shapes) == sorted(list_shapes((16, 20, 24), (1, 2), bounds, INTERFACE) or [])
    assert len(shapes) == 12


def test_listed_shapes_are_those_of_a_naive_search():
    """Pruning loses nothing."""
    bounds = ArchitectureBounds(max_params=1800)
    naive = [
        shape
        for shape in [(a,) for a in WIDTHS] + [(a, b) for a in WIDTHS for b in WIDTHS]
        if bounds.admit(INTERFACE.spec(shape))
    ]
    assert list_shapes(WIDTHS, (1, 2), bounds, INTERFACE) == naive


def test_bounds_that_nothing_meets_are_refused():
    """One line that says the bounds."""
    with pytest.raises(UsageError, match="no architecture is within --max-params 20"):
        spread(5, ArchitectureBounds(max_params=20))
