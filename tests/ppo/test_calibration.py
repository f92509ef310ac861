"""Fresh policies hardly act, whatever their shape, and a step of training changes them little."""

from copy import deepcopy
from functools import cache

import pytest
import torch

from nnit.cloning import run_mlp
from nnit.ghn.model import DECODERS, GhnConfig, build_ghn
from nnit.mlp import MlpSpec
from nnit.ppo.calibration import LARGEST_OUTPUT, WIDTHS, calibrate_outputs

OBS_DIM, ACT_DIM = 5, 2

pytestmark = pytest.mark.seconds


@cache
def hypernetwork(decoder, *, calibrated):
    """A fresh hypernetwork of full size; not to be changed."""
    ghn = build_ghn(GhnConfig(decoder), OBS_DIM, ACT_DIM, 3)
    if calibrated:
        calibrate_outputs(ghn, OBS_DIM, ACT_DIM)
    return ghn


def outputs_of(ghn, widths):
    """What policies of each shape put out for some observations."""
    observations = torch.randn(200, OBS_DIM, generator=torch.Generator().manual_seed(1))
    specs = [MlpSpec(OBS_DIM, ACT_DIM, dims) for dims in widths]
    with torch.no_grad():
        return [run_mlp(layers, observations) for layers in ghn(specs)]


def size(outputs):
    """Root mean square."""
    return float(outputs.square().mean().sqrt())


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_largest_output_is_what_it_should_be(decoder):
    """On other observations than it was fitted on, so within a tenth or two."""
    sizes = [size(out) for out in outputs_of(hypernetwork(decoder, calibrated=True), WIDTHS)]
    assert max(sizes) == pytest.approx(LARGEST_OUTPUT, rel=0.25)


@pytest.mark.parametrize(("decoder", "beyond"), [("cnn", 100), ("carrier", 2)])
def test_without_it_outputs_are_beyond_the_bounds_of_actions(decoder, beyond):
    """Else there would be no need: far beyond where weights are smooth, twice with a carrier."""
    sizes = [size(out) for out in outputs_of(hypernetwork(decoder, calibrated=False), WIDTHS)]
    assert max(sizes) > beyond


@pytest.mark.parametrize(("decoder", "times"), [("cnn", 100), ("carrier", 5)])
def test_a_step_of_adam_changes_policies_many_times_less(decoder, times):
    """The same step, of the same rate, on the mean output of the deepest."""

    def change(*, calibrated):
        ghn = deepcopy(hypernetwork(decoder, calibrated=calibrated))
        (before,) = outputs_of(ghn, WIDTHS[-1:])
        optimizer = torch.optim.Adam(ghn.parameters(), lr=3e-5)
        (layers,) = ghn([MlpSpec(OBS_DIM, ACT_DIM, WIDTHS[-1])])
        run_mlp(layers, torch.ones(1, OBS_DIM)).sum().backward()
        optimizer.step()
        (after,) = outputs_of(ghn, WIDTHS[-1:])
        return size(after - before)

    assert change(calibrated=True) < change(calibrated=False) / times


@pytest.mark.parametrize("decoder", DECODERS)
def test_again_from_there_it_changes_nothing(decoder):
    """Weights are never scaled up."""
    ghn = deepcopy(hypernetwork(decoder, calibrated=True))
    before = ghn.field_scale.clone()
    calibrate_outputs(ghn, OBS_DIM, ACT_DIM)
    assert torch.allclose(before, ghn.field_scale, rtol=1e-3)
