"""The average of the weights over the steps."""

import pytest
import torch
from torch import nn

from nnit.diffusion.ema import Ema


class Scalar(nn.Module):
    """A model of one number."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))


def test_average_by_hand():
    """From 0 to 1, 2, 3: decays 1/10, 2/11 and then the cap of 0.2."""
    model = Scalar(0.0)
    ema = Ema(model, 0.2)
    expected = 0.0
    for step, decay in enumerate((1 / 10, 2 / 11, 0.2)):
        with torch.no_grad():
            model.value.fill_(step + 1.0)
        ema.update(model, step)
        expected = decay * expected + (1 - decay) * (step + 1)
        assert float(ema.parameters["value"]) == pytest.approx(expected, rel=1e-6)


def test_average_of_a_constant_is_the_constant():
    """Also at high decay, from the first step on."""
    model = Scalar(3.0)
    ema = Ema(model, 0.999)
    for step in range(10):
        ema.update(model, step)
    assert float(ema.parameters["value"]) == 3.0


def test_average_does_not_share_memory_with_the_model():
    """Training the model moves the average by ``update`` alone."""
    model = Scalar(1.0)
    ema = Ema(model, 0.9)
    with torch.no_grad():
        model.value.fill_(5.0)
    assert float(ema.parameters["value"]) == 1.0
    assert not ema.parameters["value"].requires_grad
