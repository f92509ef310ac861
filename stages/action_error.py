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

import numpy as np

from nnit.artifacts.demos import read_demos
from nnit.audit.action_error import ActionError, action_error, deviation
from nnit.demos import Demos
from nnit.errors import LeakError, WrongKindError
from nnit.mlp import ACTION, Architecture, Network
from nnit.tasks.seeds import shared_seed
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
    demos = read_unseen(inputs, asked)
    networks = tuple(
        Measured(
            one.name,
            one.source,
            one.hidden_dims,
            action_error(Network(one.hidden_dims, one.weights), demos),
        )
        for one in requests
    )
    return Report(len(demos.episode_ends), len(demos.actions), networks, deviation(demos))


def read_unseen(inputs: Inputs, asked: Contenders) -> Demos:
    """Read demonstrations, scaled as the networks expect it.

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
    found, _ = read_demos(inputs.demos)
    demos = on_other_demonstrations(inputs.networks, asked.interface, inputs.demos, found)
    require_unseen(inputs.networks, asked.interface, inputs.demos, found)
    if inputs.trained_on is not None:
        trained, _ = read_demos(inputs.trained_on)
        require_same_task(inputs.networks, asked.interface, inputs.trained_on, trained.interface)
        both = shared_seed(found.reset_seeds, trained.reset_seeds)
        if both is not None:
            raise LeakError(
                f"{inputs.demos}: the episode of reset seed {both} is one of {inputs.trained_on} "
                "too; keep episodes apart with `nnit demos --recording FILE --take START:END`, "
                "or --first-seed where there is a simulator"
            )
    return demos


def means_by_source(report: Report) -> dict[str, np.ndarray]:
    """Return what networks of each source are off by in each number, in their mean."""
    sources = dict.fromkeys(one.source for one in report.networks)
    return {
        source_name(source): np.mean(
            [one.error.root_mean_square for one in report.networks if one.source == source], axis=0
        )
        for source in sources
    }
