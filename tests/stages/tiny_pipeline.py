"""The whole pipeline in its smallest form: real physics, networks of 8 to 24 units.

A folder holds one artifact of each kind, named by its kind, and the parameters they were made with.
"""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from nnit.artifacts.manifest import Provenance
from nnit.artifacts.reading import open_artifact
from nnit.progress import Progress, silent
from stages import (
    demos,
    diffuse_train,
    flat_train,
    ghn_train,
    rollout,
    sample,
    tokenize,
    zoo_export,
)
from stages.params import Params, RunOptions

HELD_OUT = ((16, 8), (12, 8), (32,), (8, 8, 8))  # one of each kind
SAMPLED = ((16, 8), (12, 8))
PARAMS_NAME = "params.yaml"
PARAMS = Params.model_validate(
    {
        "architectures": {
            "widths_min": 8,
            "widths_max": 24,
            "width_step": 4,
            "depth_min": 1,
            "depth_max": 2,
            "held_out_widths": [12],
            "held_out": {
                "unseen_combo": HELD_OUT[0:1],
                "unseen_width": HELD_OUT[1:2],
                "wider": HELD_OUT[2:3],
                "deeper": HELD_OUT[3:4],
            },
        },
        # One episode more than a unit of work, so that two workers have something to share.
        "demos": {"episodes": 11},
        "ghn_train": {
            "steps": 8,
            "architectures_per_step": 2,
            "batch_size": 32,
            "checkpoint_every": 3,
        },
        "zoo_export": {
            "branches": 2,
            "branch_steps": 2,
            "networks": 6,
            "repeated": [[8, 16], [16]],
            "repeats": 4,
            "fine_tune_steps": 2,
            "batch_size": 32,
        },
        "tokenize": {"patch": 8},
        "diffuse_train": {
            "steps": 8,
            "width": 32,
            "depth": 1,
            "heads": 2,
            "tokens_per_batch": 128,
            "least_tokens": 0,
            "checkpoint_every": 3,
        },
        "sample": {"steps": 2},
        "flat_train": {
            "autoencoder_steps": 3,
            "steps": 5,
            "latents": 8,
            "width": 16,
            "depth": 1,
            "batch_size": 4,
            "latent_batch_size": 4,
            "checkpoint_every": 3,
        },
        "rollout": {"episodes": 2, "clone_steps": 3},
    }
)
TRAINED_WITH = PARAMS.architectures.model_dump(mode="json")
ORIGIN = Provenance("crafted", {"architectures": TRAINED_WITH}, 0)  # of what a test writes itself


class Command(NamedTuple):
    """A command of the pipeline and how the tiny one calls it."""

    stage: ModuleType
    kind: str  # of its output
    inputs: Callable[[Path], Any]  # the folder of artifacts -> the stage's Inputs
    words: Callable[[Path], list[str]]  # the same for the command line
    workers: bool = False
    resumes: bool = False


COMMANDS = {
    "demos": Command(demos, "demos", lambda _: demos.Inputs(), lambda _: [], workers=True),
    "ghn-train": Command(
        ghn_train,
        "ghn",
        lambda at: ghn_train.Inputs(at / "demos"),
        lambda at: [f"{at}/demos"],
        resumes=True,
    ),
    "zoo-export": Command(
        zoo_export,
        "zoo",
        lambda at: zoo_export.Inputs(at / "ghn", at / "demos"),
        lambda at: [f"{at}/ghn", "--demos", f"{at}/demos"],
        workers=True,
        resumes=True,
    ),
    "tokenize": Command(
        tokenize, "tokens", lambda at: tokenize.Inputs(at / "zoo"), lambda at: [f"{at}/zoo"]
    ),
    "diffuse-train": Command(
        diffuse_train,
        "generator",
        lambda at: diffuse_train.Inputs(at / "tokens", demos=(at / "demos",)),
        lambda at: [f"{at}/tokens", "--demos", f"{at}/demos"],
        resumes=True,
    ),
    "flat-train": Command(
        flat_train,
        "flat",
        lambda at: flat_train.Inputs(at / "zoo"),
        lambda at: [f"{at}/zoo"],
        resumes=True,
    ),
    "sample": Command(
        sample,
        "samples",
        lambda at: sample.Inputs(at / "generator", SAMPLED),
        lambda at: ["--model", f"{at}/generator", "--arch", "16,8", "--arch", "12,8"],
    ),
    "rollout": Command(
        rollout,
        "rollouts",
        lambda at: rollout.Inputs(at / "samples", at / "ghn", at / "demos"),
        lambda at: [f"{at}/samples", "--ghn", f"{at}/ghn", "--demos", f"{at}/demos"],
        workers=True,
        resumes=True,
    ),
}
TRAININGS = ("ghn-train", "diffuse-train", "flat-train")
FANNED_OUT = ("zoo-export", "rollout")


def run(
    name: str,
    source: Path,
    out: Path,
    *,
    params: Params = PARAMS,
    progress: Progress = silent,
    **options: Any,
):
    """Run one stage on the artifacts in a folder; ``options`` are those of ``RunOptions``."""
    command = COMMANDS[name]
    return command.stage.run(
        params,
        command.inputs(source),
        command.stage.Outputs(out),
        options=RunOptions(**{"device": "cpu", "workers": 1, **options}),
        progress=progress,
    )


def build(folder: Path) -> None:
    """Run the whole pipeline into a folder."""
    write_params(folder / PARAMS_NAME)
    for name, command in COMMANDS.items():
        run(name, folder, folder / command.kind)


def write_params(path: Path, params: Params = PARAMS) -> None:
    """Write parameters as a file for ``--params``."""
    path.write_text(json.dumps(params.model_dump(mode="json"), indent=2))


def command_line(name: str, source: Path, out: Path | str, *more: str) -> list[str]:
    """Return the words of the command that does what ``run`` does."""
    command = COMMANDS[name]
    shared = ["--out", str(out), "--params", str(source / PARAMS_NAME)]
    workers = ["--workers", "1"] if command.workers else []
    return [name, *command.words(source), *shared, *workers, *more]


def with_section(params: Params, name: str, **changes: Any) -> Params:
    """Return parameters with some values of one section changed, and checked again."""
    data = params.model_dump(mode="json")
    data[name.replace("-", "_")].update(changes)
    return Params.model_validate(data)


def tree(path: Path) -> dict[str, bytes]:
    """Return every file below a folder with its content."""
    files = sorted(file for file in path.rglob("*") if not file.is_dir())
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}


def content(path: Path) -> dict[str, bytes]:
    """Return the files of an artifact without its manifest."""
    return {name: data for name, data in tree(path).items() if name != "manifest.json"}


def names(folder: Path) -> list[str]:
    """Return what lies in a folder, hidden things too, but for the logs of trainings."""
    entries = sorted(entry.name for entry in folder.iterdir())
    return [name for name in entries if not name.endswith(".log.jsonl")]


def digest(path: Path) -> str:
    """Return the digest of an artifact whose every byte was compared with its manifest."""
    return open_artifact(path, check="all").digest


class Recorder:
    """A ``Progress`` that remembers what it was told, and can ask to stop after some units.

    Args:
        stop_after: Units, over all parts of the work, after which to ask; None for never.
        stop_number: The signal that asks.
    """

    def __init__(self, stop_after: int | None = None, stop_number: int = 15) -> None:
        self._stop_after, self._stop_number = stop_after, stop_number
        self.parts: list[tuple[str, int, int]] = []  # label, total, done before
        self.units = 0
        self.notes: list[str] = []

    def start(self, label: str, total: int, done: int = 0) -> None:
        """Remember the part."""
        self.parts.append((label, total, done))

    def advance(self, units: int = 1, *, share: float | None = None, **figures: float) -> None:
        """Count."""
        self.units += units

    def note(self, line: str) -> None:
        """Remember the line."""
        self.notes.append(line)

    def stop_signal(self) -> int:
        """Ask to stop once enough was done."""
        enough = self._stop_after is not None and self.units >= self._stop_after
        return self._stop_number if enough else 0
