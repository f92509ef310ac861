"""Signs that a generator has collapsed: weights of a wrong size, actions of no use."""

import numpy as np

from nnit.mlp import MlpSpec, Network, PolicyInterface, split_layers
from nnit.tokens.standardizer import role_index
from nnit.tokens.token_set import ROLES

NORM_SLACK = 1.5  # a size may leave the zoo's range by this factor
USELESS = 0.5  # a loss of at least this share of the constant action's is an alarm
Sizes = dict[str, float]
Ranges = dict[str, tuple[float, float]]


def role_sizes(spec: MlpSpec, flat: np.ndarray) -> Sizes:
    """Return the root mean square of a network's weights and biases by role.

    Weights are divided by ``sqrt(2 / fan_in)``. Keys are "first weight", "middle bias", ...; of
    several middle layers it is the mean over all their entries.
    """
    layers = split_layers(spec, flat)
    parts: dict[str, list[np.ndarray]] = {}
    for k, (weight, bias) in enumerate(layers):
        role = ROLES[role_index(k, len(layers))]
        scaled = weight.astype(np.float64) / np.sqrt(2 / weight.shape[1])
        parts.setdefault(f"{role} weight", []).append(scaled.reshape(-1))
        parts.setdefault(f"{role} bias", []).append(bias.astype(np.float64))
    return {
        name: float(np.sqrt(np.mean(np.concatenate(arrays) ** 2))) for name, arrays in parts.items()
    }


def size_ranges(networks: list[Network], interface: PolicyInterface) -> Ranges:
    """Return the smallest and the largest size of each role among networks."""
    found: dict[str, list[float]] = {}
    for network in networks:
        for name, size in role_sizes(interface.spec(network.hidden_dims), network.weights).items():
            found.setdefault(name, []).append(size)
    return {name: (min(sizes), max(sizes)) for name, sizes in sorted(found.items())}


def alarms_of(sizes: Sizes, ranges: Ranges, loss: float, constant_loss: float) -> tuple[str, ...]:
    """Name what is wrong with a network; nothing in a sound one.

    Args:
        sizes: Of its weights, by role.
        ranges: Of the zoo's; a role that no zoo network has is not judged.
        loss: Its cloning loss.
        constant_loss: The loss of the best constant action.
    """
    alarms = []
    for name, size in sizes.items():
        low, high = ranges.get(name, (size, size))
        if size < low / NORM_SLACK:
            alarms.append(f"{name} too small")
        elif size > high * NORM_SLACK:
            alarms.append(f"{name} too large")
    if loss >= USELESS * constant_loss:
        alarms.append("no better than a constant action")
    return tuple(alarms)
