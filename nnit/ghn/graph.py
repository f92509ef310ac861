"""The computation graph of an MLP, as the features that the graph hypernetwork reads.

A node is a linear layer (weight and bias); edges join neighbouring layers both ways. A node is
described by its fan-in and fan-out and by its distance from the input and from the output.
Features vary slowly with width (periods of 4 octaves and more): with fast ones, shapes between
the trained widths get unrelated weights.
"""

import torch
from torch import Tensor

from nnit.features import PLACE_FEATURES, place_features, slow_features
from nnit.mlp import MlpSpec

LOG_PERIODS = (4.0, 8.0, 16.0)  # octaves
NUM_NODE_FEATURES = 2 * (1 + 2 * len(LOG_PERIODS)) + PLACE_FEATURES


def node_features(spec: MlpSpec) -> Tensor:
    """Describe the layers of ``spec``, from the input: ``(depth + 1, NUM_NODE_FEATURES)``."""
    shapes = torch.tensor(spec.layers, dtype=torch.float32)  # (L, 2): fan_out, fan_in
    sizes = [slow_features(shapes[:, side], LOG_PERIODS) for side in (0, 1)]
    return torch.cat([*sizes, place_features(len(shapes))], dim=-1)
