"""What a training tells of its loss on the way."""

from types import SimpleNamespace

import pytest

from nnit.errors import ParamsError
from nnit.progress import silent
from stages.checkpoints import Run, follow
from stages.params import RunOptions


def test_a_loss_that_is_no_number_ends_the_training(tmp_path):
    """One line with the step; nothing goes on with it."""
    run = Run(tmp_path / "out", "key", RunOptions())
    steps = (SimpleNamespace(step=k, loss=loss) for k, loss in enumerate([2.0, float("nan")], 1))
    with pytest.raises(ParamsError, match="the loss is nan at step 2 of 5") as caught:
        follow(steps, run, silent, total=5, every=2, arrays=dict, state=None)
    assert "\n" not in str(caught.value)


def test_a_return_that_is_not_known_leaves_the_curve_out(tmp_path):
    """Of what isn't a loss only the known values count."""
    run = Run(tmp_path / "out", "key", RunOptions())
    values = [float("nan"), 3.0, float("nan")]
    steps = (SimpleNamespace(step=k, loss=value) for k, value in enumerate(values, 1))
    curve = follow(steps, run, silent, total=3, every=1, arrays=dict, state=None, shown="return")
    assert curve == [(2, 3.0)]
