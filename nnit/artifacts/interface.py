"""The policy interface as JSON, in the attributes of every artifact."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from nnit.artifacts.reading import Artifact, open_artifact
from nnit.artifacts.records import (
    Items,
    Natural,
    Number,
    Positive,
    Record,
    Stored,
    Width,
    record_to_json,
    satisfying,
)
from nnit.faults import RulesError
from nnit.mlp import ACTION, CLASS, NAME, Output, PolicyInterface, Recorded
from nnit.task_ids import is_stored_task_id

MAX_HORIZON = 10**7
MAX_FREQ = 10**6  # Hz
ACTIVATION: Literal["relu"] = "relu"  # of all networks, and said of each


class RecordedRecord(Record):
    """A robot that somebody recorded."""

    action_low: Items[Number]
    action_high: Items[Number]
    control_freq: Annotated[Natural, Field(ge=1, le=MAX_FREQ)] | None

    @model_validator(mode="after")
    def _rise(self) -> Self:
        if len(self.action_low) != len(self.action_high) or any(
            low > high for low, high in zip(self.action_low, self.action_high, strict=True)
        ):
            raise RulesError([(("action_high",), "must be a bound above each of action_low")])
        return self


class InterfaceRecord(Record):
    """An interface that somebody wrote."""

    task: Annotated[str, satisfying(is_stored_task_id, "the id of a task, not a file or a module")]
    control_mode: Annotated[str, satisfying(NAME.fullmatch, "a name")]
    obs_dim: Width
    act_dim: Width
    horizon: Annotated[Natural, Field(ge=1, le=MAX_HORIZON)]
    obs_mean: Items[Number]
    obs_std: Items[Positive]
    obs_clip: Positive
    action_clip: Positive
    activation: Literal["relu"]
    output: Annotated[Output, satisfying(CLASS.__eq__, CLASS)] = ACTION  # which isn't said
    recorded: Annotated[
        Annotated[Recorded, Stored(RecordedRecord)] | None, satisfying(bool, "a robot")
    ] = None  # nor is that

    @model_validator(mode="after")
    def _scale_each_number(self) -> Self:
        for name in ("obs_mean", "obs_std"):
            if len(getattr(self, name)) != self.obs_dim:
                raise RulesError([((name,), f"must be {self.obs_dim} numbers, as obs_dim says")])
        if self.recorded is not None and self.output != ACTION:
            raise RulesError([(("recorded",), "must not be there where outputs are classes")])
        if self.recorded is not None and len(self.recorded.action_low) != self.act_dim:
            fault = f"must have bounds of {self.act_dim} numbers, as act_dim says"
            raise RulesError([(("recorded",), fault)])
        return self


StoredInterface = Annotated[PolicyInterface, Stored(InterfaceRecord)]
StoredInterfaces = Annotated[
    Items[StoredInterface],
    satisfying(
        lambda found: 2 <= len({one.task for one in found}) == len(found),
        "those of two or more tasks",
    ),
]


def interface_to_json(interface: PolicyInterface) -> dict[str, Any]:
    """Return the interface as JSON data; numbers read back exactly.

    The kind of output is said where it is not an action, as it always was before there were others,
    and a robot where demonstrations were recorded on one.
    """
    fields = {**interface._asdict(), "activation": ACTIVATION}
    if interface.output == ACTION:
        del fields["output"]
    if interface.recorded is None:
        del fields["recorded"]
    else:
        fields["recorded"] = record_to_json(interface.recorded)
    return {
        **fields,
        "obs_mean": [float(value) for value in interface.obs_mean],
        "obs_std": [float(value) for value in interface.obs_std],
    }


def interfaces_to_json(interfaces: Sequence[PolicyInterface]) -> dict[str, Any]:
    """Return the attributes of an artifact of these tasks.

    One task has ``interface``, as every artifact had before there were several; several have
    ``interfaces``.
    """
    listed = [interface_to_json(interface) for interface in interfaces]
    return {"interface": listed[0]} if len(listed) == 1 else {"interfaces": listed}


def stored_interfaces(path: Path, *kinds: str) -> tuple[PolicyInterface, ...]:
    """Return the interfaces of an artifact without reading its networks.

    Raises:
        NnitError: missing, of another kind, damaged.
    """
    return interfaces_of(open_artifact(path, *kinds, check="sizes"))


def interfaces_of(artifact: Artifact) -> tuple[PolicyInterface, ...]:
    """Return the interfaces of an artifact, one of each task.

    Raises:
        DamagedArtifactError: a field is missing, unknown or impossible, or a task is there twice.
    """
    if artifact.several:
        return artifact.attribute("interfaces", StoredInterfaces)
    return (interface_of(artifact),)


def interface_of(artifact: Artifact) -> PolicyInterface:
    """Return the interface of an artifact of one task.

    Raises:
        DamagedArtifactError: as ``interfaces_of``.
    """
    return artifact.attribute("interface", StoredInterface)
