"""Small runs write what they wrote when the version of their algorithm was last raised.

``python -m tests.stages.test_algorithms`` records it anew, after a version was raised. The runs are
in a process of their own, without the instructions that only some processors have: with those the
last bits of a sum are others.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
RECORDED = REPOSITORY / "tests" / "data" / "algorithms.json"
ANY_PROCESSOR = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OPENBLAS_CORETYPE": "Prescott",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": os.pathsep.join(map(str, [REPOSITORY, *Path(__file__).parents[:2]])),
}
WITHOUT = ("ghn-ppo", "frontier")  # they run physics, whose last bits are the processor's


def small_runs(folder: Path) -> dict[str, str]:
    """Run every command; return the digest of the files of what each wrote, by command."""
    from learning_examples import make_demos
    from tiny_pipeline import COMMANDS, ORIGIN, PARAMS, run

    from nnit.artifacts.canonical import canonical_json
    from nnit.artifacts.demos import write_demos
    from nnit.artifacts.reading import open_artifact
    from nnit.seeding import digest_text
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
    entries = {name: open_artifact(at / out).manifest.files for name, out in outputs.items()}
    decided = {  # config.json beside a network names versions of libraries
        name: {path: entry.sha256 for path, entry in files.items() if "config.json" not in path}
        for name, files in entries.items()
    }
    return {name: digest_text(canonical_json(files)) for name, files in decided.items()}


def written_anywhere() -> dict[str, str]:
    """Return what ``small_runs`` does on any processor."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--show"],
        env={**os.environ, **ANY_PROCESSOR},
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="recorded on x86-64")
def test_bytes_are_those_of_the_version():
    """Else the version has to be raised, so that pipelines make everything anew."""
    from stages.algorithms import VERSIONS

    recorded, found = json.loads(RECORDED.read_text()), written_anywhere()
    names = {name.split()[0] for name in found}
    assert names == set(VERSIONS) - set(WITHOUT)
    changed = {name for name in found if found[name] != recorded["digests"].get(name)}
    raised = {name for name in names if VERSIONS[name] != recorded["versions"].get(name)}
    assert {name.split()[0] for name in changed} <= raised, (
        "raise the versions in stages/algorithms.py, then python -m tests.stages.test_algorithms"
    )
    assert raised == set(), "record what is written: python -m tests.stages.test_algorithms"


def main() -> None:
    """Show what small runs write here, or record it."""
    if "--show" in sys.argv:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(small_runs(Path(folder))))
        return
    from stages.algorithms import VERSIONS

    kept = {"versions": VERSIONS, "digests": written_anywhere()}
    RECORDED.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
