"""Several MLPs of one depth as one: stacked weights, padded with zeros, and their gradients.

A padded unit has no weights and no bias, so its output is zero and no gradient comes to it: what is
zero stays zero, and a network learns what it would learn by itself. The gradients are in closed
form, because networks are so small that building a graph for them takes longer than they do.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from nnit.cloning import LayerTensors, layers_from_flat
from nnit.mlp import MlpSpec

MULTIPLE = 8  # of units: rows of weights begin where the processor loads fast
ALIGNMENT = 16  # of where a stack begins in the common vector, for the same reason
# A product of so many multiplications goes to oneDNN, which knows AVX-512 on every processor; what
# torch itself calls for float32 does not use it on those of AMD, and takes up to twice as long.
LARGE_PRODUCT = 3_000_000
HAS_ONEDNN = torch.backends.mkldnn.is_available()
_linear: Any = torch.ops.mkldnn._linear_pointwise.default if HAS_ONEDNN else None
_no_gradient_at_zero = torch.ops.aten.threshold_backward.grad_input


class NetworkStack:
    """The weights of several networks of one depth, with the same inputs and outputs.

    Args:
        specs: The shapes.
        parameters: Zeros, ``(stack_size(specs),)``: where the weights will be.
        gradients: The same for their gradients.
    """

    def __init__(self, specs: Sequence[MlpSpec], parameters: Tensor, gradients: Tensor) -> None:
        self.specs = specs
        self._layers = _stacked_layers(parameters, len(specs), _padded_shapes(specs))
        self._slopes = _stacked_layers(gradients, len(specs), _padded_shapes(specs))
        self._columns = [layer.weight.transpose(1, 2) for layer in self._layers]
        self._below: list[Tensor] = []  # what each layer saw last

    def write(self, flats: Sequence[Tensor]) -> None:
        """Take over the weights of each network, ``(num_parameters,)``."""
        for mine, spec, flat in zip(self._networks(), self.specs, flats, strict=True):
            for part, layer in zip(mine, layers_from_flat(spec, flat), strict=True):
                part.weight.copy_(layer.weight)
                part.bias.copy_(layer.bias)

    def read(self) -> list[Tensor]:
        """Return the weights of each network, ``(num_parameters,)``."""
        return [
            torch.cat([part.reshape(-1) for layer in layers for part in layer])
            for layers in self._networks()
        ]

    def forward(self, x: Tensor, out: Tensor) -> None:
        """Run each network on its own observations.

        Args:
            x: ``(K, B, padded(obs_dim))``.
            out: Where the outputs go, ``(K, B, act_dim)``.
        """
        self._below = [x]
        for layer, columns in zip(self._layers[:-1], self._columns, strict=False):
            x = _multiply(x, columns, layer.bias).relu_()
            self._below.append(x)
        _multiply(x, self._columns[-1], self._layers[-1].bias, out)

    def backward(self, error: Tensor) -> None:
        """Set the gradients.

        Args:
            error: The gradient of each network's loss by its last outputs, ``(K, B, act_dim)``.
        """
        for k in reversed(range(len(self._layers))):
            below, slope = self._below[k], self._slopes[k]
            _multiply(error.transpose(1, 2), below, out=slope.weight)
            torch.sum(error, dim=1, keepdim=True, out=slope.bias)
            if k:
                error = _multiply(error, self._layers[k].weight)
                _no_gradient_at_zero(error, below, 0, grad_input=error)

    def _networks(self) -> list[list[LayerTensors]]:
        """View each network's own part of every layer, without its padding."""
        return [
            [
                LayerTensors(
                    layer.weight[k, : shape.fan_out, : shape.fan_in],
                    layer.bias[k, 0, : shape.fan_out],
                )
                for layer, shape in zip(self._layers, spec.layers, strict=True)
            ]
            for k, spec in enumerate(self.specs)
        ]


def build_stacks(
    groups: Sequence[Sequence[MlpSpec]], device: torch.device
) -> tuple[list[NetworkStack], Tensor, Tensor]:
    """Return a stack of each group, and the vectors of all their weights and gradients, zeros."""
    sizes = [stack_size(specs) for specs in groups]
    parameters, gradients = (torch.zeros(sum(sizes), device=device) for _ in range(2))
    parts = zip(groups, parameters.split(sizes), gradients.split(sizes), strict=True)
    return [NetworkStack(*part) for part in parts], parameters, gradients


def stack_size(specs: Sequence[MlpSpec]) -> int:
    """Return the numbers of the weights of a group, padding included."""
    weights = sum(fan_out * (fan_in + 1) for fan_out, fan_in in _padded_shapes(specs))
    return -(-len(specs) * weights // ALIGNMENT) * ALIGNMENT


def padded(width: int) -> int:
    """Return the number of units that stands for so many."""
    return -(-width // MULTIPLE) * MULTIPLE


def _padded_shapes(specs: Sequence[MlpSpec]) -> list[tuple[int, int]]:
    """Return fan-out and fan-in of each stacked layer; outputs are not padded."""
    hidden = [max(widths) for widths in zip(*(spec.hidden_dims for spec in specs), strict=True)]
    dims = [*map(padded, (specs[0].obs_dim, *hidden)), specs[0].act_dim]
    return [(fan_out, fan_in) for fan_in, fan_out in pairwise(dims)]


def _stacked_layers(
    flat: Tensor, count: int, shapes: Sequence[tuple[int, int]]
) -> list[LayerTensors]:
    """View a flat vector as layers of weights ``(K, out, in)`` and biases ``(K, 1, out)``."""
    sizes = [count * size for fan_out, fan_in in shapes for size in (fan_out * fan_in, fan_out)]
    parts = flat[: sum(sizes)].split(sizes)
    return [
        LayerTensors(weight.view(count, fan_out, fan_in), bias.view(count, 1, fan_out))
        for weight, bias, (fan_out, fan_in) in zip(parts[::2], parts[1::2], shapes, strict=True)
    ]


def _multiply(
    left: Tensor, right: Tensor, bias: Tensor | None = None, out: Tensor | None = None
) -> Tensor:
    """Return ``left[k] @ right[k] + bias[k]`` of each network, ``(K, M, N)``.

    Args:
        left: ``(K, M, C)``.
        right: ``(K, C, N)``.
        bias: ``(K, 1, N)``.
        out: Where the result goes.
    """
    count, height, common = left.shape
    if height * common * right.shape[2] >= LARGE_PRODUCT and HAS_ONEDNN and left.is_cpu:
        products = [
            _linear(left[k], right[k].t(), None if bias is None else bias[k, 0], "none", [], "")
            for k in range(count)
        ]
        if count == 1 and out is None:
            return products[0][None]
        return torch.stack(products, out=out)
    if bias is None:
        return torch.bmm(left, right, out=out)
    return torch.baddbmm(bias, left, right, out=out)
