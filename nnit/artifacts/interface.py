"""The policy interface as JSON, in the attributes of every artifact."""

import re
from typing import Any

from nnit.artifacts.canonical import JsonObject
from nnit.mlp import MAX_WIDTH, PolicyInterface

MAX_HORIZON = 10**7
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def interface_to_json(interface: PolicyInterface) -> dict[str, Any]:
    """Return the interface as JSON data; numbers read back exactly."""
    return {
        **interface._asdict(),
        "obs_mean": [float(value) for value in interface.obs_mean],
        "obs_std": [float(value) for value in interface.obs_std],
    }


def parse_interface(fields: JsonObject) -> PolicyInterface:
    """Read an interface that somebody wrote.

    Raises:
        DamagedArtifactError: a field is missing, unknown or impossible.
    """
    fields.only(PolicyInterface._fields)
    for name in ("task", "control_mode", "activation"):
        if not _WORD.fullmatch(fields.text(name)):
            fields.refuse(name, "a name")
    obs_dim = fields.integer("obs_dim", 1, MAX_WIDTH)
    if not all(value > 0 for value in fields.numbers("obs_std", obs_dim)):
        fields.refuse("obs_std", "positive numbers")
    for name in ("obs_clip", "action_clip"):
        if fields.number(name) <= 0:
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
        activation=fields.text("activation"),
    )
