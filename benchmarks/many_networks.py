"""Measure what policies add to the simulator's own time when many networks are evaluated.

    python -m benchmarks.many_networks SAMPLES results/many_networks.json [--episodes 8]

``nnit rollout``'s evaluation of all networks of an artifact of samples, of whatever shapes, beside
the same episodes with the actions replayed from memory: the same resets and the same steps of
physics, in as many processes, without any network. Both in turn, several times; the medians count.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import NamedTuple

from nnit.artifacts.samples import read_samples
from nnit.engine import Engine
from nnit.mlp import format_architecture
from nnit.parallel import map_units
from nnit.processes import default_workers
from nnit.rollout.episodes import EvaluationRequest, Trajectory, UnitResult, evaluate_networks
from nnit.tasks.registry import process_simulation
from nnit.tasks.task import TaskRef


class Replay(NamedTuple):
    """Episodes whose actions are known."""

    task: TaskRef
    trajectories: tuple[Trajectory, ...]


def replay(unit: Replay) -> list[bool]:
    """Simulate episodes with given actions; returns whether each succeeds."""
    simulation = process_simulation(unit.task)
    succeeded = []
    for one in unit.trajectories:
        simulation.reset(one.seed)
        flags = [simulation.step(action).success for action in one.actions]  # to the horizon
        succeeded.append(any(flags))
    return succeeded


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("samples", type=Path, help="an artifact of samples")
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("--episodes", type=int, default=8, help="of each network")
    parser.add_argument("--repeats", type=int, default=3, help="times that both are measured")
    return parser.parse_args()


def main() -> None:
    """Evaluate and replay in turn, and write the file."""
    arguments = parse_arguments()
    samples, artifact = read_samples(arguments.samples)
    interface, workers = samples.interface, default_workers()
    engine = Engine(workers)
    requests = [
        EvaluationRequest(f"{k}", "sample", one.network.hidden_dims, "", one.network.weights)
        for k, one in enumerate(samples.samples)
    ]
    recorded: list[UnitResult] = []
    evaluations = evaluate_networks(
        requests,
        interface,
        arguments.episodes,
        engine=engine,
        on_unit=lambda _, result: recorded.append(result),
        record=True,
    )
    units = [Replay(TaskRef(interface.task), result.trajectories) for result in recorded]

    def evaluate_all() -> int:
        found = evaluate_networks(requests, interface, arguments.episodes, engine=engine)
        return sum(e.success_once for one in found for e in one.episodes)

    def replay_all() -> int:
        return sum(sum(one) for one in map_units(replay, units, engine))

    seconds: dict[str, list[float]] = {"evaluated": [], "replayed": []}
    successes = {sum(e.success_once for one in evaluations for e in one.episodes)}
    for _ in range(arguments.repeats):
        for name, run in (("evaluated", evaluate_all), ("replayed", replay_all)):
            started = time.perf_counter()
            successes.add(run())
            seconds[name].append(time.perf_counter() - started)
    if len(successes) > 1:
        raise ValueError(f"replayed actions gave another number of successes: {successes}")
    medians = {name: statistics.median(group) for name, group in seconds.items()}
    figures = {
        "command": f"python -m benchmarks.many_networks SAMPLES {arguments.out} "
        f"--episodes {arguments.episodes}",
        "task": interface.task,
        "digest": artifact.digest,
        "cores": len(os.sched_getaffinity(0)),
        "workers": workers,
        "networks": len(requests),
        "shapes": len({format_architecture(one.hidden_dims) for one in requests}),
        "episodes": arguments.episodes,
        "seconds": seconds,
        "ratio": medians["evaluated"] / medians["replayed"],
    }
    arguments.out.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"{figures['ratio']:.3f} times the simulator's own time; {arguments.out}")


if __name__ == "__main__":
    main()
