"""On a GPU all layers of a step are decoded in one batch; they are those decoded one by one."""

import pytest
import torch

from nnit.ghn.model import GhnConfig, build_ghn
from nnit.mlp import MlpSpec

SHAPES = ((16,), (100, 37), (24, 40, 16))


@pytest.mark.parametrize("decoder", ["carrier", "cnn", "pointwise"])
def test_layers_decoded_together_are_those_decoded_alone(decoder):
    """Whatever sizes they are batched with: a weight depends on its neighbourhood alone."""
    ghn = build_ghn(GhnConfig(decoder=decoder, node_dim=16, channels=8), 5, 2, 1)
    specs = [MlpSpec(5, 2, dims) for dims in SHAPES]
    shapes = [shape for spec in specs for shape in spec.layers]
    with torch.no_grad():
        alone = [layer for layers in ghn(specs) for layer in layers]
        nodes = ghn.embed(specs)
        each = [n[: len(spec.layers)] for n, spec in zip(nodes, specs, strict=True)]
        together = ghn.write_layers(torch.cat(each), shapes)
    for one, other, (fan_out, fan_in) in zip(alone, together, shapes, strict=True):
        assert one.weight.shape == other.weight.shape == (fan_out, fan_in)
        torch.testing.assert_close(one.weight, other.weight, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(one.bias, other.bias, atol=1e-6, rtol=1e-5)
    different = torch.stack([layer.weight[:2, :2] for layer in together])
    assert len(different.unique(dim=0)) == len(together)
