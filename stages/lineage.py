"""Checks that artifacts which are used together belong together."""

from pathlib import Path

from nnit.errors import WrongKindError
from nnit.mlp import PolicyInterface


def require_same_task(
    one_path: Path, one: PolicyInterface, other_path: Path, other: PolicyInterface
) -> None:
    """Refuse artifacts of different tasks, or with other scaling of observations.

    Raises:
        WrongKindError: they differ; the line names both and how.
    """
    if one == other:
        return
    if one.task != other.task:
        detail = f"found task {other.task}, expected {one.task}"
    else:
        fields = [name for name in one._fields if getattr(one, name) != getattr(other, name)]
        detail = f"they differ in {', '.join(fields)}: one was made from other demonstrations"
    raise WrongKindError(f"{other_path}: does not belong to {one_path}: {detail}")


def require_same_environment(
    one_path: Path, one: PolicyInterface, other_path: Path, other: PolicyInterface
) -> None:
    """Refuse artifacts of different tasks; the scaling of observations may differ.

    Raises:
        WrongKindError: they differ; the line names both and how.
    """
    for name in ("task", "control_mode", "obs_dim", "act_dim"):
        found, expected = getattr(other, name), getattr(one, name)
        if found != expected:
            raise WrongKindError(
                f"{other_path}: does not belong to {one_path}: found {name} {found}, "
                f"expected {expected}"
            )
