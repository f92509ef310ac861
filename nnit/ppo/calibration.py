"""Start with policies that hardly act, and whose actions a step of training changes little.

The weights that a fresh hypernetwork writes may vary smoothly over a matrix, as those of the CNN
decoder do; then units add up what they have in common and outputs grow with every layer, far beyond
the bounds of actions. With a carrier they are a few times too large. Behaviour cloning pulls that
back in a few steps. But a policy that explores learns nothing from actions beyond the bounds, and
where outputs are large, a small step of Adam changes all of a policy.
"""

import torch

from nnit.cloning import run_mlp
from nnit.ghn.model import GraphHyperNetwork
from nnit.mlp import MlpSpec
from nnit.seeding import torch_generator

WIDTHS = ((64,), (64, 64), (256, 256), (128, 128, 128), (256, 256, 256, 256))
LARGEST_OUTPUT = 0.5  # root mean square over observations
NUM_OBSERVATIONS = 256
HALVINGS = 24


@torch.no_grad()
def calibrate_outputs(ghn: GraphHyperNetwork, obs_dim: int, act_dim: int) -> None:
    """Scale all weights by one factor, so that no policy's outputs are large at the start.

    The factor is found by bisection: with it, the largest root mean square output of a few
    architectures over standard normal observations is ``LARGEST_OUTPUT``.

    Args:
        ghn: Changed in place.
        obs_dim: Numbers of an observation.
        act_dim: Numbers of an action.
    """
    specs = [MlpSpec(obs_dim, act_dim, widths) for widths in WIDTHS]
    generator = torch_generator(0, "calibrate-outputs")
    observations = torch.randn(NUM_OBSERVATIONS, obs_dim, generator=generator)
    observations = observations.to(ghn.field_scale.device)

    def largest_output() -> float:
        outputs = [run_mlp(layers, observations) for layers in ghn(specs)]
        return max(float(output.square().mean().sqrt()) for output in outputs)

    whole = ghn.field_scale.clone()
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        ghn.field_scale.copy_(whole * middle)
        low, high = (middle, high) if largest_output() < LARGEST_OUTPUT else (low, middle)
