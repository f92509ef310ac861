"""Does an environment fit a network? Control mode, control frequency, order of observations.

Of the standard library alone: import it, or paste it where nnit is not installed.
"""

import math
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

SETTING = ("control_mode", "control_freq", "observation_layout")


def layout_of(observation: Mapping[str, Any], prefix: str = "", start: int = 0) -> list[dict]:
    """Return where each part of an observation lies once it is flattened, in its order.

    Args:
        observation: Of one environment, as ManiSkill's ``obs_mode="state_dict"`` gives it: names to
            arrays, or to further such mappings.
        prefix: What names begin with.
        start: Where the first part lies.
    """
    parts: list[dict] = []
    for name, value in observation.items():
        if isinstance(value, Mapping):
            parts += layout_of(value, f"{prefix}{name}/", start)
        else:
            length = math.prod(getattr(value, "shape", ()))
            parts.append({"name": prefix + name, "start": start, "length": length})
        start = parts[-1]["start"] + parts[-1]["length"] if parts else start
    return parts


def misfit(config: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Return how an environment differs from what a network was made for; nothing if it doesn't.

    Args:
        config: The network's ``config.json``.
        here: The same fields of the environment, ``SETTING``. What one of both does not say (null,
            or no parts) is not compared.
    """
    for name in SETTING:
        found, expected = config[name], here[name]
        if found and expected and found != expected:
            if name == "observation_layout":  # of all parts the first that differs
                pairs = zip_longest(found, expected)
                found, expected = next((mine, its) for mine, its in pairs if mine != its)
            return f"found {name} {found}, expected {expected}"
    return ""


def require_fit(
    config: Mapping[str, Any], control_mode: str, control_freq: int, observation: Mapping[str, Any]
) -> None:
    """Refuse to run a network in an environment that it was not made for.

    Args:
        config: The network's ``config.json``.
        control_mode: Of the environment, as ManiSkill calls it.
        control_freq: Actions in a second.
        observation: As ``layout_of`` takes it.

    Raises:
        ValueError: they don't fit; one line.
    """
    values = (control_mode, control_freq, layout_of(observation))
    if fault := misfit(config, dict(zip(SETTING, values, strict=True))):
        raise ValueError(f"{fault}: the network was made for another environment than this one")
