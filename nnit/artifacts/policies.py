"""Where a network belongs and what it answers, as fields of its ``config.json``."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator

from nnit import __version__
from nnit.artifacts.interface import MAX_FREQ, InterfaceRecord
from nnit.artifacts.manifest import installed_version
from nnit.artifacts.records import HiddenDims, Items, Natural, Number, Stored, Whole, satisfying
from nnit.faults import RulesError
from nnit.mlp import NAME
from nnit.policy_record import PAIRS, Part, PolicyRecord, Setting, Versions

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_ -]{0,99}")


class NetworkRecord(InterfaceRecord):
    """The ``config.json`` of a network that says no more."""

    architecture: HiddenDims
    seed: Whole
    sample_index: Natural


class RecordedNetwork(NetworkRecord):
    """One that also says where the network belongs and what it answers."""

    control_freq: Annotated[Natural, Field(ge=1, le=MAX_FREQ)] | None
    observation_layout: Items[Annotated[Part, Stored()]]
    pairs: Items[tuple[Items[Number], Items[Number]]]
    versions: Annotated[
        Versions,
        Stored(),
        satisfying(lambda all_: all(map(_VERSION.fullmatch, all_)), "the version of each package"),
    ]

    @model_validator(mode="after")
    def _fit(self) -> Self:
        sizes = [tuple(map(len, pair)) for pair in self.pairs]
        if sizes != [(self.obs_dim, self.act_dim)] * PAIRS:
            numbers = f"{self.obs_dim} and {self.act_dim} numbers"
            raise RulesError([(("pairs",), f"must be {PAIRS} pairs of {numbers}")])
        layout, end = self.observation_layout, 0
        for part in layout:
            if part.start != end or part.length < 1 or not NAME.fullmatch(part.name):
                break
            end += part.length
        if layout and (end != self.obs_dim or len({part.name for part in layout}) < len(layout)):
            whole = f"must be named parts, one behind the other, of {self.obs_dim} numbers"
            raise RulesError([(("observation_layout",), whole)])
        return self

    def policy(self) -> PolicyRecord:
        """Return where the network belongs and what it answers."""
        observations, actions = (
            np.array(part, np.float32) for part in zip(*self.pairs, strict=True)
        )
        setting = Setting(self.control_freq, self.observation_layout)
        return PolicyRecord(setting, self.versions, observations, actions)


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
    """Return what a ``RecordedNetwork`` says beside a ``NetworkRecord``, as JSON data."""
    pairs = zip(record.observations, record.actions, strict=True)
    return {
        "control_freq": record.setting.control_freq,
        "observation_layout": [part._asdict() for part in record.setting.layout],
        "pairs": [[_decimals(observation), _decimals(action)] for observation, action in pairs],
        "versions": record.versions._asdict(),
    }


def _decimals(numbers: np.ndarray) -> list[float]:
    """Return float32 numbers in the fewest digits that read back as the same float32."""
    return [float(str(number)) for number in numbers]
