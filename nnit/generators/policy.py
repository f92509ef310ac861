"""A generated network as a torch module that takes observations as the simulator gives them."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from nnit.mlp import ACTION, Architecture, Network, PolicyInterface, split_layers


class MlpPolicy(nn.Module):
    """An MLP with the scaling of its task inside: ``policy(observation) -> action``.

    ``policy.layers`` is the bare ``nn.Sequential(Linear, ReLU, ..., Linear)``.

    Args:
        network: The hidden widths and the flat weights.
        interface: What surrounds it in its task.

    Raises:
        ValueError: the number of weights contradicts the architecture.
    """

    obs_mean: Tensor  # (obs_dim,)
    obs_std: Tensor  # (obs_dim,)
    action_middle: Tensor  # (act_dim,), of a robot that was recorded
    action_half: Tensor  # (act_dim,), the same

    def __init__(self, network: Network, interface: PolicyInterface) -> None:
        super().__init__()
        self.interface = interface
        self.hidden_dims: Architecture = network.hidden_dims
        spec = interface.spec(network.hidden_dims)
        dims = (spec.obs_dim, *spec.hidden_dims, spec.act_dim)
        linear = [nn.Linear(fan_in, fan_out) for fan_in, fan_out in pairwise(dims)]
        self.layers = nn.Sequential(
            *(part for one in linear[:-1] for part in (one, nn.ReLU())), linear[-1]
        )
        for one, (weight, bias) in zip(linear, split_layers(spec, network.weights), strict=True):
            one.load_state_dict(
                {"weight": torch.from_numpy(weight.copy()), "bias": torch.from_numpy(bias.copy())}
            )
        self.register_buffer("obs_mean", torch.tensor(interface.obs_mean))
        self.register_buffer("obs_std", torch.tensor(interface.obs_std))
        if interface.recorded is not None:
            middle, half = interface.recorded.middle, interface.recorded.half
            self.register_buffer("action_middle", torch.tensor(middle, dtype=torch.float32))
            self.register_buffer("action_half", torch.tensor(half, dtype=torch.float32))

    @property
    def task(self) -> str:
        """The id of the task that it is for."""
        return self.interface.task

    def forward(self, observation: Tensor) -> Tensor:
        """Return the actions ``(..., act_dim)`` within the bounds of the task.

        Of classes they are one number for each; the largest is the answer. What is not a number, as
        of a network with absurd weights, becomes 0, which in a robot's units is the middle of its
        bounds.

        Args:
            observation: ``(..., obs_dim)``, raw.
        """
        scaled = (observation - self.obs_mean) / self.obs_std
        bound = self.interface.obs_clip
        outputs = self.layers(scaled.clamp(-bound, bound))
        if self.interface.output == ACTION:
            bound = self.interface.action_clip
            outputs = outputs.clamp(-bound, bound)
        outputs = outputs.nan_to_num()
        if self.interface.recorded is not None:
            outputs = outputs * self.action_half + self.action_middle
        return outputs

    def extra_repr(self) -> str:
        """Name the task."""
        return self.task
