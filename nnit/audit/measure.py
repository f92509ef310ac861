"""Measure samples against a zoo: novelty, diversity, collapse, and cloning loss."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from nnit.architectures import HELD_OUT_KINDS, TrainingRange, held_out_kind
from nnit.audit.collapse import Ranges, alarms_of, role_sizes, size_ranges
from nnit.audit.distances import (
    action_distances,
    actions_of,
    failure_iou,
    mean_pairwise,
    nearest_others,
    outputs_on,
    scaled_weights,
    weight_distances,
)
from nnit.audit.report import (
    EVERY,
    TRAINED,
    Audit,
    GroupAudit,
    SampleAudit,
    ShapeAudit,
    SizeRange,
    Spread,
)
from nnit.cloning import CloningData, cloning_data
from nnit.demos import Demos
from nnit.intervals import Estimate, mean_interval
from nnit.mlp import ACTION, Architecture, MlpSpec, Network, PolicyInterface
from nnit.progress import Progress
from nnit.rollout.metrics import Evaluation
from nnit.zoo.members import ModelZoo, networks_by_shape

NOVEL = 0.5  # ratio to the zoo's median above which a sample is novel
FAR = 1.0
GOOD_SUCCESS = 0.9


class Evidence(NamedTuple):
    """What the samples are held against."""

    zoo: ModelZoo
    demos: Demos  # in the networks' interface; none of them was trained on
    states: np.ndarray  # (N, obs_dim), the bank
    training_range: TrainingRange
    evaluations: Mapping[int, Evaluation]  # of samples, by index; may be empty
    ghn: Mapping[Architecture, tuple[Network, ...]]  # asked again for each shape; may be empty
    constant_success: float | None
    repeats: int  # networks of one shape that make it a repeated one


class Group(NamedTuple):
    """Networks of one shape, as what is compared."""

    weights: np.ndarray  # (n, P) scaled
    outputs: np.ndarray  # (n, N, act_dim) on the bank, not clipped
    actions: np.ndarray  # (n, N * act_dim) clipped
    losses: np.ndarray  # (n,)


def audit_samples(networks: Sequence[Network], evidence: Evidence, progress: Progress) -> Audit:
    """Measure generated networks.

    Args:
        networks: The samples.
        evidence: What they are held against; where the zoo has ``repeats`` networks of some
            shape, they tell what a usual distance is.
        progress: Advances by shapes.
    """
    interface, data = evidence.zoo.interface, cloning_data(evidence.demos)
    by_shape = networks_by_shape(evidence.zoo)
    repeats = max(2, evidence.repeats)
    repeated = [shape for shape, some in by_shape.items() if len(some) >= repeats]
    members = [evidence.zoo.network(k) for k in range(len(evidence.zoo))]
    ranges = size_ranges(members, interface)
    constant_loss = best_constant_loss(data)
    shapes = tuple(dict.fromkeys(network.hidden_dims for network in networks))
    progress.start("comparing", len(repeated) + len(shapes))

    usual = usual_spreads(repeated, evidence, data, progress)
    samples: dict[int, SampleAudit] = {}
    audited = []
    for shape in shapes:
        indices = [k for k, network in enumerate(networks) if network.hidden_dims == shape]
        shape_audit, sample_audits = audit_shape(
            indices, networks, evidence, data, usual, ranges, constant_loss
        )
        audited.append(shape_audit)
        samples.update(zip(indices, sample_audits, strict=True))
        progress.advance()
    ordered = tuple(samples[k] for k in sorted(samples))
    return Audit(
        samples=ordered,
        shapes=tuple(audited),
        groups=summarise_groups(ordered, audited),
        size_ranges=tuple(SizeRange(role, *bounds) for role, bounds in ranges.items()),
        states=len(evidence.states),
        constant_loss=constant_loss,
        constant_success=evidence.constant_success,
    )


def best_constant_loss(data: CloningData) -> float:
    """Return the cloning loss of the best constant output, which answers with the mean label.

    Within the bounds the cloning loss of actions is the squared error, of which the mean is the
    minimum, and beyond a bound no label is met better than at it. Of classes the best probabilities
    are their frequencies.
    """
    mean = data.actions.mean(dim=0, keepdim=True)
    best = mean if data.output == ACTION else mean.clamp(min=1e-9).log()
    return float(data.loss(best.expand_as(data.actions)))


def group_of(
    interface: PolicyInterface,
    shape: Architecture,
    flats: list[np.ndarray],
    evidence: Evidence,
    data: CloningData,
) -> Group:
    """Run networks of one shape on the bank of states and on the demonstrations."""
    spec = interface.spec(shape)
    outputs = outputs_on(spec, flats, evidence.states)
    on_demos = outputs_on(spec, flats, data.observations.numpy())
    losses = [float(data.loss(torch.from_numpy(o))) for o in on_demos]
    return Group(
        np.stack([scaled_weights(spec, flat) for flat in flats]),
        outputs,
        actions_of(outputs, interface),
        np.array(losses),
    )


def zoo_spreads(group: Group, branches: np.ndarray) -> tuple[float | None, float | None]:
    """Return mean distances, in weights and in actions, between networks of different branches."""
    return (
        mean_pairwise(weight_distances(group.weights, group.weights), branches),
        mean_pairwise(action_distances(group.actions, group.actions), branches),
    )


def usual_spreads(
    repeated: list[Architecture], evidence: Evidence, data: CloningData, progress: Progress
) -> tuple[float | None, float | None]:
    """Return the zoo's spreads in weights and actions, the mean over its repeated shapes.

    None where it has none.
    """
    if not repeated:
        return None, None
    zoo, spreads = evidence.zoo, []
    for shape in repeated:
        members = networks_by_shape(zoo).get(shape, [])
        flats = [zoo.network(k).weights for k in members]
        group = group_of(zoo.interface, shape, flats, evidence, data)
        spreads.append(zoo_spreads(group, np.array([zoo.members[k].branch for k in members])))
        progress.advance()
    weights, actions = np.mean(np.array(spreads, float), axis=0)
    return float(weights), float(actions)


def audit_shape(
    indices: list[int],
    networks: Sequence[Network],
    evidence: Evidence,
    data: CloningData,
    usual: tuple[float | None, float | None],
    ranges: Ranges,
    constant_loss: float,
) -> tuple[ShapeAudit, list[SampleAudit]]:
    """Measure all samples of one shape."""
    zoo = evidence.zoo
    interface, shape = zoo.interface, networks[indices[0]].hidden_dims
    spec, kind = interface.spec(shape), held_out_kind(shape, evidence.training_range) or TRAINED
    flats = [networks[k].weights for k in indices]
    group = group_of(interface, shape, flats, evidence, data)
    members = networks_by_shape(zoo).get(shape, [])
    member_flats = [zoo.network(k).weights for k in members]
    peers = group_of(interface, shape, member_flats, evidence, data) if members else None
    branches = np.array([zoo.members[k].branch for k in members])

    weights, weight_median = nearest(
        group.weights, peers and peers.weights, branches, weight_distances
    )
    actions, action_median = nearest(
        group.actions, peers and peers.actions, branches, action_distances
    )
    own = zoo_spreads(peers, branches) if peers and len(members) > 1 else (None, None)
    reference = usual if own[0] is None or own[1] is None else (own[0], own[1])
    evaluated = [evidence.evaluations.get(k) for k in indices]
    worst = float(peers.losses.max()) if peers else None
    audits = []
    for position, k in enumerate(indices):
        evaluation = evaluated[position]
        success = evaluation.success_once if evaluation else None
        loss = float(group.losses[position])
        alarms = alarms_of(role_sizes(spec, flats[position]), ranges, loss, constant_loss)
        audits.append(
            SampleAudit(
                sample_index=k,
                hidden_dims=shape,
                kind=kind,
                loss=loss,
                success=success,
                weight_distance=weights[position],
                weight_ratio=ratio(weights[position], weight_median),
                action_distance=actions[position],
                action_ratio=ratio(actions[position], action_median),
                identical=any(np.array_equal(flats[position], flat) for flat in member_flats),
                performs=performs(loss, worst, success),
                alarms=alarms,
            )
        )
    several = len(indices) > 1
    asked = [network.weights for network in evidence.ghn.get(shape, ())]
    return ShapeAudit(
        hidden_dims=shape,
        kind=kind,
        samples=len(indices),
        zoo_networks=len(members),
        weight_median=weight_median,
        action_median=action_median,
        weight_spread=spread(weight_distances(group.weights, group.weights), reference[0]),
        action_spread=spread(action_distances(group.actions, group.actions), reference[1]),
        own_reference=own[0] is not None,
        failure_iou=shared_failures([e for e in evaluated if e is not None]),
        loss_mean=float(group.losses.mean()),
        loss_best=float(group.losses.min()),
        loss_ensemble=ensemble_loss(spec, flats, data) if several else None,
        zoo_loss_mean=float(peers.losses.mean()) if peers else None,
        zoo_loss_worst=worst,
        ghn_loss=(
            float(group_of(interface, shape, asked, evidence, data).losses.min()) if asked else None
        ),
    ), audits


def nearest(
    samples: np.ndarray,
    members: np.ndarray | None,
    branches: np.ndarray,
    distances: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> tuple[list[float | None], float | None]:
    """Return each sample's distance to the nearest zoo network, and the zoo's own usual one.

    That is the median, over the zoo's networks, of the distance to the nearest of another branch.

    Args:
        samples: ``(n, D)``.
        members: Of the zoo ``(m, D)``; with fewer than two there is nothing to compare with.
        branches: Of the members ``(m,)``.
        distances: From two such to all distances ``(n, m)``.
    """
    if members is None or len(members) < 2:
        return [None] * len(samples), None
    own = nearest_others(distances(members, members), branches)
    found = distances(samples, members).min(axis=1)
    return [float(distance) for distance in found], float(np.median(own))


def ratio(distance: float | None, usual: float | None) -> float | None:
    """Return a distance in units of the usual one, or None where there is none to divide by."""
    return None if distance is None or not usual else distance / usual


def spread(distances: np.ndarray, reference: float | None) -> Spread | None:
    """Hold the mean distance between samples against the zoo's, where both are known."""
    mean = mean_pairwise(distances)
    if mean is None or reference is None:
        return None
    return Spread(mean, reference, ratio(mean, reference))


def performs(loss: float, worst: float | None, success: float | None) -> bool | None:
    """Whether a sample is as good as the zoo's networks of its shape; None without any of them."""
    if worst is None:
        return None
    return loss <= worst and (success is None or success >= GOOD_SUCCESS)


def shared_failures(evaluations: list[Evaluation]) -> float | None:
    """Return the agreement of failures over the reset seeds that all evaluations have."""
    if len(evaluations) < 2:
        return None
    failed = [{e.seed: not e.success_once for e in one.episodes} for one in evaluations]
    seeds = sorted(set.intersection(*(set(one) for one in failed)))
    return failure_iou(np.array([[one[seed] for seed in seeds] for one in failed], bool))


def ensemble_loss(spec: MlpSpec, flats: list[np.ndarray], data: CloningData) -> float:
    """Return the cloning loss of the mean of the networks' outputs, which are not clipped."""
    mean = outputs_on(spec, flats, data.observations.numpy()).mean(axis=0)
    return float(data.loss(torch.from_numpy(mean)))


def summarise_groups(
    samples: Sequence[SampleAudit], shapes: Sequence[ShapeAudit]
) -> tuple[GroupAudit, ...]:
    """Return the means of every kind of shape that there is, and of all of them."""
    kinds = [k for k in (TRAINED, *HELD_OUT_KINDS) if any(shape.kind == k for shape in shapes)]
    return tuple(
        _summarise(
            group,
            [sample for sample in samples if group in (EVERY, sample.kind)],
            [shape for shape in shapes if group in (EVERY, shape.kind)],
        )
        for group in (*kinds, EVERY)
    )


def _summarise(group: str, samples: list[SampleAudit], shapes: list[ShapeAudit]) -> GroupAudit:
    def estimate(values: Sequence[float | None]) -> Estimate | None:
        known = [value for value in values if value is not None]
        return mean_interval(known) if known else None

    def share(judge: Callable[[SampleAudit], bool | float | None]) -> Estimate | None:
        """Average over the samples of each shape first."""
        judged = [[judge(s) for s in samples if s.hidden_dims == x.hidden_dims] for x in shapes]
        known = [[float(j) for j in some if j is not None] for some in judged]
        return estimate([float(np.mean(some)) if some else None for some in known])

    def above(value: float | None, bound: float) -> bool | None:
        return None if value is None else value > bound

    def both(sample: SampleAudit) -> bool | None:
        novel = above(sample.weight_ratio, NOVEL)
        return None if novel is None or sample.performs is None else novel and sample.performs

    def below(value: float | None, bound: float | None) -> float | None:
        return None if value is None or bound is None else float(value < bound)

    loss = estimate([shape.loss_mean for shape in shapes])
    assert loss is not None, "a group has a shape"
    return GroupAudit(
        group=group,
        shapes=len(shapes),
        samples=len(samples),
        alarmed=sum(bool(sample.alarms) for sample in samples),
        novel_weights=share(lambda s: above(s.weight_ratio, NOVEL)),
        far_weights=share(lambda s: above(s.weight_ratio, FAR)),
        novel_actions=share(lambda s: above(s.action_ratio, NOVEL)),
        far_actions=share(lambda s: above(s.action_ratio, FAR)),
        novel_and_performs=share(both),
        weight_ratio=share(lambda s: s.weight_ratio),
        action_ratio=share(lambda s: s.action_ratio),
        weight_spread_ratio=estimate([x.weight_spread and x.weight_spread.ratio for x in shapes]),
        action_spread_ratio=estimate([x.action_spread and x.action_spread.ratio for x in shapes]),
        failure_iou=estimate([shape.failure_iou for shape in shapes]),
        loss=loss,
        ensemble_below_mean=estimate([below(x.loss_ensemble, x.loss_mean) for x in shapes]),
        ensemble_below_best=estimate([below(x.loss_ensemble, x.loss_best) for x in shapes]),
        ghn_loss=estimate([shape.ghn_loss for shape in shapes]),
        below_ghn=estimate([below(x.loss_mean, x.ghn_loss) for x in shapes]),
    )
