"""Compare a frontier with cloning its shapes directly and racing them in the same way.

    python -m benchmarks.frontier_speed artifacts/generator artifacts/demos results/frontier.json \
        [PARAMS [SHAPES]]

Both ways use the same shapes, workers, initial states and rules. Of the shapes, in the order of
their size, only every fifth is cloned, and its seconds are counted five times. Give both ways the
same cores for themselves.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from nnit.artifacts.demos import read_demos
from nnit.artifacts.frontier import read_frontier
from nnit.artifacts.state import UnitStore
from nnit.engine import Engine
from nnit.frontier.race import Standing
from nnit.groups.units import in_order, plan_clones, train_unit
from nnit.mlp import Network
from nnit.parallel import map_units
from nnit.processes import default_workers
from nnit.progress import silent
from nnit.seeding import derive_seed
from nnit.tasks.task import TaskRef
from stages import frontier
from stages.params import Params, RunOptions
from stages.params_file import load_params

CLONED_EVERY = 5


def difference(one: Standing, other: Standing) -> float:
    """Return how much higher the success of ``one`` is, over the episodes both ran."""
    both = min(len(one.outcomes), len(other.outcomes))
    return float(np.mean(one.outcomes[:both]) - np.mean(other.outcomes[:both]))


def main() -> None:
    """Run both ways, write the file that is named on the command line, and print it."""
    generator, demos_path, result_file = map(Path, sys.argv[1:4])
    params = load_params(Path(sys.argv[4]) if len(sys.argv) > 4 else None)
    if len(sys.argv) > 5:
        changed = {**params.frontier.model_dump(), "shapes": int(sys.argv[5])}
        data = {**params.model_dump(mode="json"), "frontier": changed}
        params = Params.model_validate(data)
    options = RunOptions(seed=params.seed, device="cpu")
    demos, _ = read_demos(demos_path)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = time.perf_counter()
        summary = frontier.run(
            params,
            frontier.Inputs(generator),
            frontier.Outputs(folder / "frontier"),
            options=options,
        )
        frontier_s = time.perf_counter() - started
        everything = read_frontier(folder / "frontier")[0].frontier.candidates  # by size
        generated = everything[CLONED_EVERY // 2 :: CLONED_EVERY]
        share = len(generated) / len(everything)
        started = time.perf_counter()
        seed = derive_seed(params.seed, "clone")
        steps = params.rollout.clone_steps
        shapes = [one.hidden_dims for one in generated]
        units = plan_clones(shapes, demos, steps=steps, seed=seed)
        trained = map_units(train_unit, units, Engine())
        networks = in_order((unit.indices for unit in units), trained)
        cloned_s = (time.perf_counter() - started) / share
        cloned = frontier.run_race(
            [Network(dims, one.weights) for dims, one in zip(shapes, networks, strict=True)],
            demos.interface,
            TaskRef(demos.interface.task),
            params.frontier,
            UnitStore(folder / "cloned", "benchmark"),
            options,
            silent,
        )
        direct_s = (time.perf_counter() - started) / share
    differences = [
        difference(one.standing, other) for one, other in zip(generated, cloned, strict=True)
    ]
    figures = {
        "command": f"python -m benchmarks.frontier_speed {' '.join(sys.argv[1:])}",
        "workers": default_workers(),
        "shapes": len(everything),
        "cloned_shapes": len(generated),
        "answer": summary.answer,
        "frontier_s": frontier_s,
        "sampler_s": summary.sampler_s,
        "evaluation_s": summary.evaluation_s,
        "episodes": summary.episodes,
        "cloning_s": direct_s,
        "clone_training_s": cloned_s,
        "cloned_episodes": sum(len(standing.outcomes) for standing in cloned),
        "speed_up": direct_s / frontier_s,
        "difference_mean": float(np.mean(differences)),
        "difference_absolute_mean": float(np.mean(np.abs(differences))),
    }
    result_file.parent.mkdir(parents=True, exist_ok=True)
    result_file.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
