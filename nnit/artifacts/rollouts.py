"""Artifacts of kind ``rollouts``: what networks did in the simulator."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnit.artifacts.canonical import JsonObject, canonical_file, parse_canonical
from nnit.artifacts.checks import all_attributes, damage_of
from nnit.artifacts.interface import MAX_HORIZON, parse_interface
from nnit.artifacts.manifest import KINDS, Provenance
from nnit.artifacts.publish import publish
from nnit.artifacts.reading import (
    Artifact,
    Check,
    of_one_moment,
    open_artifact,
    read_bytes,
)
from nnit.artifacts.trajectories import Trajectory, trajectory_files
from nnit.errors import DamagedArtifactError
from nnit.mlp import MAX_DEPTH, MAX_WIDTH, PolicyInterface
from nnit.rollout.metrics import (
    Episode,
    Evaluation,
    success_level,
)

EVAL_NAME = "eval.json"
VIDEOS = "videos"  # the folder of films
SCHEMA = KINDS["rollouts"].schema
INTERVALS = ("interval_95", "wilson_95", "bootstrap_95")  # the last two before schema 3
UNKNOWN_KIND = "unknown"  # how an empty kind is called among the aggregates


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
        films: Network name -> mp4, written as ``videos/NAME.mp4``.
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
            writer.write_file(f"{VIDEOS}/{name}.mp4", data)


@of_one_moment
def read_rollouts(path: Path, *, check: Check = "small") -> tuple[Rollouts, Artifact]:
    """Read evaluations; those of schema 1 have no losses.

    Raises:
        NnitError: as ``open_artifact``, or aggregates that do not follow from the episodes.
    """
    artifact = open_artifact(path, "rollouts", check=check)
    schema = artifact.manifest.schema
    interface = parse_interface(artifact.attributes.object("interface"))
    where = str(artifact.path / EVAL_NAME)
    data = read_bytes(artifact, EVAL_NAME)
    top = JsonObject(parse_canonical(data, where), where).only(["per_network", "aggregated"])
    evaluations = tuple(
        _parse_evaluation(JsonObject(entry, f"{where}: per_network[{k}]"), schema)
        for k, entry in enumerate(top.items("per_network"))
    )
    with damage_of(path):
        _check(evaluations)
        expected = eval_json(evaluations, schema)
        if _without_intervals(top.value) != _without_intervals(expected):
            raise DamagedArtifactError(f"{where}: the aggregates do not follow from the episodes")
    return Rollouts(evaluations, interface), artifact


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


def _parse_evaluation(fields: JsonObject, schema: int) -> Evaluation:
    names = ["name", "source", "kind", "hidden_dims", "aggregated", "per_episode"]
    fields.only(names if schema == 1 else [*names, "cloning_loss"])
    hidden_dims = fields.integers("hidden_dims", 1, MAX_WIDTH)
    if len(hidden_dims) > MAX_DEPTH:
        fields.refuse("hidden_dims", f"at most {MAX_DEPTH} widths")
    episodes = tuple(
        _parse_episode(JsonObject(entry, f"{fields.where}: per_episode[{k}]"))
        for k, entry in enumerate(fields.items("per_episode"))
    )
    if not episodes:
        fields.refuse("per_episode", "at least one episode")
    return Evaluation(
        name=fields.text("name"),
        source=fields.text("source"),
        hidden_dims=hidden_dims,
        kind=fields.text("kind"),
        episodes=episodes,
        loss=None if fields.value.get("cloning_loss") is None else fields.number("cloning_loss", 0),
    )


def _parse_episode(fields: JsonObject) -> Episode:
    names = ["episode_ix", "seed", "success_once", "success_at_end", "return", "episode_len"]
    fields.only(names)
    return Episode(
        episode_ix=fields.integer("episode_ix", 0),
        seed=fields.integer("seed"),
        success_once=fields.boolean("success_once"),
        success_at_end=fields.boolean("success_at_end"),
        episode_return=fields.number("return"),
        episode_len=fields.integer("episode_len", 0, MAX_HORIZON),
    )
