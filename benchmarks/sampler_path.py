"""Measure whether more steps of the sampler make better networks or worse ones.

    python -m benchmarks.sampler_path artifacts results/sampler_path.json [--fresh DEMOS]

Of a folder with ``demos``, ``tokens`` and ``generator`` of one task. Cloning losses of what is
predicted for training networks, from small to large, at the times of the sampler's steps: along the
path from noise to the network, and along the sampler's own. Then, for shapes of the trained range
that are neither in the zoo nor held out, losses of samples with several numbers of steps, and how
much samples of one shape differ, within a branch and across branches. Losses are on ``--fresh``
demonstrations, which nothing was trained on, by default on the training ones.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from nnit.architectures import sample_architecture
from nnit.artifacts.demos import read_demos
from nnit.artifacts.tokens import read_tokens
from nnit.cloning import CloningData, cloning_data, evaluate_loss, network_loss
from nnit.diffusion.batch import collate
from nnit.diffusion.drift import PathLosses, losses_along_path
from nnit.diffusion.predicted import predicted_networks
from nnit.diffusion.sampler import SampleRequest, sample_networks
from nnit.diffusion.training import branch_rows, network_tokens
from nnit.generators.trained import Generator, load_generator
from nnit.mlp import Architecture, Network, format_architecture
from nnit.seeding import numpy_generator, torch_generator
from nnit.tokens.token_set import TokenSet
from nnit.training import prepare_torch
from stages.lineage import on_other_demonstrations
from stages.params_file import load_params

STEPS = (1, 4, 10, 30)
PATH_STEPS = 10


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifacts", type=Path, help="the folder")
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("--fresh", type=Path, help="demonstrations that nothing was trained on")
    parser.add_argument("--networks", type=int, default=8, help="training networks")
    parser.add_argument("--shapes", type=int, default=8, help="shapes that nothing was trained on")
    parser.add_argument("--samples", type=int, default=4, help="of each of those, and branch")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    return parser.parse_args()


def spread_out(tokens: TokenSet, count: int) -> list[int]:
    """Return training networks from the smallest to the largest, evenly by parameters."""
    order = sorted(range(len(tokens)), key=lambda k: tokens.spec(k).num_parameters)
    return [order[k] for k in np.linspace(0, len(order) - 1, count).round().astype(int)]


def along_path(
    generator: Generator, tokens: TokenSet, k: int, data: CloningData, seed: int
) -> PathLosses:
    """Follow the path of one training network."""
    network, spec = network_tokens(tokens, k), tokens.spec(k)
    return losses_along_path(
        generator.model,
        collate([network], branches=[branch_rows(tokens)[k]]),
        lambda content: evaluate_loss(
            predicted_networks(content, [network.layout], [spec])[0], data
        ),
        PATH_STEPS,
        torch_generator(seed, "path", k),
    )


def new_shapes(tokens: TokenSet, params: Path, count: int, seed: int) -> list[Architecture]:
    """Draw shapes of the trained range that the zoo lacks and no held-out list has."""
    training_range = load_params(params).architectures.training_range()
    chance, found = numpy_generator(seed, "new shapes"), []
    while len(found) < count:
        drawn = sample_architecture(chance, training_range)
        if drawn not in tokens.architectures and drawn not in found:
            found.append(drawn)
    return sorted(found, key=lambda widths: tokens.interfaces[0].spec(widths).num_parameters)


def sampled(
    generator: Generator, shape: Architecture, samples: int, steps: int, seed: int
) -> list[list[Network]]:
    """Sample a shape from each branch, so often; the same noise whatever the steps."""
    spec = generator.interface.spec(shape)
    return [
        [
            network
            for _, network in sample_networks(
                generator.model,
                [
                    SampleRequest(spec, branch, torch_generator(seed, "noise", branch, k))
                    for k in range(samples)
                ],
                generator.patch_size,
                generator.standardizer,
                num_steps=steps,
            )
        ]
        for branch in generator.place.branches
    ]


def distance(networks: list[Network]) -> float:
    """Return how far networks of a shape are from their mean, relative to its length."""
    weights = np.stack([network.weights for network in networks]).astype(np.float64)
    mean = weights.mean(0)
    return float(np.linalg.norm(weights - mean, axis=1).mean() / np.linalg.norm(mean))


def measure_shape(
    generator: Generator, shape: Architecture, data: CloningData, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Sample a shape with each number of steps."""
    losses, within, across = {}, {}, {}
    for steps in STEPS:
        groups = sampled(generator, shape, arguments.samples, steps, arguments.seed)
        losses[str(steps)] = [
            network_loss(one, generator.interface, data) for group in groups for one in group
        ]
        within[str(steps)] = statistics.mean(distance(group) for group in groups)
        across[str(steps)] = distance([group[0] for group in groups])
    return {
        "shape": format_architecture(shape),
        "losses": losses,
        "distance_within_branch": within,
        "distance_across_branches": across,
    }


def main() -> None:
    """Measure, and write the file."""
    arguments = parse_arguments()
    prepare_torch()
    generator = load_generator(arguments.artifacts / "generator", "cpu")
    tokens, _ = read_tokens(arguments.artifacts / "tokens")
    demos, _ = read_demos(arguments.artifacts / "demos")
    if arguments.fresh is not None:
        fresh, _ = read_demos(arguments.fresh)
        demos = on_other_demonstrations(
            arguments.artifacts / "generator", generator.interface, arguments.fresh, fresh
        )
    data = cloning_data(demos)
    paths = {
        k: along_path(generator, tokens, k, data, arguments.seed)
        for k in spread_out(tokens, arguments.networks)
    }
    shapes = [
        measure_shape(generator, shape, data, arguments)
        for shape in new_shapes(tokens, arguments.params, arguments.shapes, arguments.seed)
    ]
    of_steps = {
        str(steps): statistics.geometric_mean(
            statistics.mean(shape["losses"][str(steps)]) for shape in shapes
        )
        for steps in STEPS
    }
    figures = {
        "command": f"python -m benchmarks.sampler_path {arguments.artifacts} {arguments.out}",
        "task": generator.interface.task,
        "digest": generator.digest,
        "paths": [
            {
                "network": format_architecture(tokens.architectures[k]),
                "own_loss": float(tokens.losses[k]),
                "drift": path.drift,
                **path._asdict(),
            }
            for k, path in paths.items()
        ],
        "shapes": shapes,
        "loss_by_steps": of_steps,
        "largest_drift": max(path.drift for path in paths.values()),
        "largest_spread": max(
            max(losses) / min(losses) for shape in shapes for losses in shape["losses"].values()
        ),
    }
    arguments.out.write_text(json.dumps(figures, indent=2) + "\n")
    losses = ", ".join(f"{loss:.5f} at {steps}" for steps, loss in of_steps.items())
    print(
        f"losses by steps: {losses}; own path at most {figures['largest_drift']:.2f} times the "
        f"true one, samples of a shape within {figures['largest_spread']:.2f}; {arguments.out}"
    )


if __name__ == "__main__":
    main()
