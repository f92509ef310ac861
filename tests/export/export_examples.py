"""Small policies to export: one that acts, one that chooses among classes."""

from pathlib import Path

import numpy as np

from nnit.artifacts.manifest import Provenance
from nnit.artifacts.samples import Sample, SampleSet, write_samples
from nnit.export.policy import ExportedPolicy
from nnit.mlp import (
    CLASS,
    Architecture,
    Network,
    PolicyInterface,
    Recorded,
    join_layers,
    split_layers,
)
from nnit.policy_record import Part, Setting
from nnit_cli.main import main

SCALING = (0.5, -2.0, 1e-3, 30.0, 0.0), (0.25, 1.5, 1e-4, 7.0, 1.0)  # means and deviations
ACTS = PolicyInterface("PickCube-v1", "pd_ee_delta_pos", 5, 3, 50, *SCALING)._replace(obs_clip=4.0)
CHOOSES = ACTS._replace(task="gym:CartPole-v1", control_mode="none", output=CLASS)
ROBOT = Recorded((-90.0, 0.25, 5.0), (30.0, 0.5, 5.0), 30)  # the last number never moves
RECORDED = ACTS._replace(task="my-arm", control_mode="none", recorded=ROBOT)
INTERFACES = {"action": ACTS, "class": CHOOSES, "recorded": RECORDED}
SHAPES = ((64, 64), (3, 17, 5))
SETTING = Setting(20, (Part("agent/qpos", 0, 4), Part("extra/goal", 4, 1)))


def network(interface: PolicyInterface, hidden_dims: Architecture, seed: int = 0) -> Network:
    """Return a random network whose outputs are about 1, so that some are beyond the bounds."""
    spec = interface.spec(hidden_dims)
    drawn = np.random.default_rng(seed).standard_normal(spec.num_parameters).astype(np.float32)
    layers = [
        layer._replace(weight=layer.weight * np.float32(np.sqrt(2 / layer.weight.shape[1])))
        for layer in split_layers(spec, drawn)
    ]
    return Network(hidden_dims, join_layers(layers))


def policy(kind: str, hidden_dims: Architecture = SHAPES[0]) -> ExportedPolicy:
    """Return a policy of a kind of output."""
    interface = INTERFACES[kind]
    return ExportedPolicy("network-0000", network(interface, hidden_dims), interface, SETTING)


def write_networks(path: Path, kind: str, count: int = 2) -> None:
    """Write samples of a kind of output, the first of 64,64."""
    interface = INTERFACES[kind]
    samples = tuple(
        Sample(network(interface, SHAPES[k % len(SHAPES)], k), 0, k) for k in range(count)
    )
    write_samples(path, SampleSet(samples, interface), Provenance("sample", {}, 3))


def tree(path: Path) -> dict[str, bytes]:
    """Return every file below a folder with its content."""
    files = sorted(file for file in path.rglob("*") if not file.is_dir())
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}


def fault_of(capsys, words: list[str], code: int) -> str:
    """Run a command that must fail with a code and one line; return the line."""
    assert main(words) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("nnit: ")
    assert captured.err.count("\n") == 1, captured.err
    return captured.err.removeprefix("nnit: ").rstrip("\n")
