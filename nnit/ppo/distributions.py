"""What a policy's outputs mean while it explores: a normal distribution, or class probabilities."""

import math

import torch
from torch import Tensor

from nnit.mlp import ACTION, Output


def log_probability(outputs: Tensor, actions: Tensor, log_std: Tensor, output: Output) -> Tensor:
    """Return the log-probability, or density, of actions ``(B,)``.

    Args:
        outputs: Of the network ``(B, act_dim)``: the mean, or the logits of classes.
        actions: ``(B, act_dim)``; of classes, 1 for the chosen one.
        log_std: Logarithm of the standard deviation ``(act_dim,)``; not used for classes.
        output: Which it is.
    """
    if output != ACTION:
        return (actions * outputs.log_softmax(dim=-1)).sum(dim=-1)
    scaled = (actions - outputs) / log_std.exp()
    return -(0.5 * scaled**2 + log_std + 0.5 * math.log(2 * math.pi)).sum(dim=-1)


def entropy(outputs: Tensor, log_std: Tensor, output: Output) -> Tensor:
    """Return the entropy of each distribution ``(B,)``, in nats."""
    if output != ACTION:
        logs = outputs.log_softmax(dim=-1)
        return -(logs.exp() * logs).sum(dim=-1)
    each = log_std + 0.5 * math.log(2 * math.pi * math.e)
    return each.sum().expand(len(outputs))


def clipped_objective(
    log_probs: Tensor, old_log_probs: Tensor, advantage: Tensor, clip: float
) -> Tensor:
    """Return the mean clipped surrogate objective, which is to be maximised.

    Source: Schulman et al. 2017, "Proximal policy optimization algorithms" (arXiv:1707.06347),
    equation 7.
    """
    ratio = (log_probs - old_log_probs).exp()
    limited = ratio.clamp(1 - clip, 1 + clip)
    return torch.minimum(ratio * advantage, limited * advantage).mean()
