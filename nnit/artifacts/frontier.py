"""Artifacts of kind ``frontier``: which shapes do the job, and the networks of the front."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PlainValidator

from nnit.artifacts.canonical import canonical_file, parse_canonical
from nnit.artifacts.checks import all_attributes, damage_of
from nnit.artifacts.interface import interface_of
from nnit.artifacts.manifest import KINDS, Provenance
from nnit.artifacts.publish import publish
from nnit.artifacts.reading import Artifact, Check, of_one_moment, open_artifact, read_bytes
from nnit.artifacts.records import (
    Flag,
    HiddenDims,
    Items,
    Natural,
    Record,
    Share,
    Stored,
    parse_record,
)
from nnit.artifacts.samples import Sample, network_files, read_network
from nnit.errors import DamagedArtifactError
from nnit.frontier.front import Candidate, Frontier
from nnit.frontier.race import LEFT_AS, RaceRules, Standing
from nnit.mlp import PolicyInterface

FRONTIER_NAME = "frontier.json"
SCHEMA = KINDS["frontier"].schema
# How many candidates may be confirmed, by an error that they share, before schema 4: the smallest
# of the race alone, then any.
TESTS_BEFORE: dict[int, int | None] = {1: 1, 2: 1, 3: None}
FIGURE_NAME = "frontier.png"
MAX_EPISODES = 10**9


def _outcomes(text: object) -> tuple[bool, ...]:
    """Inverse of ``_as_text``."""
    if not isinstance(text, str) or set(text) - set("01"):
        raise ValueError("must be text, a 0 or 1 for each episode")
    return tuple(c == "1" for c in text)


Episodes = Annotated[Natural, Field(ge=1, le=MAX_EPISODES)]
Outcomes = Annotated[tuple[bool, ...], PlainValidator(_outcomes)]


class _Rules(Record):
    first_episodes: Episodes
    race_episodes: Episodes
    episodes: Episodes
    alpha: Share
    tolerance: Share
    floor: Share


class _Candidate(Record, extra="ignore"):  # all else follows, and is compared
    architecture: HiddenDims
    kind: str
    outcomes: Outcomes
    confirmed_outcomes: Outcomes = ()  # as ever in schema 1
    round_left: Natural
    left_as: str
    on_front: Flag


class FrontierFile(Record):
    """The content of ``frontier.json``."""

    answer: str
    candidates: Items[_Candidate]
    min_success: Share
    rules: Annotated[RaceRules, Stored(_Rules)]
    smallest: Any
    tests: Annotated[Natural, Field(ge=1)] | None = None  # since schema 4


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
    interface, count = interface_of(artifact), artifact.attribute("networks", Natural)
    where = str(artifact.path / FRONTIER_NAME)
    data = read_bytes(artifact, FRONTIER_NAME)
    content = parse_record(FrontierFile, parse_canonical(data, where), where)
    with damage_of(path):
        candidates = tuple(
            Candidate(
                one.architecture,
                one.kind,
                Standing(one.outcomes, one.round_left, one.left_as),
                one.confirmed_outcomes,
            )
            for one in content.candidates
        )
        schema = artifact.manifest.schema
        tests = TESTS_BEFORE.get(schema, content.tests)
        if tests is None and schema not in TESTS_BEFORE:
            raise DamagedArtifactError(f"{where}: tests: must be a number")
        frontier = Frontier(candidates, content.rules, content.min_success, interface, tests)
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
        **({} if schema in TESTS_BEFORE else {"tests": frontier.tests}),
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
    for one in frontier.candidates:
        if one.standing.left_as not in (LEFT_AS if one.standing.round_left else ("",)):
            raise ValueError(f"left_as: found {one.standing.left_as!r} beside round_left")
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
    level = frontier.confirmed_success(k)
    interval = "confirmed_95" if schema in TESTS_BEFORE else "confirmed_interval"
    confirmed = {
        interval: level and list(level.interval),
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
