"""Tiny demonstrations, architectures and networks that the learning rooms' tests share."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from nnit.architectures import TrainingRange
from nnit.demos import Demos
from nnit.ghn.model import GhnConfig
from nnit.mlp import Architecture, LayerWeights, MlpSpec, PolicyInterface, forward
from nnit.zoo.members import ModelZoo, ZooMember, build_zoo

INTERFACE = PolicyInterface(
    task="PushCube-v1",
    control_mode="pd_ee_delta_pos",
    obs_dim=6,
    act_dim=3,
    horizon=10,
    obs_mean=(0.5, -0.5, 0.0, 0.0, 0.0, 1.0),
    obs_std=(1.0, 2.0, 1.0, 1.0, 0.5, 1.0),
)
OTHER = PolicyInterface(
    task="PickCube-v1",
    control_mode="pd_ee_delta_pos",
    obs_dim=9,
    act_dim=2,
    horizon=20,
    obs_mean=(0.25,) * 9,
    obs_std=(2.0,) * 9,
)
RANGE = TrainingRange(8, 24, 4, 1, 2, held_out_widths=(12,), held_out=((16, 8),))
DIMS = [(5,), (16, 8), (7, 9, 3), (16, 8), (24, 24), (4, 4, 4), (8,), (8, 8)]
DEPTHS = (1, 2, 3)
WIDTHS = (3, 4, 5, 7, 8, 9, 16, 24)
TINY_GHN = GhnConfig("cnn", node_dim=16, channels=16, rounds=2)


def random_layers(spec: MlpSpec, seed: int) -> list[LayerWeights]:
    """Return a network with He-sized weights and small biases."""
    rng = np.random.default_rng(seed)
    return [
        LayerWeights(
            (rng.normal(size=shape) * np.sqrt(2 / shape.fan_in)).astype(np.float32),
            (0.1 * rng.normal(size=shape.fan_out)).astype(np.float32),
        )
        for shape in spec.layers
    ]


def random_flat(spec: MlpSpec, seed: int) -> np.ndarray:
    """Return standard normal weights, ``(num_parameters,)`` float32."""
    return np.random.default_rng(seed).standard_normal(spec.num_parameters, np.float32)


def make_demos(episodes: int = 24, seed: int = 0) -> Demos:
    """Return what a small random network does, with some labels at the bounds."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 12, size=episodes)
    observations = rng.standard_normal((lengths.sum(), INTERFACE.obs_dim), np.float32)
    expert = random_layers(INTERFACE.spec((16,)), seed=99)
    actions = np.clip(forward(expert, INTERFACE.standardise(observations)), -1, 1)
    return Demos(
        observations=observations,
        actions=actions.astype(np.float32),
        episode_ends=np.cumsum(lengths),
        success_once=np.ones(episodes, bool),
        success_at_end=np.ones(episodes, bool),
        seeds=np.arange(episodes),
        interface=INTERFACE,
    )


def make_zoo(
    architectures: list[Architecture],
    seed: int = 0,
    splits: list[str] | None = None,
    interface: PolicyInterface = INTERFACE,
) -> ModelZoo:
    """Return a zoo of random networks of two branches."""
    splits = splits or ["train"] * len(architectures)
    members = [
        ZooMember(dims, k % 2, 10, 0.1 * k, float("nan"), split)
        for k, (dims, split) in enumerate(zip(architectures, splits, strict=True))
    ]
    weights = [random_flat(interface.spec(dims), seed + k) for k, dims in enumerate(architectures)]
    return build_zoo(members, weights, interface)


def stirred(model: nn.Module) -> nn.Module:
    """Add noise to every parameter, so that zero-initialised layers are no longer zero."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model.requires_grad_(requires_grad=False)


@contextmanager
def worker_settings() -> Iterator[None]:
    """Compute with one thread, as workers do, and undo what ``prepare_torch`` sets."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)
        torch.use_deterministic_algorithms(False)
