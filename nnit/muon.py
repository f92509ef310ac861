"""Muon for hidden matrices and AdamW for all else, as one optimiser.

Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"
(https://kellerjordan.github.io/posts/muon/); the size of its steps as in Liu et al. 2025, "Muon is
scalable for LLM training" (arXiv:2502.16982).

``torch.optim.Muon`` orthogonalises in bfloat16, which many CPUs don't multiply. Here it is float32,
and iterates on the small side's Gram matrix, which the long side enters twice and not ten times.
"""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.775, 2.0315)  # of Newton-Schulz, per iteration
ITERATIONS = 5
MOMENTUM = 0.95
RATE = 4.0  # Muon's learning rate, in AdamW's
SIZE = 0.2  # root mean square of a step, in learning rates, as AdamW's steps have


def orthogonalise(matrix: Tensor) -> Tensor:
    """Return about ``U V'`` of a matrix ``U S V'``: all singular values between 0.7 and 1.2.

    Those smaller than a 500th of the norm stay small.
    """
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    tall = tall / (tall.norm() + 1e-7)
    gram = tall.T @ tall
    linear, cubic, quintic = COEFFICIENTS
    product: Tensor | None = None
    for _ in range(ITERATIONS):
        factor = torch.addmm(gram, gram, gram, beta=cubic, alpha=quintic)
        factor.diagonal().add_(linear)
        product = factor if product is None else product @ factor
        gram = factor @ gram @ factor
    assert product is not None, "there is an iteration"
    result = tall @ product
    return result if matrix.shape[0] >= matrix.shape[1] else result.T


class MuonAdamW(torch.optim.AdamW):
    """AdamW, and Muon where a group of parameters has ``muon`` set; all groups have one rate.

    Args:
        hidden: Matrices between hidden layers, for Muon.
        others: All other parameters.
        weight_decay: Of both.
    """

    def __init__(
        self, hidden: Iterable[Tensor], others: Iterable[Tensor], weight_decay: float
    ) -> None:
        groups = [{"params": list(hidden), "muon": True}, {"params": list(others), "muon": False}]
        super().__init__(groups, lr=0.0, weight_decay=weight_decay, fused=True)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take a step; the gradients of Muon's parameters are gone after it."""
        for group in self.param_groups:
            if group["muon"]:
                for parameter in group["params"]:
                    self._take_muon_step(parameter, group["lr"], group["weight_decay"])
        return super().step(closure)  # passes over parameters without a gradient

    def _take_muon_step(self, parameter: Tensor, rate: float, weight_decay: float) -> None:
        if parameter.grad is None:
            return
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())  # unused, but AdamW looks for it when state is loaded
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].lerp_(parameter.grad, 1 - MOMENTUM)
        update = orthogonalise(parameter.grad.lerp(momentum, MOMENTUM))
        parameter.mul_(1 - rate * RATE * weight_decay)
        parameter.add_(update, alpha=-SIZE * rate * RATE * math.sqrt(max(update.shape)))
        parameter.grad = None
