r"""Draw held-out architectures that played no part in any decision, for a second look.

The held-out shapes of ``params.yaml`` were looked at while the method was being made: features and
learning rates were chosen by their success too. These are drawn by a seed instead, four of each
kind, and nothing is chosen by them. On the artifacts of ``make compare``:

    python -m benchmarks.new_shapes > profiles/new_shapes.yaml
    nnit sample --held-out --params profiles/new_shapes.yaml \
        --model comparison/artifacts/TASK/seed-0/generator --out build/new_shapes/TASK/samples
    nnit rollout build/new_shapes/TASK/samples --task TASK --params profiles/new_shapes.yaml \
        --ghn comparison/artifacts/TASK/seed-0/ghn --demos comparison/artifacts/TASK/demos \
        --out build/new_shapes/TASK/rollouts
    python -m benchmarks.collect build/new_shapes/TASK results/new_shapes/TASK

Tuples of trained widths are checked against every architecture that the trainings drew, by drawing
all of them again.
"""

from pathlib import Path

import numpy as np

from nnit.architectures import HELD_OUT_KINDS, TrainingRange, sample_architecture
from nnit.mlp import Architecture
from nnit.seeding import derive_seed, numpy_generator
from nnit.zoo.export import member_architecture
from stages.params import Params
from stages.params_file import load_params

SEED = 2026
COMPARISON_PARAMS = Path("comparison/params")
OF_EACH_KIND = 4


def trained_architectures(params: Params) -> set[Architecture]:
    """Return every architecture that the hypernetwork, its branches or the zoo ever had."""
    training = params.architectures.training_range()
    zoo_seed = derive_seed(params.seed, "zoo-export")
    runs = [(derive_seed(params.seed, "ghn-train"), params.ghn_train.steps)]
    runs += [
        (derive_seed(zoo_seed, "branch", branch), params.zoo_export.branch_steps)
        for branch in range(params.zoo_export.branches)
    ]
    drawn = {
        member_architecture(index, training, zoo_seed)
        for index in range(params.zoo_export.networks)
    }
    for seed, steps in runs:
        for step in range(steps):
            generator = numpy_generator(seed, "architectures", step)
            for _ in range(params.ghn_train.architectures_per_step):
                drawn.add(sample_architecture(generator, training))
    return drawn


def draw_shapes(
    training: TrainingRange, trained: set[Architecture], generator: np.random.Generator
) -> dict[str, list[Architecture]]:
    """Draw shapes of each kind: new tuples, odd widths, widths to 1.5 x, one or two layers more."""
    widths = training.trainable_widths()
    shapes: dict[str, list[Architecture]] = {kind: [] for kind in HELD_OUT_KINDS}
    while len(shapes["unseen_combo"]) < OF_EACH_KIND:
        shape = tuple(generator.choice(widths, generator.integers(2, 5)).tolist())
        if shape not in trained and training.is_trainable(shape):
            shapes["unseen_combo"].append(shape)
    for _ in range(OF_EACH_KIND):  # odd widths are never multiples of the width step
        odd = 2 * generator.integers(10, 100, generator.integers(1, 5)) + 1
        shapes["unseen_width"].append(tuple(odd.tolist()))
    for _ in range(OF_EACH_KIND):
        wide = generator.integers(training.widths_max + 1, training.widths_max * 3 // 2 + 1, 1)
        shapes["wider"].append((*wide.tolist(), *generator.choice(widths, 1).tolist()))
    for extra in (1, 1, 2, 2):
        narrow = generator.choice([w for w in widths if w <= 128], training.depth_max + extra)
        shapes["deeper"].append(tuple(narrow.tolist()))
    return shapes


def main() -> None:
    """Print a parameter file that holds these shapes out."""
    training = load_params().architectures.training_range()
    files = [None, *sorted(COMPARISON_PARAMS.glob("*.yaml"))]
    trained = set().union(*(trained_architectures(load_params(file)) for file in files))
    shapes = draw_shapes(training, trained, np.random.default_rng(SEED))
    print("# Made by: python -m benchmarks.new_shapes > profiles/new_shapes.yaml")
    print("architectures:\n  held_out:")
    for kind, members in shapes.items():
        print(f"    {kind}:")
        for shape in members:
            print(f"      - [{', '.join(map(str, shape))}]")


if __name__ == "__main__":
    main()
