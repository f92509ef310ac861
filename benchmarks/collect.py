"""Take what the results page needs out of artifacts: small JSON files that can be committed.

    python -m benchmarks.collect comparison/artifacts/PickCube-v1 results/PickCube-v1

Reads, where they are there: ``rollouts`` and those of other networks (the comparison),
``rollouts-seed-N`` (the headline), ``rollouts-limits`` (ever wider and deeper samples),
``rollouts-joint`` (generated architectures), ``audit``, ``audit-cloning`` (of the generator that is
trained to clone too), ``audit-eight`` (of eight samples a shape), ``alignment`` and ``frontier``;
``samples-architectures`` and ``samples-bounded`` beside the first zoo. What is not there is left
out.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from benchmarks.architectures import BOUNDS, architecture_report
from nnit.artifacts.canonical import canonical_file
from nnit.artifacts.reading import open_artifact, read_bytes
from nnit.artifacts.rollouts import read_rollouts
from nnit.errors import WrongKindError

TABLES = {"rollouts-limits": "limits.json", "rollouts-joint": "joint.json"}
REPORTS = {  # folder -> the kind of artifact that it is
    "audit": "audit",
    "audit-cloning": "audit",
    "audit-eight": "audit",
    "alignment": "alignment",
    "frontier": "frontier",
}
SAMPLES_OF = {  # rollouts of other networks -> what their samples are called
    "rollouts-baselines": "nearest",
    "rollouts-flat": "flat",
    "rollouts-unaligned": "unaligned",
    "rollouts-cloning": "cloning",
}
LONG_LISTS = {"audit": ("samples", "shapes"), "alignment": (), "frontier": ()}
SEED = re.compile(r"rollouts(?:-seed-(\d+))?")


def network_table(path: Path) -> dict[str, Any]:
    """Return the counts of every network of a rollout, without its episodes."""
    rollouts, artifact = read_rollouts(path)
    return {
        "task": rollouts.interface.task,
        "digest": artifact.digest,
        "widths_max": artifact.manifest.params["architectures"]["widths_max"],
        "networks": [
            {
                "source": one.source,
                "hidden_dims": list(one.hidden_dims),
                "kind": one.kind,
                "successes": sum(episode.success_once for episode in one.episodes),
                "at_end": sum(episode.success_at_end for episode in one.episodes),
                "episodes": len(one.episodes),
                "loss": one.loss,
            }
            for one in rollouts.evaluations
        ],
    }


def comparison_table(path: Path, apart: dict[str, Path]) -> dict[str, Any]:
    """Return the table of the comparison, with the networks of baselines, which were run apart.

    Args:
        path: The rollouts of samples.
        apart: Rollouts of baselines, by what their samples are called.

    Raises:
        WrongKindError: rollouts whose episodes began otherwise.
    """
    table = network_table(path)
    seeds = reset_seeds(path)
    for label, other in apart.items():
        if reset_seeds(other) != seeds:
            raise WrongKindError(f"{other}: was not run on the reset seeds of {path}")
        for one in network_table(other)["networks"]:
            source = label if one["source"] == "sample" else one["source"]
            table["networks"].append({**one, "source": source})
    return table


def reset_seeds(path: Path) -> set[tuple[int, ...]]:
    """Return the reset seeds of the networks of a rollout; one set where all had the same."""
    rollouts, _ = read_rollouts(path)
    return {tuple(episode.seed for episode in one.episodes) for one in rollouts.evaluations}


def report(path: Path, kind: str) -> dict[str, Any]:
    """Return the JSON of an artifact that is one, without its long lists."""
    artifact = open_artifact(path, kind)
    content = json.loads(read_bytes(artifact, f"{kind}.json"))
    short = {name: value for name, value in content.items() if name not in LONG_LISTS[kind]}
    return {"digest": artifact.digest, **short}


def collect(artifacts: Path, results: Path) -> list[Path]:
    """Write a file for each artifact that is there; returns them."""
    written: dict[str, dict[str, Any]] = {}
    for path in sorted(artifacts.glob("rollouts*")):
        match = SEED.fullmatch(path.name)
        if match and match[1]:
            written[f"networks-{match[1]}.json"] = network_table(path)
        elif match:
            apart = {label: artifacts / name for name, label in SAMPLES_OF.items()}
            there = {label: other for label, other in apart.items() if other.exists()}
            written["networks-0.json"] = comparison_table(path, there)
        elif path.name in TABLES:
            written[TABLES[path.name]] = network_table(path)
    for name, kind in REPORTS.items():
        if (artifacts / name).exists():
            written[f"{name}.json"] = report(artifacts / name, kind)
    sampled = [artifacts / name for name in BOUNDS if (artifacts / name).exists()]
    if sampled:
        report_of_zoo = architecture_report(artifacts / "seed-0" / "zoo", sampled)
        written["architectures.json"] = report_of_zoo
    results.mkdir(parents=True, exist_ok=True)
    for name, content in written.items():
        (results / name).write_bytes(canonical_file(content))
    return [results / name for name in written]


if __name__ == "__main__":
    for file in collect(Path(sys.argv[1]), Path(sys.argv[2])):
        print(file)
