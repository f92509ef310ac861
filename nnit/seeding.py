"""From one seed to one independent generator per item.

No random number in nnit comes from a global generator, and none depends on how many workers
or what batch size made it: every item (episode, branch, network, sample) has its own stream.
"""

import hashlib

import numpy as np
import torch


def derive_seed(seed: int, *path: str | int) -> int:
    """Return the seed of the item at ``path``, a non-negative integer below 2**63.

    The same ``(seed, path)`` gives the same number on every machine, and different paths give
    unrelated numbers (SHA-256).
    """
    text = "/".join([str(seed), *map(str, path)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def numpy_generator(seed: int, *path: str | int) -> np.random.Generator:
    """Return the numpy generator of the item at ``path``."""
    return np.random.default_rng(derive_seed(seed, *path))


def torch_generator(seed: int, *path: str | int) -> torch.Generator:
    """Return the CPU torch generator of the item at ``path``."""
    return torch.Generator().manual_seed(derive_seed(seed, *path))


def digest_text(text: str) -> str:
    """Return the SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
