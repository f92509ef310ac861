"""Fresh policies hardly act, whatever their shape, and a step of training changes them little."""

import pytest
import torch

from nnit.cloning import run_mlp
from nnit.ghn.model import GhnConfig, build_ghn
from nnit.mlp import MlpSpec
from nnit.ppo.calibration import LARGEST_OUTPUT, WIDTHS, calibrate_outputs

OBS_DIM, ACT_DIM = 5, 2


def hypernetwork(*, calibrated):
    """A fresh hypernetwork of full size."""
    ghn = build_ghn(GhnConfig(), OBS_DIM, ACT_DIM, 3)
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


def test_the_largest_output_is_what_it_should_be():
    """On other observations than it was fitted on, so within a tenth or two."""
    sizes = [size(outputs) for outputs in outputs_of(hypernetwork(calibrated=True), WIDTHS)]
    assert max(sizes) == pytest.approx(LARGEST_OUTPUT, rel=0.25)


def test_without_it_outputs_are_far_beyond_the_bounds_of_actions():
    """Else there would be no need."""
    sizes = [size(outputs) for outputs in outputs_of(hypernetwork(calibrated=False), WIDTHS)]
    assert max(sizes) > 10


def test_a_step_of_adam_changes_policies_a_hundred_times_less():
    """The same step, of the same rate, on the mean output of the deepest."""

    def change(*, calibrated):
        ghn = hypernetwork(calibrated=calibrated)
        (before,) = outputs_of(ghn, WIDTHS[-1:])
        optimizer = torch.optim.Adam(ghn.parameters(), lr=3e-5)
        (layers,) = ghn([MlpSpec(OBS_DIM, ACT_DIM, WIDTHS[-1])])
        run_mlp(layers, torch.ones(1, OBS_DIM)).sum().backward()
        optimizer.step()
        (after,) = outputs_of(ghn, WIDTHS[-1:])
        return size(after - before)

    assert change(calibrated=True) < change(calibrated=False) / 100


def test_again_from_there_it_changes_nothing():
    """Weights are never scaled up."""
    ghn = hypernetwork(calibrated=True)
    before = ghn.field_scale.clone()
    calibrate_outputs(ghn, OBS_DIM, ACT_DIM)
    assert torch.allclose(before, ghn.field_scale, rtol=1e-3)
