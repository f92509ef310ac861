"""The graph hypernetwork: from an architecture to all weights of the network.

Source: Zhang et al. 2019, "Graph HyperNetworks for Neural Architecture Search"
(arXiv:1810.05749), with a decoder that keeps units aligned as in NNiT (arXiv:2603.00180).
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from nnit.cloning import LayerTensors, flat_from_layers
from nnit.ghn.decoder import BiasDecoder, CarrierDecoder, CnnDecoder, PointwiseDecoder
from nnit.ghn.graph import NUM_NODE_FEATURES, node_features
from nnit.mlp import MAX_WIDTH, MlpSpec, Network
from nnit.training import build_from_arrays

MAX_ROUNDS = 64  # of message passing, and as many layers as matter to each other
DECODERS = ("carrier", "cnn", "pointwise")
CALIBRATION_WIDTHS = ((32, 32), (64, 64, 64), (128,), (96, 160))


@dataclass(frozen=True)
class GhnConfig:
    """The size of a graph hypernetwork.

    Raises:
        ValueError: an impossible value.
    """

    decoder: str = "carrier"  # one of DECODERS
    node_dim: int = 96
    channels: int = 128  # of the decoder; codes of units have half as many numbers
    rounds: int = 3  # of message passing
    units: int = 256  # the largest trained width; only the carrier's codes depend on it

    def __post_init__(self) -> None:
        if self.decoder not in DECODERS:
            raise ValueError(f"decoder is {self.decoder!r}, expected one of {', '.join(DECODERS)}")
        sizes = (self.node_dim, self.channels, self.rounds, self.units)
        if min(sizes) < 1 or max(sizes) > MAX_WIDTH or self.channels % 2:
            raise ValueError(f"sizes must be within 1 to {MAX_WIDTH}, channels even, got {self}")
        if self.rounds > MAX_ROUNDS:
            raise ValueError(f"rounds is {self.rounds}, expected at most {MAX_ROUNDS}")

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain data, less ``units`` where nothing depends on it."""
        fields = asdict(self)
        if self.decoder != "carrier":
            del fields["units"]
        return fields


class MessagePassing(nn.Module):
    """Gated message passing along the chain of layers, both ways in each round."""

    def __init__(self, node_dim: int, rounds: int) -> None:
        super().__init__()
        self.rounds = rounds
        self.embed = nn.Sequential(nn.Linear(NUM_NODE_FEATURES, node_dim), nn.SiLU())
        self.from_previous = nn.Linear(node_dim, node_dim)
        self.from_next = nn.Linear(node_dim, node_dim)
        self.gate = nn.GRUCell(node_dim, node_dim)
        self.norm = nn.LayerNorm(node_dim)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Embed nodes.

        Args:
            features: ``(B, L, NUM_NODE_FEATURES)``, zero-padded.
            mask: ``(B, L, 1)``, 1 for real nodes.

        Returns:
            Node embeddings ``(B, L, H)``.
        """
        nodes = self.embed(features) * mask
        for _ in range(self.rounds):
            previous = torch.roll(nodes, 1, dims=1)
            previous[:, 0] = 0
            following = torch.roll(nodes, -1, dims=1)
            following[:, -1] = 0
            message = self.from_previous(previous) + self.from_next(following)
            updated = self.gate(message.flatten(0, 1), nodes.flatten(0, 1))
            nodes = updated.view_as(nodes) * mask
        return self.norm(nodes)


def build_decoder(config: GhnConfig) -> CarrierDecoder | CnnDecoder | PointwiseDecoder:
    """Make a fresh decoder of weights."""
    if config.decoder == "carrier":
        return CarrierDecoder(config.node_dim, config.channels, config.units)
    decoder = CnnDecoder if config.decoder == "cnn" else PointwiseDecoder
    return decoder(config.node_dim, config.channels)


class GraphHyperNetwork(nn.Module):
    """Writes all weights of any MLP, in one order of hidden units that all networks share."""

    def __init__(self, config: GhnConfig) -> None:
        super().__init__()
        self.config = config
        self.message_passing = MessagePassing(config.node_dim, config.rounds)
        self.decoder = build_decoder(config)
        self.bias_decoder = BiasDecoder(config.node_dim, config.channels)
        self.register_buffer("field_scale", torch.ones(()))
        self.field_scale: Tensor

    def embed(self, specs: list[MlpSpec]) -> Tensor:
        """Return node embeddings ``(B, L, H)`` of architectures, padded to the deepest."""
        device = self.field_scale.device
        features = pad_sequence([node_features(spec) for spec in specs], batch_first=True)
        counts = torch.tensor([len(spec.layers) for spec in specs])
        mask = (torch.arange(features.shape[1]) < counts[:, None]).float()[..., None]
        return self.message_passing(features.to(device), mask.to(device))

    def forward(self, specs: list[MlpSpec]) -> list[list[LayerTensors]]:
        """Write the weights of each architecture: a list of layers per architecture."""
        nodes = self.embed(specs)
        embeddings = torch.cat([n[: len(s.layers)] for n, s in zip(nodes, specs, strict=True)])
        shapes = [shape for spec in specs for shape in spec.layers]
        if embeddings.device.type == "cpu":
            parts = [
                self.write_layers(embeddings[k : k + 1], [shape]) for k, shape in enumerate(shapes)
            ]
            layers = iter([layer for part in parts for layer in part])
        else:
            layers = iter(self.write_layers(embeddings, shapes))
        return [[next(layers) for _ in spec.layers] for spec in specs]

    def write_layers(
        self, embeddings: Tensor, shapes: Sequence[tuple[int, int]]
    ) -> list[LayerTensors]:
        """Decode layers in one batch; weights are ``field * sqrt(2 / fan_in)`` (He et al. 2015).

        All are decoded at the largest of their sizes and cropped: on a GPU a few large operations
        instead of many small ones. A CPU is busy with a single layer, and would do more for it.

        Args:
            embeddings: ``(B, H)``.
            shapes: ``(fan_out, fan_in)`` of each.
        """
        largest_out, largest_in = (max(sizes) for sizes in zip(*shapes, strict=True))
        fields = self.decoder(embeddings, largest_out, largest_in).float() * self.field_scale
        biases = self.bias_decoder(embeddings, largest_out).float()
        return [
            LayerTensors(field[:fan_out, :fan_in] * math.sqrt(2 / fan_in), 0.1 * bias[:fan_out])
            for field, bias, (fan_out, fan_in) in zip(fields, biases, shapes, strict=True)
        ]

    def hidden_matrices(self) -> list[Tensor]:
        """Return the matrices from hidden features to hidden features, and the carrier's core.

        Empty for decoders without a carrier.
        """
        if not isinstance(self.decoder, CarrierDecoder):
            return []
        passing = self.message_passing
        linear = (passing.from_previous, passing.from_next, self.decoder.core)
        return [*(layer.weight for layer in linear), passing.gate.weight_ih, passing.gate.weight_hh]

    @torch.no_grad()
    def calibrate(self, obs_dim: int, act_dim: int) -> None:
        """Scale the field to unit standard deviation over a few architectures.

        Without this (and the normalisation inside the decoder) training stays at the loss of
        the mean action.
        """
        specs = [MlpSpec(obs_dim, act_dim, widths) for widths in CALIBRATION_WIDTHS]
        fields = [
            (layer.weight * math.sqrt(layer.weight.shape[1] / 2)).flatten()
            for layers in self(specs)
            for layer in layers
        ]
        self.field_scale.div_(torch.cat(fields).std())


def build_ghn(config: GhnConfig, obs_dim: int, act_dim: int, seed: int) -> GraphHyperNetwork:
    """Make a fresh, calibrated hypernetwork; torch's global generator is untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        ghn = GraphHyperNetwork(config)
    ghn.calibrate(obs_dim, act_dim)
    return ghn


def load_ghn(config: GhnConfig, arrays: dict[str, np.ndarray]) -> GraphHyperNetwork:
    """Make a hypernetwork from its configuration and arrays.

    Raises:
        RuntimeError: the arrays are not those of the configuration.
    """
    return build_from_arrays(lambda: GraphHyperNetwork(config), arrays)


@torch.no_grad()
def write_networks(ghn: GraphHyperNetwork, specs: list[MlpSpec]) -> list[Network]:
    """Ask a hypernetwork for networks; each is what it would be if asked for alone."""
    return [
        Network(spec.hidden_dims, flat_from_layers(ghn([spec])[0]).cpu().numpy()) for spec in specs
    ]
