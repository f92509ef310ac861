"""Artifacts of kind ``rollouts``: what networks did in the simulator."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from nnit.artifacts.canonical import canonical_file, parse_canonical
from nnit.artifacts.checks import all_attributes, damage_of
from nnit.artifacts.interface import MAX_HORIZON, interface_of
from nnit.artifacts.manifest import KINDS, Provenance
from nnit.artifacts.publish import publish
from nnit.artifacts.reading import Artifact, Check, of_one_moment, open_artifact, read_bytes
from nnit.artifacts.records import (
    Flag,
    Items,
    Natural,
    Number,
    Record,
    Stored,
    Whole,
    Widths,
    parse_record,
    satisfying,
)
from nnit.artifacts.trajectories import Trajectory, trajectory_files
from nnit.errors import DamagedArtifactError
from nnit.mlp import PolicyInterface
from nnit.rollout.metrics import Episode, Evaluation, success_level

EVAL_NAME = "eval.json"
VIDEOS = "videos"  # the folder of films
SCHEMA = KINDS["rollouts"].schema
INTERVALS = ("interval_95", "wilson_95", "bootstrap_95")  # the last two before schema 3
UNKNOWN_KIND = "unknown"  # how an empty kind is called among the aggregates


class _Episode(Record):
    episode_ix: Natural
    seed: Whole
    success_once: Flag
    success_at_end: Flag
    episode_return: Annotated[Number, Field(alias="return")]
    episode_len: Annotated[Natural, Field(le=MAX_HORIZON)]


class _Evaluation(Record):
    name: str
    source: str
    hidden_dims: Widths
    kind: str
    episodes: Annotated[
        Items[Annotated[Episode, Stored(_Episode)]], Field(alias="per_episode", min_length=1)
    ]
    loss: Annotated[Number, Field(ge=0)] | None = Field(None, alias="cloning_loss")  # of schema 1
    aggregated: Any  # follows from the rest


def _is_by_kind(aggregated: dict[str, Any]) -> bool:
    return all(
        isinstance(by_kind, dict) and all(isinstance(group, dict) for group in by_kind.values())
        for by_kind in aggregated.values()
    )


class EvalFile(Record):
    """The content of ``eval.json``."""

    per_network: Items[Annotated[Evaluation, Stored(_Evaluation)]]
    aggregated: Annotated[dict[str, Any], satisfying(_is_by_kind, "figures by source and kind")]


@dataclass(frozen=True)
class Rollouts:
    """Evaluations of one or more networks, each with at least one episode."""

    evaluations: tuple[Evaluation, ...]
    interface: PolicyInterface


def write_rollouts(
    path: Path,
    rollouts: Rollouts,
    provenance: Provenance,
    *,
    trajectories: Sequence[Trajectory] = (),
    films: Mapping[str, bytes] | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    force: bool = False,
) -> None:
    """Write evaluations as ``eval.json``, and on request what was seen and done.

    Args:
        path: The folder to make.
        rollouts: What to write.
        provenance: What it was made from.
        trajectories: Written as ``trajectory.h5`` and ``.json`` in ManiSkill's format.
        films: Network name -> mp4, written as ``videos/NAME.mp4``, commas as hyphens.
        env_kwargs: Keyword arguments that the environment was made with.
        attributes: Further JSON data for the manifest.
        force: Replace rollouts that are there already.

    Raises:
        ValueError: a network without episodes, two of the same name, a loss that is not finite, or
            networks of one source and kind that faced different initial states.
        NnitError: as ``publish``.
    """
    _check(rollouts.evaluations)
    own = {"env_kwargs": dict(env_kwargs or {}), "trajectories": len(trajectories)}
    attributes = all_attributes(rollouts.interface, own, attributes)
    with publish(path, "rollouts", provenance, attributes, force=force) as writer:
        writer.write_file(EVAL_NAME, canonical_file(eval_json(rollouts.evaluations)))
        if trajectories:
            files = trajectory_files(trajectories, rollouts.interface, own["env_kwargs"])
            for name, data in files.items():
                writer.write_file(name, data)
        for name, data in (films or {}).items():
            writer.write_file(f"{VIDEOS}/{name.replace(',', '-')}.mp4", data)


@of_one_moment
def read_rollouts(path: Path, *, check: Check = "small") -> tuple[Rollouts, Artifact]:
    """Read evaluations; those of schema 1 have no losses.

    Raises:
        NnitError: as ``open_artifact``, or aggregates that do not follow from the episodes.
    """
    artifact = open_artifact(path, "rollouts", check=check)
    schema = artifact.manifest.schema
    where = str(artifact.path / EVAL_NAME)
    content = parse_canonical(read_bytes(artifact, EVAL_NAME), where)
    evaluations = parse_record(EvalFile, content, where).per_network
    with damage_of(path):
        _check(evaluations)
        expected = eval_json(evaluations, schema)
        assert isinstance(content, dict)
        if _without_intervals(content) != _without_intervals(expected):
            raise DamagedArtifactError(f"{where}: the aggregates do not follow from the episodes")
    return Rollouts(evaluations, interface_of(artifact)), artifact


def eval_json(evaluations: Sequence[Evaluation], schema: int = SCHEMA) -> dict[str, Any]:
    """Return the content of ``eval.json``: every episode, and sums by source and kind."""
    groups: dict[str, dict[str, list[Evaluation]]] = {}
    for evaluation in evaluations:
        by_kind = groups.setdefault(evaluation.source, {})
        by_kind.setdefault(evaluation.kind or UNKNOWN_KIND, []).append(evaluation)
    return {
        "per_network": [_network_json(evaluation, schema) for evaluation in evaluations],
        "aggregated": {
            source: {kind: _group_json(group, schema) for kind, group in by_kind.items()}
            for source, by_kind in groups.items()
        },
    }


def _check(evaluations: Sequence[Evaluation]) -> None:
    names = [evaluation.name for evaluation in evaluations]
    if len(set(names)) != len(names) or not all(e.episodes for e in evaluations):
        raise ValueError("each network needs a name of its own and at least one episode")
    if not all(e.loss is None or math.isfinite(e.loss) for e in evaluations):
        raise ValueError("a cloning loss is a finite number or not there")


def _network_json(evaluation: Evaluation, schema: int) -> dict[str, Any]:
    returns = [episode.episode_return for episode in evaluation.episodes]
    loss = {} if schema == 1 else {"cloning_loss": evaluation.loss}
    return {
        "name": evaluation.name,
        "source": evaluation.source,
        "kind": evaluation.kind,
        "hidden_dims": list(evaluation.hidden_dims),
        **loss,
        "aggregated": {
            "pc_success": 100 * evaluation.success_once,
            "success_once": evaluation.success_once,
            "success_at_end": evaluation.success_at_end,
            "wilson_95": list(evaluation.interval),
            "episodes": len(evaluation.episodes),
            "return_mean": sum(returns) / len(returns),
        },
        "per_episode": [
            {
                "episode_ix": int(episode.episode_ix),
                "seed": int(episode.seed),
                "success_once": bool(episode.success_once),
                "success_at_end": bool(episode.success_at_end),
                "return": float(episode.episode_return),
                "episode_len": int(episode.episode_len),
            }
            for episode in evaluation.episodes
        ],
    }


def _group_json(group: Sequence[Evaluation], schema: int) -> dict[str, Any]:
    losses = [evaluation.loss for evaluation in group if evaluation.loss is not None]
    all_known = len(losses) == len(group)
    mean_loss = math.fsum(losses) / len(losses) if all_known else None
    shares = [evaluation.success_once for evaluation in group]
    # Before schema 3, networks might have faced different states.
    interval = [] if schema < 3 else list(success_level(group).interval)
    return {
        "success_once": sum(shares) / len(shares),
        "success_once_min": min(shares),
        "success_at_end": sum(evaluation.success_at_end for evaluation in group) / len(group),
        "interval_95": interval,
        **({} if schema == 1 else {"cloning_loss": mean_loss}),
        "networks": len(group),
        "episodes": sum(len(evaluation.episodes) for evaluation in group),
    }


def _without_intervals(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``eval.json`` without the intervals of groups.

    Their last bits differ between versions of scipy; those of schemas 1 and 2 were other ones.
    """
    return {
        **content,
        "aggregated": {
            source: {
                kind: {name: value for name, value in group.items() if name not in INTERVALS}
                for kind, group in by_kind.items()
            }
            for source, by_kind in content["aggregated"].items()
        },
    }
