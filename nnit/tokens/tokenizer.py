"""From zoos to token sequences and back, bit for bit."""

from collections.abc import Sequence

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
        tasks=np.zeros(len(zoo), np.int32),
        standardizers=(fit_standardizer(zoo),),
        interfaces=(zoo.interface,),
    )


def join_tokens(parts: Sequence[TokenSet]) -> TokenSet:
    """Put the token sets of different tasks one after the other; a single one stays as it is.

    Raises:
        ValueError: other patches, or a task that is in two of them.
    """
    if len(parts) == 1:
        return parts[0]
    sizes = {part.patch_size for part in parts}
    if len(sizes) != 1:
        raise ValueError(f"patches of different sizes: {sorted(sizes)}")
    interfaces = tuple(interface for part in parts for interface in part.interfaces)
    if len({interface.task for interface in interfaces}) != len(interfaces):
        raise ValueError(f"a task twice: {[interface.task for interface in interfaces]}")
    first_tasks = np.cumsum([0, *(len(part.interfaces) for part in parts)])
    tasks = [part.tasks + first for part, first in zip(parts, first_tasks, strict=False)]
    return TokenSet(
        patch_size=parts[0].patch_size,
        architectures=tuple(widths for part in parts for widths in part.architectures),
        weight_patches=np.concatenate([part.weight_patches for part in parts]),
        weight_offsets=_join_offsets([part.weight_offsets for part in parts]),
        bias_patches=np.concatenate([part.bias_patches for part in parts]),
        bias_offsets=_join_offsets([part.bias_offsets for part in parts]),
        branches=np.concatenate([part.branches for part in parts]),
        losses=np.concatenate([part.losses for part in parts]),
        tasks=np.concatenate(tasks).astype(np.int32),
        standardizers=tuple(one for part in parts for one in part.standardizers),
        interfaces=interfaces,
    )


def _join_offsets(parts: list[np.ndarray]) -> np.ndarray:
    """Shift offsets, each from 0 on, so that every part begins where the one before ends."""
    lengths = np.concatenate([np.diff(offsets) for offsets in parts])
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def network_layers(tokens: TokenSet, k: int) -> list[LayerWeights]:
    """Join network ``k`` of the token set."""
    return unpatchify(
        tokens.spec(k),
        tokens.weight_patches[tokens.weight_offsets[k] : tokens.weight_offsets[k + 1]],
        tokens.bias_patches[tokens.bias_offsets[k] : tokens.bias_offsets[k + 1]],
    )


def untokenize(tokens: TokenSet) -> list[Network]:
    """Inverse of ``tokenize_zoo`` and ``join_tokens``: every network with its very weights."""
    return [
        Network(architecture, join_layers(network_layers(tokens, k)))
        for k, architecture in enumerate(tokens.architectures)
    ]


def sequence_lengths(tokens: TokenSet) -> np.ndarray:
    """Return the number of tokens of each network ``(N,)``, architecture tokens included."""
    arch = np.array([len(architecture) + 1 for architecture in tokens.architectures])
    return arch + np.diff(tokens.weight_offsets) + np.diff(tokens.bias_offsets)
