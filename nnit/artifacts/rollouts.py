"""Artifacts of kind ``rollouts``: what networks did in the simulator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnit.artifacts.canonical import JsonObject, canonical_file, parse_canonical
from nnit.artifacts.checks import MAX_DEPTH, all_attributes, damage_of
from nnit.artifacts.interface import MAX_HORIZON, parse_interface
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import publish
from nnit.artifacts.reading import Artifact, Check, open_artifact, read_bytes
from nnit.artifacts.trajectories import Trajectory, trajectory_files
from nnit.errors import DamagedArtifactError
from nnit.mlp import MAX_WIDTH, PolicyInterface
from nnit.rollout.metrics import Episode, Evaluation, wilson_interval

EVAL_NAME = "eval.json"
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
        env_kwargs: Keyword arguments that the environment was made with.
        attributes: Further JSON data for the manifest.
        force: Replace rollouts that are there already.

    Raises:
        ValueError: a network without episodes, or two of the same name.
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


def read_rollouts(path: Path, *, check: Check = "small") -> tuple[Rollouts, Artifact]:
    """Read evaluations.

    Raises:
        NnitError: as ``open_artifact``, or aggregates that do not follow from the episodes.
    """
    artifact = open_artifact(path, "rollouts", check=check)
    interface = parse_interface(artifact.attributes.object("interface"))
    where = str(artifact.path / EVAL_NAME)
    data = read_bytes(artifact, EVAL_NAME)
    top = JsonObject(parse_canonical(data, where), where).only(["per_network", "aggregated"])
    evaluations = tuple(
        _parse_evaluation(JsonObject(entry, f"{where}: per_network[{k}]"))
        for k, entry in enumerate(top.items("per_network"))
    )
    with damage_of(path):
        _check(evaluations)
        if canonical_file(eval_json(evaluations)) != data:
            raise DamagedArtifactError(f"{where}: the aggregates do not follow from the episodes")
    return Rollouts(evaluations, interface), artifact


def eval_json(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Return the content of ``eval.json``: every episode, and sums by source and kind."""
    groups: dict[str, dict[str, list[Evaluation]]] = {}
    for evaluation in evaluations:
        by_kind = groups.setdefault(evaluation.source, {})
        by_kind.setdefault(evaluation.kind or UNKNOWN_KIND, []).append(evaluation)
    return {
        "per_network": [_network_json(evaluation) for evaluation in evaluations],
        "aggregated": {
            source: {kind: _group_json(group) for kind, group in by_kind.items()}
            for source, by_kind in groups.items()
        },
    }


def _check(evaluations: Sequence[Evaluation]) -> None:
    names = [evaluation.name for evaluation in evaluations]
    if len(set(names)) != len(names) or not all(e.episodes for e in evaluations):
        raise ValueError("each network needs a name of its own and at least one episode")


def _network_json(evaluation: Evaluation) -> dict[str, Any]:
    returns = [episode.episode_return for episode in evaluation.episodes]
    return {
        "name": evaluation.name,
        "source": evaluation.source,
        "kind": evaluation.kind,
        "hidden_dims": list(evaluation.hidden_dims),
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


def _group_json(group: Sequence[Evaluation]) -> dict[str, Any]:
    successes = sum(int(e.success_once) for evaluation in group for e in evaluation.episodes)
    episodes = sum(len(evaluation.episodes) for evaluation in group)
    shares = [evaluation.success_once for evaluation in group]
    return {
        "success_once": sum(shares) / len(shares),
        "success_once_min": min(shares),
        "success_at_end": sum(evaluation.success_at_end for evaluation in group) / len(group),
        "wilson_95": list(wilson_interval(successes, episodes)),
        "networks": len(group),
        "episodes": episodes,
    }


def _parse_evaluation(fields: JsonObject) -> Evaluation:
    fields.only(["name", "source", "kind", "hidden_dims", "aggregated", "per_episode"])
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
