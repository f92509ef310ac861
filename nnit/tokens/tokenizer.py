"""From a zoo to token sequences and back, bit for bit."""

import numpy as np

from nnit.mlp import LayerWeights, Network, join_layers, split_layers
from nnit.tokens.patches import count_patches, cut_bias, cut_matrix, unpatchify
from nnit.tokens.standardizer import fit_standardizer
from nnit.tokens.token_set import TokenSet
from nnit.zoo.members import ModelZoo


def tokenize_zoo(zoo: ModelZoo, patch_size: int) -> TokenSet:
    """Cut every network of a zoo into patches; statistics are those of its ``train`` split."""
    counts = np.array([count_patches(zoo.spec(k), patch_size) for k in range(len(zoo))])
    offsets = np.concatenate([np.zeros((1, 2), np.int64), np.cumsum(counts, axis=0)])
    weight_patches = np.empty((offsets[-1, 0], patch_size, patch_size), np.float32)
    bias_patches = np.empty((offsets[-1, 1], patch_size), np.float32)
    for k in range(len(zoo)):
        weight_at, bias_at = offsets[k]
        for layer in split_layers(zoo.spec(k), zoo.network(k).weights):
            cut, cut_b = cut_matrix(layer.weight, patch_size), cut_bias(layer.bias, patch_size)
            weight_patches[weight_at : weight_at + len(cut)] = cut
            bias_patches[bias_at : bias_at + len(cut_b)] = cut_b
            weight_at, bias_at = weight_at + len(cut), bias_at + len(cut_b)
    return TokenSet(
        patch_size=patch_size,
        architectures=tuple(member.hidden_dims for member in zoo.members),
        weight_patches=weight_patches,
        weight_offsets=np.ascontiguousarray(offsets[:, 0]),
        bias_patches=bias_patches,
        bias_offsets=np.ascontiguousarray(offsets[:, 1]),
        branches=np.array([member.branch for member in zoo.members], np.int32),
        losses=np.array([member.loss for member in zoo.members], np.float32),
        standardizer=fit_standardizer(zoo),
        interface=zoo.interface,
    )


def network_layers(tokens: TokenSet, k: int) -> list[LayerWeights]:
    """Join network ``k`` of the token set."""
    return unpatchify(
        tokens.interface.spec(tokens.architectures[k]),
        tokens.weight_patches[tokens.weight_offsets[k] : tokens.weight_offsets[k + 1]],
        tokens.bias_patches[tokens.bias_offsets[k] : tokens.bias_offsets[k + 1]],
    )


def untokenize(tokens: TokenSet) -> list[Network]:
    """Inverse of ``tokenize_zoo``: every network with exactly the weights that it had."""
    return [
        Network(architecture, join_layers(network_layers(tokens, k)))
        for k, architecture in enumerate(tokens.architectures)
    ]


def sequence_lengths(tokens: TokenSet) -> np.ndarray:
    """Return the number of tokens of each network ``(N,)``, architecture tokens included."""
    arch = np.array([len(architecture) + 1 for architecture in tokens.architectures])
    return arch + np.diff(tokens.weight_offsets) + np.diff(tokens.bias_offsets)
