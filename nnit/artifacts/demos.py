"""Artifacts of kind ``demos``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nnit.artifacts.arrays import read_array, write_arrays
from nnit.artifacts.checks import all_attributes, check_finite, check_shape, damage_of
from nnit.artifacts.interface import interface_of
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import publish
from nnit.artifacts.reading import Artifact, Check, of_one_moment, open_artifact
from nnit.artifacts.records import Number
from nnit.demos import Demos


def write_demos(
    path: Path,
    demos: Demos,
    provenance: Provenance,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    force: bool = False,
) -> None:
    """Write demonstrations.

    Args:
        path: The folder to make.
        demos: What to write.
        provenance: What it was made from.
        env_kwargs: Keyword arguments that the environment was made with.
        attributes: Further JSON data for the manifest.
        force: Replace demonstrations that are there already.

    Raises:
        ValueError: shapes that contradict each other, NaN or infinity.
        NnitError: as ``publish``.
    """
    _check(demos)
    own: dict[str, Any] = {"env_kwargs": dict(env_kwargs or {})}
    if demos.input_dropout:
        own["input_dropout"] = demos.input_dropout
    attributes = all_attributes(demos.interface, own, attributes)
    with publish(path, "demos", provenance, attributes, force=force) as writer:
        arrays = {name: getattr(demos, name) for name in _DTYPES}
        write_arrays(writer, arrays)


@of_one_moment
def read_demos(path: Path, *, check: Check = "small") -> tuple[Demos, Artifact]:
    """Read demonstrations.

    Raises:
        NnitError: as ``open_artifact``, or values that contradict each other.
    """
    artifact = open_artifact(path, "demos", check=check)
    interface = interface_of(artifact)
    columns = {"observations": (interface.obs_dim,), "actions": (interface.act_dim,)}
    arrays = {
        name: read_array(artifact, name, dtype, (None, *columns.get(name, ())))
        for name, dtype in _DTYPES.items()
    }
    has_dropout = "input_dropout" in artifact.manifest.attributes  # where it is not 0
    dropout = artifact.attribute("input_dropout", Number) if has_dropout else 0.0
    demos = Demos(**arrays, interface=interface, input_dropout=dropout)
    with damage_of(path):
        _check(demos)
    return demos, artifact


_DTYPES = {
    "observations": "float32",
    "actions": "float32",
    "episode_ends": "int64",
    "success_once": "bool",
    "success_at_end": "bool",
    "seeds": "int64",
}


def _check(demos: Demos) -> None:
    steps, episodes = len(demos.observations), len(demos.episode_ends)
    shapes = {
        "observations": (steps, demos.interface.obs_dim),
        "actions": (steps, demos.interface.act_dim),
    }
    for name, dtype in _DTYPES.items():
        check_shape(name, getattr(demos, name), dtype, shapes.get(name, (episodes,)))
    check_finite("observations", demos.observations)
    check_finite("actions", demos.actions)
    if not 0 <= demos.input_dropout < 1:
        raise ValueError(
            f"input_dropout: found {demos.input_dropout}, expected at least 0 and below 1"
        )
    lengths = np.diff(demos.episode_ends, prepend=0)
    if (lengths < 1).any() or (demos.episode_ends[-1] if episodes else 0) != steps:
        raise ValueError(f"episode_ends: do not cut {steps} steps into episodes")
