"""Stage ``audit``: say whether samples are novel, diverse and sound, and whether they lose less.

Reads:   samples   kind "samples",  schema 1 or 2
         zoo       kind "zoo",      schema 1 (what the generator learned from)
         demos     kind "demos",    schema 1 (others than those that were trained on)
         rollouts  kind "rollouts", schema 1, 2 or 3 (of these samples; optional)
         ghn       kind "ghn",      schema 1 (asked again for each shape; optional)
Writes:  audit     kind "audit",    schema 1
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnit.architectures import TrainingRange
from nnit.artifacts.audit import StoredAudit, write_audit
from nnit.artifacts.demos import read_demos
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.publish import check_output_free
from nnit.artifacts.rollouts import read_rollouts
from nnit.artifacts.samples import SampleSet, read_samples
from nnit.artifacts.zoo import read_zoo
from nnit.audit.measure import Evidence, audit_samples
from nnit.audit.report import EVERY, Audit, GroupAudit
from nnit.errors import UsageError, WrongKindError
from nnit.intervals import Estimate
from nnit.mlp import Architecture, Network
from nnit.progress import Progress, silent
from nnit.rollout.metrics import Evaluation
from nnit.state_bank import draw_states
from nnit.training import prepare_torch
from stages.contenders import ask_ghn_and_grow
from stages.lineage import on_other_demonstrations, repeats_of, require_same_task
from stages.params import Params, RunOptions

CONSTANT = "constant"  # the source of rollouts that is a constant action


@dataclass(frozen=True)
class Inputs:
    """Generated networks, and what they are held against."""

    samples: Path
    zoo: Path
    demos: Path
    rollouts: Path | None = None
    ghn: Path | None = None


@dataclass(frozen=True)
class Outputs:
    """Where the audit goes."""

    audit: Path


@dataclass(frozen=True)
class Summary:
    """The numbers for the terminal and for ``metrics/audit.json``; None: not measured."""

    networks: int
    architectures: int
    identical: int  # samples that are a network of the zoo
    alarmed: int  # samples with a sign of collapse
    novel_weights: float | None  # share of samples farther from the zoo than half the usual
    novel_actions: float | None
    novel_and_performs: float | None
    weight_spread_ratio: float | None  # of samples of one shape, to the zoo's branches
    action_spread_ratio: float | None
    ensemble_below_best: float | None  # share of shapes
    below_ghn: float | None  # share of shapes
    by_kind: dict[str, Any]  # held-out kind -> share below the GHN, with its interval


def run(
    params: Params,
    inputs: Inputs,
    outputs: Outputs,
    *,
    options: RunOptions,
    progress: Progress = silent,
) -> Summary:
    """Measure every sample, every shape and every kind of shape.

    Raises:
        UsageError: no sample.
        WrongKindError: inputs of different tasks, or rollouts of other samples.
        NnitError: a missing or damaged input, or an output that can't be written.
    """
    check_output_free(outputs.audit, force=options.force, kind="audit")
    prepare_torch()
    section = params.audit
    samples, samples_artifact = read_samples(inputs.samples)
    zoo, zoo_artifact = read_zoo(inputs.zoo)
    demos, demos_artifact = read_demos(inputs.demos)
    if not samples.samples:
        raise UsageError(f"{inputs.samples}: has no network to audit")
    require_same_task(inputs.samples, samples.interface, inputs.zoo, zoo.interface)
    demos = on_other_demonstrations(inputs.samples, samples.interface, inputs.demos, demos)
    repeats = repeats_of(inputs.zoo, zoo, section.repeats, progress, "audit")
    parents = {
        "samples": samples_artifact.digest,
        "zoo": zoo_artifact.digest,
        "demos": demos_artifact.digest,
    }
    if zoo_artifact.manifest.parents.get("demos") == demos_artifact.digest:
        progress.note(f"audit: {inputs.demos}: the zoo was trained on these; others say more")
    if "ghn" in zoo_artifact.manifest.parents and len({one.branch for one in zoo.members}) == 1:
        progress.note(
            f"audit: {inputs.zoo}: of one branch: its networks are twins, any blur is novel"
        )
    if samples_artifact.manifest.parents.get("demos") == demos_artifact.digest:
        progress.note(f"audit: {inputs.demos}: the samples were chosen by these; others say more")
    evaluations, constant = {}, None
    if inputs.rollouts is not None:
        evaluations, constant, parents["rollouts"] = read_evaluations(
            inputs, samples, samples_artifact.digest
        )
    asked, training_range = {}, params.architectures.training_range()
    if inputs.ghn is not None:
        asked, parents["ghn"] = ask_again(inputs, inputs.ghn, samples, training_range)

    evidence = Evidence(
        zoo=zoo,
        demos=demos,
        states=draw_states(demos, section.states, options.seed),
        training_range=training_range,
        evaluations=evaluations,
        ghn=asked,
        constant_success=constant,
        repeats=repeats,
    )
    audit = audit_samples([sample.network for sample in samples.samples], evidence, progress)
    decides = {
        **section.model_dump(mode="json"),
        "repeats": repeats,
        "architectures": params.architectures.model_dump(mode="json"),  # tells the kinds apart
    }
    provenance = Provenance("audit", decides, options.seed, parents)
    write_audit(
        outputs.audit, StoredAudit(audit, samples.interface), provenance, force=options.force
    )
    return summarise(audit)


def read_evaluations(
    inputs: Inputs, samples: SampleSet, digest: str
) -> tuple[Mapping[int, Evaluation], float | None, str]:
    """Return what each sample did, the success of a constant action, and the rollouts' digest.

    Raises:
        WrongKindError: of another task, or of other networks.
        NnitError: missing, of another kind, damaged.
    """
    assert inputs.rollouts is not None
    rollouts, artifact = read_rollouts(inputs.rollouts)
    require_same_task(inputs.samples, samples.interface, inputs.rollouts, rollouts.interface)
    if artifact.manifest.parents.get("networks") != digest:
        raise WrongKindError(
            f"{inputs.rollouts}: evaluates other networks than {inputs.samples}; make it with "
            f"`nnit rollout {inputs.samples}`"
        )
    found = {}
    for evaluation in rollouts.evaluations:
        name = evaluation.name.removeprefix("sample-")
        if evaluation.source != "sample" or not name.isdigit() or int(name) >= len(samples):
            continue
        if samples.samples[int(name)].network.hidden_dims == evaluation.hidden_dims:
            found[int(name)] = evaluation
    constant = [e.success_once for e in rollouts.evaluations if e.source == CONSTANT]
    return found, float(np.mean(constant)) if constant else None, artifact.digest


def ask_again(
    inputs: Inputs, path: Path, samples: SampleSet, training_range: TrainingRange
) -> tuple[Mapping[Architecture, tuple[Network, ...]], str]:
    """Ask a hypernetwork for the shape of each sample; also return its digest.

    Beyond the trained widths and depths there are two networks of a shape: written as a whole, and
    grown as the generator's are.

    Raises:
        WrongKindError: of another task.
        ResourceError: a network that does not fit into memory.
        NnitError: missing, of another kind, damaged.
    """
    shapes = tuple(dict.fromkeys(sample.network.hidden_dims for sample in samples.samples))
    found = ask_ghn_and_grow(path, shapes, training_range)
    require_same_task(inputs.samples, samples.interface, path, found.interface)
    asked = {
        shape: tuple(
            Network(shape, one.weights) for one in found.requests if one.hidden_dims == shape
        )
        for shape in shapes
    }
    return asked, found.digest


def summarise(audit: Audit) -> Summary:
    """Return the figures of all shapes together."""
    every = next(group for group in audit.groups if group.group == EVERY)
    return Summary(
        networks=len(audit.samples),
        architectures=len(audit.shapes),
        identical=sum(sample.identical for sample in audit.samples),
        alarmed=every.alarmed,
        novel_weights=_mean(every.novel_weights),
        novel_actions=_mean(every.novel_actions),
        novel_and_performs=_mean(every.novel_and_performs),
        weight_spread_ratio=_mean(every.weight_spread_ratio),
        action_spread_ratio=_mean(every.action_spread_ratio),
        ensemble_below_best=_mean(every.ensemble_below_best),
        below_ghn=_mean(every.below_ghn),
        by_kind={group.group: _below_ghn(group) for group in audit.groups},
    )


def _mean(estimate: Estimate | None) -> float | None:
    return estimate.mean if estimate else None


def _below_ghn(group: GroupAudit) -> dict[str, Any] | None:
    return {"below_ghn": group.below_ghn._asdict()} if group.below_ghn else None
