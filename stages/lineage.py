"""Checks that artifacts which are used together belong together."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from nnit.architectures import refuse_held_out
from nnit.demos import Demos
from nnit.errors import DamagedArtifactError, LeakError, WrongKindError, shorten
from nnit.mlp import Architecture, PolicyInterface, format_architecture
from nnit.progress import Progress
from nnit.zoo.members import ModelZoo, most_of_one_shape
from stages.params import ArchitecturesParams

SCALING = ("obs_mean", "obs_std", "obs_clip", "recorded")  # demonstrations decide it, not the task


def require_same_task(
    one_path: Path, one: PolicyInterface, other_path: Path, other: PolicyInterface
) -> None:
    """Refuse artifacts of different tasks, or with other scaling of observations.

    Raises:
        WrongKindError: they differ; the line names both and how.
    """
    if one == other:
        return
    differing = [name for name in one._fields if getattr(one, name) != getattr(other, name)]
    name = differing[0]
    if name in SCALING:
        detail = f"they differ in {', '.join(differing)}: one was made from other demonstrations"
    else:
        detail = f"found {name} {getattr(other, name)}, expected {getattr(one, name)}"
    raise WrongKindError(f"{other_path}: does not belong to {one_path}: {detail}")


def on_other_demonstrations(
    path: Path, interface: PolicyInterface, demos_path: Path, demos: Demos
) -> Demos:
    """Return demonstrations that networks were not trained on, scaled as the networks expect it.

    Other demonstrations of a task have another mean and standard deviation; what a network sees
    is scaled by those that it was made with. Recorded ones have other bounds of actions too, and
    another longest episode; their actions may be beyond the bounds of the networks.

    Raises:
        WrongKindError: they differ in more than that, such as the task.
    """
    theirs, actions = demos.interface, demos.actions
    same_scaling = theirs._replace(obs_mean=interface.obs_mean, obs_std=interface.obs_std)
    if interface.recorded and theirs.recorded and theirs.act_dim == interface.act_dim:
        bounds = interface.recorded._replace(control_freq=theirs.recorded.control_freq)
        same_scaling = same_scaling._replace(recorded=bounds, horizon=interface.horizon)
        actions = bounds.from_units(theirs.recorded.to_units(actions)).astype(np.float32)
    require_same_task(path, interface, demos_path, same_scaling)
    return replace(demos, interface=interface, actions=actions)


def require_unseen(path: Path, interface: PolicyInterface, demos_path: Path, demos: Demos) -> None:
    """Refuse the demonstrations that networks were trained on, whose very scaling they have.

    Raises:
        LeakError: they are those.
    """
    if demos.interface == interface:
        raise LeakError(
            f"{demos_path}: {path} was trained on these demonstrations; give others: `nnit demos "
            "--first-seed`, or `--recording FILE --take START:END` of a recording"
        )


def trained_on(*found: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the parameter of a manifest that says which architectures were trainable.

    Args:
        found: The ``architectures`` of what something was made from, and those that it was trained
            with itself: a section of parameters, or a list of them.

    Returns:
        The section where all are the same, as they are in a pipeline with one parameter file; else
        a list of those that differ.
    """
    different: list[Any] = []
    for one in found:
        for section in one if isinstance(one, list) else [one]:
            if section not in different:
                different.append(section)
    return {"architectures": different[0] if len(different) == 1 else different}


def refuse_trained_on_held_out(
    path: Path, trained: Mapping[str, Any], architectures: ArchitecturesParams, command: str
) -> None:
    """Make sure that what is held out now was held out in every training that led to an artifact.

    Held out are listed architectures, and all that have one of ``held_out_widths``.

    Args:
        path: The artifact, for messages.
        trained: The parameters in its manifest.
        architectures: What is held out now.
        command: What makes such an artifact.

    Raises:
        LeakError: an architecture that is held out may have been trained on.
        DamagedArtifactError: the manifest does not say what was trained on.
    """
    found = trained.get("architectures")
    try:
        then = [
            ArchitecturesParams.model_validate(section).training_range()
            for section in (found if found and isinstance(found, list) else [found])
        ]
    except ValidationError:
        raise DamagedArtifactError(
            f"{path}: does not say which architectures it was trained on; make it again with "
            f"`{command}`"
        ) from None
    leaks = [
        format_architecture(dims)
        for dims in architectures.held_out.listed()
        if any(training_range.is_trainable(dims) for training_range in then)
    ]
    widths = {width for training_range in then for width in training_range.trainable_widths()}
    leaks += [f"width {width}" for width in architectures.held_out_widths if width in widths]
    if leaks:
        named = shorten("; ".join(leaks))
        raise LeakError(
            f"{path}: was trained on architectures that are held out now: {named}; train it "
            f"again with `{command}`, or use the parameters that it was trained with"
        )


def refuse_leak(
    path: Path,
    trained: Iterable[Architecture],
    made_with: Mapping[str, Any],
    architectures: ArchitecturesParams,
    command: str,
) -> None:
    """Make sure that nothing held out is among the networks of an artifact, or was trained on.

    Args:
        path: The artifact, for messages.
        trained: The architectures of its training networks.
        made_with: The parameters in its manifest.
        architectures: What is held out now.
        command: What makes such an artifact.

    Raises:
        LeakError: either.
        DamagedArtifactError: the manifest does not say what was trained on.
    """
    refuse_held_out(trained, architectures.training_range(), str(path))
    refuse_trained_on_held_out(path, made_with, architectures, command)


def repeats_of(path: Path, zoo: ModelZoo, wanted: int, progress: Progress, command: str) -> int:
    """Return how many networks of one architecture can be compared, and say where it is fewer.

    Args:
        path: The zoo, for messages.
        zoo: What is compared.
        wanted: How many are asked for.
        progress: Told where the zoo has fewer.
        command: Who asks, for messages.
    """
    most = most_of_one_shape(zoo)
    if most < wanted:
        progress.note(
            f"{command}: {path}: has at most {most} networks of one architecture, not {wanted}: "
            "less can be told from them"
        )
    return min(most, wanted)


def require_pairs(path: Path, repeats: int) -> None:
    """Refuse a zoo that has no architecture twice, so that nothing can be compared.

    Raises:
        WrongKindError: the line says how to make one that has.
    """
    if repeats < 2:
        raise WrongKindError(
            f"{path}: has no two networks of one architecture to compare; make a zoo with "
            "`nnit zoo-export --repeats 16`"
        )
