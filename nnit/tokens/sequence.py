"""One sequence for a whole network: architecture tokens first, then patches of weights and biases.

``a_0`` is the depth and ``a_1 ... a_L`` are the hidden widths; then come the weight patches of
all layers, then the bias patches. Every token has the same two parts: ``features``, what the
architecture says of it (its modality, its place, the shape of its layer, the value of an
architecture token, or that it is masked), and ``content``, its standardised weights: the first
``p * p`` entries are a weight patch's, the last ``p`` a bias patch's, and the others are 0.

Sizes: S tokens, F features, C = p * p + p entries of content, p the patch size.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from nnit.features import PLACE_FEATURES, fourier_features, place_features, slow_features
from nnit.mlp import MlpSpec
from nnit.patterns import PartialArchitecture
from nnit.tokens.patches import patch_grid
from nnit.tokens.standardizer import layer_affine, role_index
from nnit.tokens.token_set import ROLES, Standardizer

WIDTH_PERIODS = (4.0, 8.0, 16.0)  # octaves
INDEX_PERIODS = (2.0, 4.0, 8.0)  # patches
INDEX_OCTAVES = (2.0, 4.0, 8.0)

VALUE_FEATURES = 1 + 2 * len(WIDTH_PERIODS)
INDEX_FEATURES = 2 * len(INDEX_PERIODS) + 1 + 2 * len(INDEX_OCTAVES) + 1


class Modality(IntEnum):
    """The kinds of token."""

    ARCH = 0
    WEIGHT = 1
    BIAS = 2


# modality, masked or not, role, value of an architecture token, fan-out, fan-in, place in depth,
# row, column
NUM_FEATURES = (
    len(Modality) + 1 + len(ROLES) + 3 * VALUE_FEATURES + PLACE_FEATURES + 2 * INDEX_FEATURES
)


class SequenceLayout(NamedTuple):
    """Everything about a network's sequence that its architecture decides."""

    features: Tensor  # (S, F)
    modality: Tensor  # (S,) int64
    layer: Tensor  # (S,) int64: the layer of a patch, 0 for architecture tokens
    cell: Tensor  # (S, 2) int64: the row and the column of a patch, 0 for architecture tokens
    mask: Tensor  # (S, C) bool, True where there is a weight
    shift: Tensor  # (S, 1) of the standardiser
    scale: Tensor  # (S, 1)

    @property
    def num_tokens(self) -> int:
        """Length of the sequence."""
        return len(self.layer)


class NetworkTokens(NamedTuple):
    """A network's sequence with its content."""

    layout: SequenceLayout
    content: Tensor  # (S, C), standardised, 0 where the mask is False

    def to(self, device: str) -> "NetworkTokens":
        """Move to a device."""
        layout = SequenceLayout(*(tensor.to(device) for tensor in self.layout))
        return NetworkTokens(layout, self.content.to(device))


def patch_size_of(entries: int) -> int:
    """Return the patch size p of content of ``p * p + p`` entries."""
    return round((entries + 0.25) ** 0.5 - 0.5)


def index_features(count: int, size: int, patch_size: int) -> Tensor:
    """Describe the rows or columns of patches of a matrix side: ``(count, INDEX_FEATURES)``.

    Beyond the largest trained width only the logarithm takes new values, and slowly so. The last
    feature is the share of the patch that the matrix reaches.
    """
    index = torch.arange(count, dtype=torch.float32)
    filled = edge(count, size, patch_size).float().mean(1, keepdim=True)
    octaves = slow_features(1 + index, INDEX_OCTAVES)
    return torch.cat([fourier_features(index, INDEX_PERIODS), octaves, filled], dim=-1)


def edge(count: int, size: int, patch_size: int) -> Tensor:
    """Return ``(count, patch_size)`` bool: the units of each patch within a side of ``size``."""
    return (torch.arange(count * patch_size) < size).view(count, patch_size)


def arch_features(widths: PartialArchitecture | None) -> Tensor:
    """Features of the architecture tokens: the depth, then the widths ``(L + 1, F)``.

    The depth says itself by its distance from the end, which saturates; widths by their value.

    Args:
        widths: Hidden widths, None where one is masked; None for all where the depth is masked,
            and with it how many widths there are: a sequence of one token.
    """
    values = torch.tensor([1, *(width or 1 for width in widths or ())], dtype=torch.float32)
    known = torch.tensor([0, *(width is not None for width in widths or ())], dtype=torch.float32)
    masked = torch.tensor([widths is None, *(width is None for width in widths or ())])
    count = len(values)
    parts = [
        F.one_hot(torch.full((count,), int(Modality.ARCH)), len(Modality)).float(),
        masked.float()[:, None],
        torch.zeros(count, len(ROLES)),
        slow_features(values, WIDTH_PERIODS) * known[:, None],
        torch.zeros(count, 2 * VALUE_FEATURES),
        place_features(count),
        torch.zeros(count, 2 * INDEX_FEATURES),
    ]
    return torch.cat(parts, dim=-1)


def layer_features(spec: MlpSpec) -> Tensor:
    """What weight and bias patches of a layer share: role, shape, place ``(L + 1, ...)``."""
    shapes = torch.tensor(spec.layers, dtype=torch.float32)
    count = len(shapes)
    roles = torch.tensor([role_index(index, count) for index in range(count)])
    parts = [
        F.one_hot(roles, len(ROLES)).float(),
        torch.zeros(count, VALUE_FEATURES),
        slow_features(shapes[:, 0], WIDTH_PERIODS),
        slow_features(shapes[:, 1], WIDTH_PERIODS),
        place_features(count),
    ]
    return torch.cat(parts, dim=-1)


def patch_features(
    modality: Modality, shared: Tensor, rows: Tensor, columns: Tensor | None
) -> Tensor:
    """Features of a layer's patches, row by row ``(R * C, F)``.

    Args:
        modality: Weight or bias.
        shared: The layer's features.
        rows: ``(R, INDEX_FEATURES)``.
        columns: ``(C, INDEX_FEATURES)``; None for a bias, which has one column.
    """
    if columns is None:
        columns = rows.new_zeros(1, INDEX_FEATURES)
    count = len(rows) * len(columns)
    return torch.cat(
        [
            F.one_hot(torch.full((count,), int(modality)), len(Modality)).float(),
            torch.zeros(count, 1),  # patches are noisy, never masked
            shared.expand(count, -1),
            rows.repeat_interleave(len(columns), dim=0),
            columns.repeat(len(rows), 1),
        ],
        dim=-1,
    )


def content_mask(rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Return the masks of weight patches ``(R * C, C)`` and bias patches ``(R, C)``.

    Args:
        rows: ``(R, p)`` bool, units of each row of patches that exist.
        columns: ``(C, p)`` bool.
    """
    patch_size = rows.shape[-1]
    both = rearrange(rows, "R p -> R 1 p 1") & rearrange(columns, "C q -> 1 C 1 q")
    weight = F.pad(rearrange(both, "R C p q -> (R C) (p q)"), (0, patch_size))
    return weight, F.pad(rows, (patch_size * patch_size, 0))


def build_layout(spec: MlpSpec, patch_size: int, standardizer: Standardizer) -> SequenceLayout:
    """Lay out the sequence of a network."""
    shared = layer_features(spec)
    weights, biases = [], []
    for layer, shape in enumerate(spec.layers):
        grid = patch_grid(shape, patch_size)
        affine = layer_affine(standardizer, shape, role_index(layer, len(spec.layers)))
        rows = index_features(grid.rows, shape.fan_out, patch_size)
        columns = index_features(grid.columns, shape.fan_in, patch_size)
        weight_mask, bias_mask = content_mask(
            edge(grid.rows, shape.fan_out, patch_size),
            edge(grid.columns, shape.fan_in, patch_size),
        )
        features = patch_features(Modality.WEIGHT, shared[layer], rows, columns)
        cells = torch.cartesian_prod(torch.arange(grid.rows), torch.arange(grid.columns))
        weights.append(_part(features, Modality.WEIGHT, layer, weight_mask, affine.weight, cells))
        features = patch_features(Modality.BIAS, shared[layer], rows, None)
        cells = F.pad(torch.arange(grid.rows)[:, None], (0, 1))
        biases.append(_part(features, Modality.BIAS, layer, bias_mask, affine.bias, cells))
    arch = architecture_layout(spec.hidden_dims, patch_size)
    return SequenceLayout(*map(torch.cat, zip(arch, *weights, *biases, strict=True)))


def architecture_layout(widths: PartialArchitecture | None, patch_size: int) -> SequenceLayout:
    """Lay out architecture tokens alone, some or all of them masked (see ``arch_features``)."""
    features = arch_features(widths)
    no_content = torch.zeros(len(features), patch_size * (patch_size + 1), dtype=torch.bool)
    cells = torch.zeros(len(features), 2, dtype=torch.int64)
    return _part(features, Modality.ARCH, 0, no_content, (0.0, 1.0), cells)


def _part(
    features: Tensor,
    modality: Modality,
    layer: int,
    mask: Tensor,
    affine: tuple[float, float],
    cells: Tensor,
) -> SequenceLayout:
    """Return the piece of a sequence that is one layer's patches of one modality."""
    count = len(features)
    shift, scale = (torch.full((count, 1), value) for value in affine)
    return SequenceLayout(
        features,
        torch.full((count,), int(modality)),
        torch.full((count,), layer),
        cells,
        mask,
        shift,
        scale,
    )


def raw_to_tokens(layout: SequenceLayout, weights: np.ndarray, biases: np.ndarray) -> NetworkTokens:
    """Standardise raw patches ``(N, p, p)`` and ``(M, p)`` into the content of a sequence."""
    content = torch.zeros(layout.mask.shape)
    patch_size = biases.shape[-1]
    content[layout.modality == Modality.WEIGHT, : patch_size**2] = torch.from_numpy(
        rearrange(weights, "n p q -> n (p q)")
    )
    content[layout.modality == Modality.BIAS, patch_size**2 :] = torch.from_numpy(biases)
    return NetworkTokens(layout, (content - layout.shift) / layout.scale * layout.mask)


def tokens_to_raw(tokens: NetworkTokens, patch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of ``raw_to_tokens`` up to rounding: weight patches and bias patches."""
    layout = tokens.layout
    raw = (tokens.content * layout.scale + layout.shift) * layout.mask
    weights = raw[layout.modality == Modality.WEIGHT, : patch_size**2]
    biases = raw[layout.modality == Modality.BIAS, patch_size**2 :]
    return rearrange(weights, "n (p q) -> n p q", p=patch_size).numpy(), biases.numpy()
