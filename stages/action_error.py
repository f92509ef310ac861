"""``nnit action-error``: how far networks are from held-out demonstrations, without a simulator.

Reads:   networks     samples, zoo or ghn
         demos        kind "demos", schema 1 (episodes that nobody trained on)
         also         samples or zoo   (further networks of the same shapes, each with a label)
         trained_on   kind "demos", schema 1 (to make sure that no episode is in both)
Writes:  nothing
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnit.artifacts.demos import read_demos
from nnit.artifacts.reading import Artifact
from nnit.audit.action_error import ActionError, action_error, deviation
from nnit.demos import Demos
from nnit.errors import LeakError, WrongKindError
from nnit.mlp import ACTION, Architecture, Network, Recorded
from stages.contenders import Contenders, check_labels, read_also, read_contenders
from stages.inspection import source_name
from stages.lineage import on_other_demonstrations, require_same_task, require_unseen
from stages.params import Params


@dataclass(frozen=True)
class Inputs:
    """What is measured, and on what."""

    networks: Path
    demos: Path
    architectures: tuple[Architecture, ...] = ()  # of a GHN: which; of others: only these
    also: Mapping[str, Path] = field(default_factory=dict)  # label -> samples or zoo
    trained_on: Path | None = None


@dataclass(frozen=True)
class Measured:
    """The error of one network."""

    name: str
    source: str  # sample, zoo, ghn, or a label
    architecture: Architecture
    error: ActionError


@dataclass(frozen=True)
class Report:
    """What was measured on how much."""

    episodes: int
    steps: int
    networks: tuple[Measured, ...]
    mean_action: ActionError  # of answering with the mean of these actions


class Unseen(NamedTuple):
    """Demonstrations that nobody trained on."""

    demos: Demos  # scaled as the networks expect it
    in_units: np.ndarray  # (N, act_dim) their actions, in the robot's units


def run(params: Params, inputs: Inputs) -> Report:
    """Measure networks on demonstrations that they were not trained on.

    Raises:
        LeakError: they were.
        WrongKindError: inputs of different tasks, or of classes.
        UsageError: a hypernetwork without architectures, a label that can't be one.
        NnitError: a missing or damaged input.
    """
    check_labels(inputs.also)
    training_range = params.architectures.training_range()
    asked = read_contenders(inputs.networks, inputs.architectures, training_range)
    requests = list(asked.requests)
    for label, path in inputs.also.items():
        requests += read_also(label, path, inputs.networks, asked, training_range).requests
    demos, in_units = read_unseen(inputs, asked)
    robot = demos.interface.recorded
    resting = root_mean_square(in_units - (robot.middle if robot else 0))
    networks = tuple(
        Measured(
            one.name,
            one.source,
            one.hidden_dims,
            with_resting(
                action_error(Network(one.hidden_dims, one.weights), demos), robot, resting
            ),
        )
        for one in requests
    )
    mean_action = with_resting(deviation(demos), robot, in_units.std(axis=0))
    return Report(len(demos.episode_ends), len(demos.actions), networks, mean_action)


def read_unseen(inputs: Inputs, asked: Contenders) -> Unseen:
    """Read demonstrations, and make sure that the networks were not trained on them.

    Raises:
        LeakError: the networks were trained on them, or on an episode of them.
        WrongKindError: of another task, or of classes.
        NnitError: missing, damaged.
    """
    if asked.interface.output != ACTION:
        raise WrongKindError(
            f"{inputs.networks}: answers with classes, which have no error of an action; "
            "`nnit rollout` has their accuracy"
        )
    found, artifact = read_demos(inputs.demos)
    demos = on_other_demonstrations(inputs.networks, asked.interface, inputs.demos, found)
    require_unseen(inputs.networks, asked.interface, inputs.demos, found)
    if inputs.trained_on is not None:
        trained, of_training = read_demos(inputs.trained_on)
        require_same_task(inputs.networks, asked.interface, inputs.trained_on, trained.interface)
        both = shared_episode((found, artifact), (trained, of_training))
        if both is not None:
            raise LeakError(
                f"{inputs.demos}: the episode of reset seed {both} is one of {inputs.trained_on} "
                "too; keep episodes apart with `nnit demos --recording FILE --take START:END`, "
                "or --first-seed where there is a simulator"
            )
    return Unseen(demos, found.interface.in_units(found.actions))


def shared_episode(one: tuple[Demos, Artifact], other: tuple[Demos, Artifact]) -> int | None:
    """Return the lowest reset seed, in the first, of an episode that is in both.

    Equal seeds are equal episodes in one simulator or one recording: in two recordings they number
    different ones. Equal observations tell those of a recording that has grown, or to which others
    were added.
    """
    (some, of_some), (others, of_others) = one, other
    seeds, known = some.seeds_by_content(), others.seeds_by_content()
    shared = {seed for content, seed in seeds.items() if content in known}
    recordings = {artifact.manifest.parents.get("recording") for artifact in (of_some, of_others)}
    if len(recordings) == 1:
        shared |= some.reset_seeds & others.reset_seeds
    return min(shared, default=None)


def root_mean_square(errors: np.ndarray) -> np.ndarray:
    """Return it of each number ``(act_dim,)``."""
    return np.sqrt(np.square(errors).mean(axis=0))


def with_resting(error: ActionError, robot: Recorded | None, resting: np.ndarray) -> ActionError:
    """Return an error with that of the numbers that never moved in training.

    Networks answer with what such a number rested at. It has an error in the robot's units, and as
    it has no bounds to be scaled by, none that the mean over numbers could take.

    Args:
        error: Of numbers that are scaled by their bounds.
        robot: The bounds, where there are any.
        resting: The error of each number if it rests ``(act_dim,)``, in the robot's units.
    """
    if robot is None or robot.half.all():
        return error
    moved = robot.half > 0
    roots = np.where(moved, error.root_mean_square, resting)
    squares = np.square(roots[moved] / robot.half[moved])
    return ActionError(float(squares.sum() / max(len(squares), 1)), tuple(roots.tolist()))


def means_by_source(report: Report) -> dict[str, np.ndarray]:
    """Return what networks of each source are off by in each number, in their mean."""
    sources = dict.fromkeys(one.source for one in report.networks)
    return {
        source_name(source): np.mean(
            [one.error.root_mean_square for one in report.networks if one.source == source], axis=0
        )
        for source in sources
    }
