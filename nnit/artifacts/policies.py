"""Where a network belongs and what it answers, as fields of its ``config.json``."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnit import __version__
from nnit.artifacts.canonical import JsonObject
from nnit.artifacts.manifest import installed_version
from nnit.artifacts.records import parse_record
from nnit.errors import DamagedArtifactError
from nnit.mlp import NAME, PolicyInterface
from nnit.policy_record import PAIRS, Part, PolicyRecord, Setting, Versions

FIELDS = ("control_freq", "observation_layout", "pairs", "versions")
MAX_FREQ = 10**6  # Hz
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_ -]{0,99}")


def versions_made_with(source: Mapping[str, str]) -> Versions:
    """Return the versions for the record of a network.

    Args:
        source: Those in the manifest of what the network was made from; of what it does not name,
            the version that is installed counts.
    """
    found = {}
    for package in ("gymnasium", "mani_skill"):
        said = source.get(package, "")
        found[package] = said if _VERSION.fullmatch(said) else installed_version(package)
    return Versions(**found, nnit=__version__)


def policy_to_json(record: PolicyRecord) -> dict[str, Any]:
    """Return ``FIELDS`` as JSON data."""
    pairs = zip(record.observations, record.actions, strict=True)
    return {
        "control_freq": record.setting.control_freq,
        "observation_layout": [part._asdict() for part in record.setting.layout],
        "pairs": [[_decimals(observation), _decimals(action)] for observation, action in pairs],
        "versions": record.versions._asdict(),
    }


def parse_policy(config: JsonObject, interface: PolicyInterface) -> PolicyRecord:
    """Read ``FIELDS`` that somebody wrote.

    Raises:
        DamagedArtifactError: a field is missing or impossible.
    """
    freq = None
    if config.value["control_freq"] is not None:
        freq = config.integer("control_freq", 1, MAX_FREQ)
    versions = parse_record(Versions, config.value["versions"], f"{config.where}: versions")
    if not all(map(_VERSION.fullmatch, versions)):
        config.refuse("versions", "the version of each package")
    pairs = config.items("pairs")
    if len(pairs) != PAIRS:
        config.refuse("pairs", f"{PAIRS} pairs")
    parsed = [
        _parse_pair(pair, f"{config.where}: pairs[{k}]", interface) for k, pair in enumerate(pairs)
    ]
    observations, actions = (np.array(part, np.float32) for part in zip(*parsed, strict=True))
    return PolicyRecord(
        Setting(freq, _parse_layout(config, interface)), versions, observations, actions
    )


def _parse_layout(config: JsonObject, interface: PolicyInterface) -> tuple[Part, ...]:
    where = f"{config.where}: observation_layout"
    layout = tuple(
        parse_record(Part, item, f"{where}[{k}]")
        for k, item in enumerate(config.items("observation_layout"))
    )
    end = 0
    for part in layout:
        if part.start != end or part.length < 1 or not NAME.fullmatch(part.name):
            break
        end += part.length
    whole = end == interface.obs_dim and len({part.name for part in layout}) == len(layout)
    if layout and not whole:
        config.refuse(
            "observation_layout",
            f"named parts, one behind the other, of {interface.obs_dim} numbers",
        )
    return layout


def _parse_pair(
    pair: object, where: str, interface: PolicyInterface
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return observation ``(obs_dim,)`` and action ``(act_dim,)``."""
    if not isinstance(pair, list) or len(pair) != 2:
        raise DamagedArtifactError(f"{where}: expected an observation and an action")
    fields = JsonObject(dict(zip(("observation", "action"), pair, strict=True)), where)
    return (
        fields.numbers("observation", interface.obs_dim),
        fields.numbers("action", interface.act_dim),
    )


def _decimals(numbers: np.ndarray) -> list[float]:
    """Return float32 numbers in the fewest digits that read back as the same float32."""
    return [float(str(number)) for number in numbers]
