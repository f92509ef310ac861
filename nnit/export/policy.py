"""A network as other tools get it: with its scaling and its bounds inside, and what it is for."""

import json
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from nnit.generators.policy import MlpPolicy
from nnit.mlp import ACTION, Network, PolicyInterface, format_architecture
from nnit.policy_record import Setting, draw_observations

OBSERVATION = "observation"  # what the input of every export is called
OUTPUTS = {"action": ("action",), "class": ("logits", "class")}  # kind of output -> names
CHECKED = 1000  # observations that an export is compared with torch on
FAR = 100  # of them: some numbers so far out that the clipping of inputs shows
TOLERANCE = 1e-5  # of actions; of classes, beside the largest number: rounding of float32


class ExportedPolicy(NamedTuple):
    """A network, what surrounds it, and where it belongs."""

    name: str  # as in its artifact, network-0000
    network: Network
    interface: PolicyInterface
    setting: Setting

    @property
    def num_bytes(self) -> int:
        """What its numbers take as float32: weights, biases, scaling of inputs and outputs."""
        numbers = self.interface.spec(self.network.hidden_dims).num_parameters
        scaled = self.interface.obs_dim
        scaled += self.interface.act_dim if self.interface.recorded is not None else 0
        return 4 * (numbers + 2 * scaled)


class Answers(NamedTuple):
    """What a network says to N observations."""

    outputs: np.ndarray  # (N, act_dim) float32: actions, or one number for each class
    chosen: np.ndarray | None  # (N,) int: the class; None of actions


class ChoosingPolicy(nn.Module):
    """A policy of classes that says which one is chosen, too."""

    def __init__(self, policy: MlpPolicy) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return one number for each class ``(..., act_dim)``, and the class ``(...)``."""
        logits = self.policy(observation)
        return logits, logits.argmax(-1)


def torch_module(policy: ExportedPolicy) -> nn.Module:
    """Return the network as a module of torch, with the outputs that every export has."""
    module = MlpPolicy(policy.network, policy.interface).requires_grad_(requires_grad=False)
    return module if policy.interface.output == ACTION else ChoosingPolicy(module)


def torch_answers(module: nn.Module, observations: np.ndarray) -> Answers:
    """Return what a module answers to raw observations ``(N, obs_dim)``."""
    with torch.inference_mode():
        found = module(torch.from_numpy(observations))
    if isinstance(found, Tensor):
        return Answers(found.numpy(), None)
    logits, chosen = found
    return Answers(logits.numpy(), chosen.numpy())


def observations_for(policy: ExportedPolicy) -> np.ndarray:
    """Return ``CHECKED`` raw observations ``(CHECKED, obs_dim)`` float32, the same every time."""
    return draw_observations(policy.interface, CHECKED, FAR)


def largest_difference(expected: Answers, found: Answers) -> float:
    """Return by how much answers differ at most, beside the largest number of all of them, or 1.

    A network that answers with differences of large numbers is no more exact in torch either.
    Infinity where a class is chosen that is not the largest of the numbers beside it.
    """
    if found.chosen is not None and (found.chosen != found.outputs.argmax(axis=1)).any():
        return float("inf")
    scale = max(1.0, float(np.abs(expected.outputs).max()))
    return float(np.abs(found.outputs - expected.outputs).max()) / scale


def about(policy: ExportedPolicy) -> dict[str, str]:
    """Say what a network is for, as names and texts; what is no text is JSON."""
    setting = policy.setting
    layout = [part._asdict() for part in setting.layout]
    return {
        "task": policy.interface.task,
        "control_mode": policy.interface.control_mode,
        "control_freq": json.dumps(setting.control_freq),
        "observation_layout": json.dumps(layout),
        "architecture": format_architecture(policy.network.hidden_dims),
        "output": policy.interface.output,
    }
