"""The policy interface as JSON, in the attributes of every artifact."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnit.artifacts.canonical import JsonObject
from nnit.artifacts.reading import open_artifact
from nnit.mlp import ACTION, CLASS, MAX_WIDTH, NAME, PolicyInterface
from nnit.task_ids import is_stored_task_id

MAX_HORIZON = 10**7
ACTIVATION = "relu"  # of all networks, and said of each
TINY = 1e-30  # what is divided by is larger


def interface_to_json(interface: PolicyInterface) -> dict[str, Any]:
    """Return the interface as JSON data; numbers read back exactly.

    The kind of output is said where it is not an action, as it always was before there were others.
    """
    fields = {**interface._asdict(), "activation": ACTIVATION}
    if interface.output == ACTION:
        del fields["output"]
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
    artifact = open_artifact(path, *kinds, check="sizes")
    return parse_interfaces(artifact.attributes, several=artifact.several)


def parse_interfaces(fields: JsonObject, *, several: bool) -> tuple[PolicyInterface, ...]:
    """Read the interfaces of an artifact of one task or of ``several``.

    Raises:
        DamagedArtifactError: as ``parse_interface``, fewer than two, or a task twice.
    """
    if not several:
        return (parse_interface(fields.object("interface")),)
    interfaces = tuple(
        parse_interface(JsonObject(item, f"{fields.where}: interfaces[{k}]"))
        for k, item in enumerate(fields.items("interfaces"))
    )
    if not 2 <= len({interface.task for interface in interfaces}) == len(interfaces):
        fields.refuse("interfaces", "those of two or more tasks")
    return interfaces


def parse_interface(fields: JsonObject) -> PolicyInterface:
    """Read an interface that somebody wrote.

    Raises:
        DamagedArtifactError: a field is missing, unknown or impossible.
    """
    fields.only(interface_names(fields))
    if not is_stored_task_id(fields.text("task")):
        fields.refuse("task", "the id of a task, not a file or a module")
    if not NAME.fullmatch(fields.text("control_mode")):
        fields.refuse("control_mode", "a name")
    if fields.text("activation") != ACTIVATION:
        fields.refuse("activation", ACTIVATION)
    obs_dim = fields.integer("obs_dim", 1, MAX_WIDTH)
    if not all(value > TINY for value in fields.numbers("obs_std", obs_dim)):
        fields.refuse("obs_std", "positive numbers")
    for name in ("obs_clip", "action_clip"):
        if fields.number(name) <= TINY:
            fields.refuse(name, "a positive number")
    return PolicyInterface(
        task=fields.text("task"),
        control_mode=fields.text("control_mode"),
        obs_dim=obs_dim,
        act_dim=fields.integer("act_dim", 1, MAX_WIDTH),
        horizon=fields.integer("horizon", 1, MAX_HORIZON),
        obs_mean=fields.numbers("obs_mean", obs_dim),
        obs_std=fields.numbers("obs_std", obs_dim),
        obs_clip=fields.number("obs_clip"),
        action_clip=fields.number("action_clip"),
        output=CLASS if "output" in fields.value else ACTION,
    )


def interface_names(fields: JsonObject) -> list[str]:
    """Return the names of an interface's fields, as far as these have to be there.

    Raises:
        DamagedArtifactError: the kind of output is none that has to be said.
    """
    names = [*PolicyInterface._fields, "activation"]
    if "output" not in fields.value:
        return [name for name in names if name != "output"]
    if fields.text("output") != CLASS:
        fields.refuse("output", CLASS)
    return names
