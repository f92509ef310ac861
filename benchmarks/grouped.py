"""Measure what cloning in groups saves, beside a loop that trains one network after another.

    python -m benchmarks.grouped results/grouped.json

Both train the same networks with the same batches on one core, in turns, a unit of work at a time;
processor seconds count, the least of several rounds, which is what the work takes where nothing
else disturbs it. The networks: a branch's share of the zoo of the default parameters, fine-tuned,
and one of each held-out shape, cloned from scratch.
"""

import json
import math
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from nnit.cloning import (
    CloningData,
    cloning_data,
    evaluate_loss,
    initialise_flat,
    layers_from_flat,
    run_mlp,
)
from nnit.demos import Demos
from nnit.groups.training import CloningSettings, Pupil, train_groups
from nnit.groups.units import GroupUnit, plan_clones, plan_units
from nnit.mlp import PolicyInterface
from nnit.training import prepare_torch
from nnit.zoo.export import member_architectures
from stages.params import Params

OBS_DIM, ACT_DIM = 39, 4  # those of PlaceSphere-v1
EPISODES, LENGTH = 300, 50
STEPS = 100  # of each network, in each round
ROUNDS = 4


class Cost(NamedTuple):
    """What some networks take and become, one by one and in groups."""

    seconds: tuple[float, float]  # of a processor
    losses: tuple[float, float]  # sums over the networks


def made_up_demos() -> Demos:
    """Return demonstrations of the usual size: what a random network does."""
    generator = torch.Generator().manual_seed(0)
    interface = PolicyInterface(
        "none", "none", OBS_DIM, ACT_DIM, LENGTH, (0.0,) * OBS_DIM, (1.0,) * OBS_DIM
    )
    observations = torch.randn(EPISODES * LENGTH, OBS_DIM, generator=generator)
    spec = interface.spec((64, 64))
    expert = layers_from_flat(spec, initialise_flat(spec, generator))
    actions = (8 * run_mlp(expert, observations)).clamp(-1, 1)
    return Demos(
        observations=observations.numpy(),
        actions=actions.numpy(),
        episode_ends=np.arange(1, EPISODES + 1) * LENGTH,
        success_once=np.ones(EPISODES, bool),
        success_at_end=np.ones(EPISODES, bool),
        seeds=np.arange(EPISODES),
        interface=interface,
    )


def train_one(
    pupil: Pupil, data: CloningData, interface: PolicyInterface, settings: CloningSettings
) -> torch.Tensor:
    """Train a network by itself, with gradients from autograd: the way before there were groups."""
    spec = interface.spec(pupil.hidden_dims)
    generator = torch.Generator().manual_seed(pupil.seed)
    parameters = initialise_flat(spec, generator).requires_grad_()
    optimizer = torch.optim.Adam([parameters], eps=settings.epsilon, fused=True)
    layers = layers_from_flat(spec, parameters)
    for step in range(settings.steps):
        share = 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        optimizer.param_groups[0]["lr"] = settings.learning_rate * share
        rows = torch.randint(len(data), (settings.batch_size,), generator=generator)
        loss = data.loss(run_mlp(layers, data.observations[rows]), rows)
        (parameters.grad,) = torch.autograd.grad(loss, parameters, retain_graph=True)
        optimizer.step()
    return parameters.detach()


def measure(unit: GroupUnit) -> Cost:
    """Train the networks of a unit in both ways, in turns."""
    interface, settings = unit.demos.interface, unit.settings
    data = cloning_data(unit.demos)
    pupils = [pupil for group in unit.groups for pupil in group]

    def one_by_one() -> list[torch.Tensor]:
        return [train_one(pupil, data, interface, settings) for pupil in pupils]

    def grouped() -> list[torch.Tensor]:
        return train_groups(unit.groups, data, interface, settings)

    def loss(flats: list[torch.Tensor]) -> float:
        specs = [interface.spec(pupil.hidden_dims) for pupil in pupils]
        return sum(evaluate_loss(one, data) for one in map(layers_from_flat, specs, flats))

    seconds, trained = [], []
    for _ in range(ROUNDS):
        rounds = [timed(one_by_one), timed(grouped)]
        seconds.append([one[0] for one in rounds])
        trained = [one[1] for one in rounds]
    least = [min(way) for way in zip(*seconds, strict=True)]
    return Cost((least[0], least[1]), (loss(trained[0]), loss(trained[1])))


def timed(train: Callable[[], list[torch.Tensor]]) -> tuple[float, list[torch.Tensor]]:
    """Return the processor seconds that a training takes, and what it made."""
    started = time.process_time()
    trained = train()
    return time.process_time() - started, trained


def report(units: Sequence[GroupUnit]) -> dict[str, float]:
    """Measure all units, and return what is written down."""
    costs = [measure(unit) for unit in units]
    networks = sum(len(unit.indices) for unit in units)
    alone, grouped = (sum(cost.seconds[way] for cost in costs) for way in range(2))
    losses = [sum(cost.losses[way] for cost in costs) / networks for way in range(2)]
    return {
        "networks": networks,
        "groups": sum(len(unit.groups) for unit in units),
        "step_ms_one_by_one": 1e3 * alone / networks / STEPS,
        "step_ms_grouped": 1e3 * grouped / networks / STEPS,
        "times_the_networks_per_second": alone / grouped,
        "loss_one_by_one": losses[0],
        "loss_grouped": losses[1],
    }


def processor() -> str:
    """Return the name of the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    """Measure both, write the file that is named on the command line, and print it."""
    prepare_torch()
    params, demos = Params(), made_up_demos()
    export, held_out = params.zoo_export, params.architectures.held_out
    zoo = member_architectures(
        params.architectures.training_range(),
        networks=export.networks,
        repeated=export.repeated,
        repeats=export.repeats,
        seed=0,
    )
    branch = [Pupil(shape, seed) for seed, shape in enumerate(zoo[:: export.branches])]
    tuning = CloningSettings(STEPS, export.batch_size, export.fine_tune_learning_rate)
    clones = [shape for kind in held_out.model_dump().values() for shape in kind]
    figures = {
        "command": f"python -m benchmarks.grouped {' '.join(sys.argv[1:])}",
        "processor": processor(),
        "steps": STEPS,
        "rounds": ROUNDS,
        "fine_tuning": report(plan_units(branch, demos, tuning, "cpu")),
        "direct_cloning": report(plan_clones(clones, demos, steps=STEPS, seed=0)),
    }
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
