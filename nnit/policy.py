"""Run one MLP policy on one observation at a time, as fast as numpy can."""

import numpy as np

from nnit.mlp import ACTION, Architecture, PolicyInterface, split_layers


class NumpyPolicy:
    """An MLP with its ``PolicyInterface``: raw observation in, action out.

    Args:
        interface: Scaling of observations and clipping of actions.
        hidden_dims: Hidden widths.
        weights: Flat weights ``(num_parameters,)``, in the order of ``nnit.mlp``.

    Raises:
        ValueError: the number of weights contradicts the architecture.
    """

    _bound: np.float32 | None  # of actions; None for classes

    def __init__(
        self, interface: PolicyInterface, hidden_dims: Architecture, weights: np.ndarray
    ) -> None:
        layers = split_layers(interface.spec(hidden_dims), np.asarray(weights, np.float32))
        self._hidden = [(np.ascontiguousarray(w.T), b.copy()) for w, b in layers[:-1]]
        self._output = (np.ascontiguousarray(layers[-1].weight.T), layers[-1].bias.copy())
        self._mean = np.asarray(interface.obs_mean, np.float32)
        self._std = np.asarray(interface.obs_std, np.float32)
        self._obs_clip = np.float32(interface.obs_clip)
        self._bound = np.float32(interface.action_clip) if interface.output == ACTION else None

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        """Return the action ``(act_dim,)`` float32 for a raw observation ``(obs_dim,)``.

        An action that is NaN, as of a network with absurd weights, becomes 0: stand still.
        Of classes, the chosen one is 1 and the others are 0.
        """
        x = (observation - self._mean) / self._std
        np.minimum(np.maximum(x, -self._obs_clip, out=x), self._obs_clip, out=x)
        for weight, bias in self._hidden:
            x = np.dot(x, weight)
            x += bias
            np.maximum(x, 0, out=x)
        weight, bias = self._output
        x = np.dot(x, weight)
        x += bias
        if self._bound is None:
            chosen = np.zeros_like(x)
            chosen[np.nan_to_num(x).argmax()] = 1
            return chosen
        np.minimum(np.maximum(x, -self._bound, out=x), self._bound, out=x)
        return x if np.isfinite(x).all() else np.nan_to_num(x)
