"""Small runs write what they wrote when the version of their algorithm was last raised.

``python -m tests.stages.test_algorithms`` records it anew, after a version was raised. Processors
round differently, so that not bytes are compared but what arrays hold, to one part in a thousand of
their magnitude, more than rounding moves runs as short as these.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

TESTS = Path(__file__).parents[1]
RECORDED = TESTS / "data" / "algorithms.json"
TOLERANCE = 1e-3
WITHOUT = ("ghn-ppo", "frontier")  # they run physics, whose outcomes are the processor's


def small_runs(folder: Path) -> dict[str, dict[str, Any]]:
    """Run every command; return the gist of what each wrote, by command."""
    from learning_examples import make_demos
    from tiny_pipeline import COMMANDS, ORIGIN, PARAMS, run

    from nnit.artifacts.demos import write_demos
    from stages import (
        audit,
        baseline,
        flat_sample,
        ghn_train,
        trained_baseline,
        zoo_alone,
        zoo_refine,
    )
    from stages.params import Params, RunOptions

    data = PARAMS.model_dump(mode="json")
    data["task"] = "digits"
    data["zoo_alone"].update(networks=3, steps=3)
    data["zoo_refine"].update(networks=3, steps=3)
    data["audit"].update(states=50, repeats=4)
    data["baseline"].update(samples=2, clone_steps=3, averaged=3)
    for training in ("ghn_train", "diffuse_train", "flat_train"):
        data[training]["precision"] = "float32"
    params, options = Params.model_validate(data), RunOptions(device="cpu", workers=1)
    for name, command in COMMANDS.items():
        run(name, folder, folder / command.kind, params=params)
    at, shapes = folder, ((16, 8), (12, 8))
    others = {
        "zoo-alone": (zoo_alone, zoo_alone.Inputs(at / "demos")),
        "zoo-refine": (zoo_refine, zoo_refine.Inputs(at / "generator", at / "demos")),
        "audit": (audit, audit.Inputs(at / "samples", at / "zoo", at / "demos")),
        "flat-sample": (flat_sample, flat_sample.Inputs(at / "flat", shapes)),
    }
    for method in ("nearest", "average", "noise"):
        others[f"baseline {method}"] = baseline, baseline.Inputs(at / "zoo", method, shapes)
    for method in ("cloned", "slimmable", "tuned"):
        asked = trained_baseline.Inputs(at / "demos", method, shapes, at / "ghn")
        others[f"baseline {method}"] = trained_baseline, asked
    write_demos(at / "motions", make_demos(), ORIGIN)  # of actions, which digits have none of
    others["ghn-train of actions"] = ghn_train, ghn_train.Inputs(at / "motions")
    others["zoo-alone of actions"] = zoo_alone, zoo_alone.Inputs(at / "motions")
    cut = trained_baseline.Inputs(at / "motions", "slimmable", shapes)
    others["baseline slimmable of actions"] = trained_baseline, cut
    for name, (stage, inputs) in others.items():
        stage.run(params, inputs, stage.Outputs(at / name), options=options)
    outputs = {name: command.kind for name, command in COMMANDS.items()}
    outputs |= {name: name for name in others}
    return {name: gist_of(at / out) for name, out in outputs.items()}


def gist_of(path: Path) -> dict[str, Any]:
    """Return how many numbers each array of an artifact has, their magnitude, and a sum of theirs.

    The signs of the sum are drawn once for all arrays of that size. JSON is an array of its numbers
    and a text of all else. What networks are described by (``config.json``) names versions of
    libraries, and is left out.
    """
    import zarr
    from safetensors.numpy import load_file

    found: dict[str, Any] = {}
    for file in sorted(path.rglob("*")):
        place = str(file.relative_to(path))
        if file.suffix == ".safetensors":
            found |= {f"{place}/{name}": gist(array) for name, array in load_file(file).items()}
        elif file.suffix == ".zarr":
            arrays = zarr.open_group(file, mode="r").arrays()
            found |= {f"{place}/{name}": gist(np.asarray(array)) for name, array in arrays}
        elif file.suffix == ".json" and file.name not in (
            "manifest.json",
            "config.json",
            "zarr.json",
        ):
            numbers: list[float] = []
            text = json.loads(
                file.read_text(), parse_int=numbers.append, parse_float=numbers.append
            )
            found |= {place: gist(np.array(numbers, float)), f"{place}, else": text}
    return dict(sorted(found.items()))


def gist(array: np.ndarray) -> list[float]:
    """Return the size of an array, the sum of its magnitudes, and that of it with random signs."""
    flat = np.nan_to_num(array.astype(float).ravel())
    signs = np.random.default_rng(0).choice([-1.0, 1.0], flat.size)
    return [flat.size, *(float(f"{one:.7g}") for one in (np.abs(flat).sum(), flat @ signs))]


def is_alike(found: Any, recorded: Any) -> bool:
    """Whether two gists are the same but for rounding."""
    if not isinstance(found, dict):
        size, magnitude, total = recorded
        margin = TOLERANCE * magnitude
        return found[0] == size and np.allclose(found[1:], [magnitude, total], 0, margin)
    return found.keys() == recorded.keys() and all(
        found[name] == recorded[name]
        if name.endswith(", else")
        else is_alike(found[name], recorded[name])
        for name in found
    )


@pytest.mark.slow
def test_results_are_those_of_the_version(tmp_path):
    """Else the version has to be raised, so that pipelines make everything anew."""
    from stages.algorithms import VERSIONS

    recorded, found = json.loads(RECORDED.read_text()), small_runs(tmp_path)
    names = {name.split()[0] for name in found}
    assert names == set(VERSIONS) - set(WITHOUT)
    gists = recorded["gists"]
    changed = {name for name in found if not is_alike(found[name], gists.get(name, {}))}
    raised = {name for name in names if VERSIONS[name] != recorded["versions"].get(name)}
    assert {name.split()[0] for name in changed} <= raised, (
        "raise the versions in stages/algorithms.py, then python -m tests.stages.test_algorithms"
    )
    assert raised == set(), "record what is written: python -m tests.stages.test_algorithms"


def main() -> None:
    """Record what small runs write."""
    sys.path += [str(TESTS), str(Path(__file__).parent)]
    from stages.algorithms import VERSIONS

    with tempfile.TemporaryDirectory() as folder:
        gists = small_runs(Path(folder))
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(one)}" for name, one in gists.items())
    RECORDED.write_text(f'{{"versions": {json.dumps(VERSIONS)},\n"gists": {{\n{lines}\n}}}}\n')


if __name__ == "__main__":
    main()
