"""Artifacts of kind ``frontier``: which shapes do the job, and the networks of the front."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnit.artifacts.canonical import JsonObject, canonical_file, parse_canonical
from nnit.artifacts.checks import all_attributes, damage_of
from nnit.artifacts.interface import parse_interface
from nnit.artifacts.manifest import KINDS, Provenance
from nnit.artifacts.publish import publish
from nnit.artifacts.reading import (
    Artifact,
    Check,
    of_one_moment,
    open_artifact,
    read_bytes,
)
from nnit.artifacts.samples import Sample, network_files, read_network
from nnit.errors import DamagedArtifactError
from nnit.frontier.front import Candidate, Frontier
from nnit.frontier.race import LEFT_AS, RaceRules, Standing
from nnit.mlp import MAX_DEPTH, MAX_WIDTH, PolicyInterface

FRONTIER_NAME = "frontier.json"
SCHEMA = KINDS["frontier"].schema
FIGURE_NAME = "frontier.png"
MAX_EPISODES = 10**9


@dataclass(frozen=True)
class StoredFrontier:
    """A frontier and the networks of its front, in its order."""

    frontier: Frontier
    networks: tuple[Sample, ...]

    @property
    def interface(self) -> PolicyInterface:
        """What surrounds the networks."""
        return self.frontier.interface


def write_frontier(
    path: Path,
    stored: StoredFrontier,
    figure: bytes,
    provenance: Provenance,
    *,
    force: bool = False,
) -> None:
    """Write ``frontier.json``, the figure, and a folder for each network of the front.

    Args:
        path: The folder to make.
        stored: What to write.
        figure: ``frontier.png``.
        provenance: What it was made from.
        force: Replace a frontier that is there already.

    Raises:
        ValueError: networks other than those of the front, or a candidate without episodes.
        NnitError: as ``publish``.
    """
    frontier = stored.frontier
    _check(stored)
    attributes = all_attributes(frontier.interface, {"networks": len(stored.networks)}, None)
    with publish(path, "frontier", provenance, attributes, force=force) as writer:
        writer.write_file(FRONTIER_NAME, canonical_file(frontier_json(frontier)))
        writer.write_file(FIGURE_NAME, figure)
        for k, sample in enumerate(stored.networks):
            for name, data in network_files(k, sample, frontier.interface).items():
                writer.write_file(name, data)


@of_one_moment
def read_frontier(path: Path, *, check: Check = "small") -> tuple[StoredFrontier, Artifact]:
    """Read a frontier.

    Raises:
        NnitError: as ``open_artifact``, or figures that do not follow from the episodes.
    """
    artifact = open_artifact(path, "frontier", check=check)
    fields = artifact.attributes
    interface, schema = parse_interface(fields.object("interface")), artifact.manifest.schema
    count = fields.integer("networks", 0, len(artifact.manifest.files))
    where = str(artifact.path / FRONTIER_NAME)
    data = read_bytes(artifact, FRONTIER_NAME)
    top = JsonObject(parse_canonical(data, where), where)
    top.only(["answer", "candidates", "min_success", "rules", "smallest"])
    with damage_of(path):
        candidates = tuple(
            _parse_candidate(JsonObject(entry, f"{where}: candidates[{k}]"), schema)
            for k, entry in enumerate(top.items("candidates"))
        )
        rules = _parse_rules(top.object("rules"))
        frontier = Frontier(candidates, rules, top.number("min_success", 0, 1), interface)
        networks = tuple(read_network(artifact, k, interface) for k in range(count))
        stored = StoredFrontier(frontier, networks)
        _check(stored)
        if canonical_file(frontier_json(frontier, schema)) != data:
            raise DamagedArtifactError(f"{where}: the figures do not follow from the episodes")
    return stored, artifact


def frontier_json(frontier: Frontier, schema: int = SCHEMA) -> dict[str, Any]:
    """Return the content of ``frontier.json``."""
    front = frontier.front
    candidates = [
        _candidate_json(frontier, k, schema, on_front=k in front) for k in _indices(frontier)
    ]
    smallest = frontier.smallest
    return {
        "answer": frontier.answer(),
        "candidates": candidates,
        "min_success": frontier.min_success,
        "rules": frontier.rules._asdict(),
        "smallest": None if smallest is None else candidates[smallest]["architecture"],
    }


def _check(stored: StoredFrontier) -> None:
    frontier = stored.frontier
    if not all(one.standing.outcomes for one in frontier.candidates):
        raise ValueError("each candidate needs at least one episode")
    sizes = [frontier.parameters(k) for k in _indices(frontier)]
    if sizes != sorted(sizes):
        raise ValueError("candidates must come in ascending size")
    shapes = [frontier.candidates[k].hidden_dims for k in frontier.front]
    if shapes != [sample.network.hidden_dims for sample in stored.networks]:
        raise ValueError("the networks are not those of the front")


def _indices(frontier: Frontier) -> Sequence[int]:
    return range(len(frontier.candidates))


def _candidate_json(frontier: Frontier, k: int, schema: int, *, on_front: bool) -> dict[str, Any]:
    one = frontier.candidates[k]
    level = one.confirmed
    confirmed = {
        "confirmed_95": level and list(level.interval),
        "confirmed_once": level and level.mean,
        "confirmed_outcomes": _as_text(one.confirmation),
    }
    return {
        **(confirmed if schema > 1 else {}),
        "architecture": list(one.hidden_dims),
        "episodes": len(one.standing.outcomes),
        "kind": one.kind,
        "left_as": one.standing.left_as,
        "macs": frontier.macs(k),
        "on_front": on_front,
        "outcomes": _as_text(one.standing.outcomes),
        "parameters": frontier.parameters(k),
        "round_left": one.standing.round_left,
        "success_once": one.success_once,
        "successes": one.standing.successes,
        "wilson_95": list(one.interval),
    }


def _as_text(outcomes: Iterable[bool]) -> str:
    return "".join("01"[bool(success)] for success in outcomes)


def _parse_candidate(fields: JsonObject, schema: int) -> Candidate:
    fields.only(
        [
            "architecture", "episodes", "kind", "left_as", "macs", "on_front", "outcomes",
            "parameters", "round_left", "success_once", "successes", "wilson_95",
            *(("confirmed_95", "confirmed_once", "confirmed_outcomes") if schema > 1 else ()),
        ]
    )  # fmt: skip
    hidden_dims = fields.integers("architecture", 1, MAX_WIDTH)
    if not 1 <= len(hidden_dims) <= MAX_DEPTH:
        fields.refuse("architecture", f"1 to {MAX_DEPTH} widths")
    outcomes = _parse_outcomes(fields, "outcomes")
    if not outcomes:
        fields.refuse("outcomes", "at least one episode")
    round_left, left_as = fields.integer("round_left", 0, MAX_EPISODES), fields.text("left_as")
    if left_as not in (LEFT_AS if round_left else ("",)):
        fields.refuse("left_as", f"one of {', '.join(LEFT_AS)}, or nothing without round_left")
    standing = Standing(outcomes, round_left, left_as)
    confirmation = _parse_outcomes(fields, "confirmed_outcomes") if schema > 1 else ()
    return Candidate(hidden_dims, fields.text("kind"), standing, confirmation)


def _parse_outcomes(fields: JsonObject, name: str) -> tuple[bool, ...]:
    outcomes = fields.text(name)
    if set(outcomes) - set("01"):
        fields.refuse(name, "a 0 or 1 for each episode")
    return tuple(c == "1" for c in outcomes)


def _parse_rules(fields: JsonObject) -> RaceRules:
    fields.only(RaceRules._fields)
    return RaceRules(
        first_episodes=fields.integer("first_episodes", 1, MAX_EPISODES),
        race_episodes=fields.integer("race_episodes", 1, MAX_EPISODES),
        episodes=fields.integer("episodes", 1, MAX_EPISODES),
        alpha=fields.number("alpha", 0, 1),
        tolerance=fields.number("tolerance", 0, 1),
        floor=fields.number("floor", 0, 1),
    )
