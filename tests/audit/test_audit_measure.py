"""The audit of samples against a zoo."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from learning_examples import INTERFACE, RANGE, make_demos, make_zoo, random_flat
from scipy.optimize import minimize

from nnit.audit.measure import Evidence, audit_samples, best_constant_loss, shared_failures
from nnit.cloning import cloning_data, cloning_loss
from nnit.mlp import Network
from nnit.progress import silent
from nnit.rollout.metrics import Episode, Evaluation
from nnit.state_bank import draw_states
from nnit.zoo.members import ZooMember, build_zoo

SHAPE, HELD_OUT = (8, 8), (16, 8)
ZOO = make_zoo([SHAPE] * 4 + [(8,)])
DEMOS = make_demos()


def evidence(**changes) -> Evidence:
    """Return the zoo as evidence."""
    usual = Evidence(
        zoo=ZOO,
        demos=DEMOS,
        states=draw_states(DEMOS, 30, 0),
        training_range=RANGE,
        evaluations={},
        ghn={},
        constant_success=None,
        repeats=4,
    )
    return usual._replace(**changes)


def audit(networks, **changes):
    """Audit networks with the evidence, some of it changed."""
    return audit_samples(networks, evidence(**changes), silent)


def evaluation(*success: bool) -> Evaluation:
    """Return an evaluation with these outcomes."""
    episodes = tuple(Episode(k, 50 + k, good, good, 0.0, 5) for k, good in enumerate(success))
    return Evaluation("sample-0000", "sample", SHAPE, "train", episodes)


def test_a_copy_of_a_zoo_network_is_not_novel():
    """Its distances are 0 in weights and actions, it is called identical, and it performs."""
    found = audit([ZOO.network(1)])
    (sample,) = found.samples
    assert (sample.weight_distance, sample.weight_ratio) == (0, 0)
    assert (sample.action_distance, sample.action_ratio) == (0, 0)
    assert sample.identical
    assert sample.performs
    assert found.groups[-1].novel_weights.mean == 0
    assert found.groups[-1].novel_and_performs.mean == 0


def test_another_network_like_those_of_the_zoo_is_novel():
    """Drawn as the zoo was, it is as far from the zoo as the zoo from itself."""
    network = Network(SHAPE, random_flat(INTERFACE.spec(SHAPE), 77))
    (sample,) = audit([network]).samples
    assert sample.weight_ratio == pytest.approx(1, abs=0.25)
    assert not sample.identical


@pytest.mark.parametrize("blur", [0.0, 0.01, 0.1])
def test_copies_and_blurs_of_a_zoo_network_are_not_novel(blur):
    """Also where each branch has twins, from which a blur is farther than they are apart."""
    size = INTERFACE.spec(SHAPE).num_parameters
    centres = [random_flat(INTERFACE.spec(SHAPE), branch) for branch in (0, 1)]
    rng = np.random.default_rng(0)
    flats = [
        (centre + 1e-3 * rng.standard_normal(size)).astype(np.float32)
        for centre in centres
        for _ in range(3)
    ]
    members = [ZooMember(SHAPE, k // 3, 0, 0.0, 0.0) for k in range(6)]
    zoo = build_zoo(members, flats, INTERFACE)
    sample = (flats[0] + blur * rng.standard_normal(size)).astype(np.float32)
    (found,) = audit([Network(SHAPE, sample)], zoo=zoo).samples
    assert found.weight_ratio < 0.2
    between = (0.5 * (centres[0] + centres[1])).astype(np.float32)
    (found,) = audit([Network(SHAPE, between)], zoo=zoo).samples
    assert found.weight_ratio > 0.5


def test_samples_as_diverse_as_the_zoo_have_a_ratio_of_one():
    """The zoo's own networks as samples: all pairs are those of different branches, or fewer."""
    zoo = make_zoo([SHAPE] * 2)  # branches 0 and 1
    found = audit([zoo.network(0), zoo.network(1)], zoo=zoo, repeats=2)
    (shape,) = found.shapes
    assert shape.weight_spread.ratio == pytest.approx(1)
    assert shape.action_spread.ratio == pytest.approx(1)
    assert shape.own_reference


def test_held_out_shapes_are_held_against_the_repeated_ones():
    """No zoo network has the shape, so the usual distance between branches is that of others."""
    networks = [Network(HELD_OUT, random_flat(INTERFACE.spec(HELD_OUT), k)) for k in (5, 6)]
    found = audit([*networks, ZOO.network(0), ZOO.network(2)])
    held_out, repeated = found.shapes
    assert (held_out.kind, held_out.zoo_networks, held_out.own_reference) == (
        "unseen_combo",
        0,
        False,
    )
    assert held_out.weight_spread.zoo == pytest.approx(repeated.weight_spread.zoo)
    assert held_out.weight_median is None
    assert all(sample.performs is None for sample in found.samples[:2])
    assert [group.group for group in found.groups] == ["train", "unseen_combo", "all"]
    assert found.groups[1].novel_weights is None


def test_an_ensemble_of_equal_samples_loses_what_they_lose():
    """The mean of equal outputs is the output; different ones do better than their mean."""
    same = audit([ZOO.network(0)] * 3).shapes[0]
    assert same.loss_ensemble == pytest.approx(same.loss_mean)
    assert same.weight_spread.samples == 0
    others = audit([ZOO.network(k) for k in range(4)]).shapes[0]
    assert others.loss_ensemble < others.loss_mean
    assert audit([ZOO.network(0)]).shapes[0].loss_ensemble is None


def test_the_best_constant_action_is_the_mean():
    """No constant that an optimiser finds loses less, with labels at the bounds among them."""
    data = cloning_data(DEMOS)
    assert (data.actions.abs() == 1).any()

    def loss(constant: np.ndarray) -> float:
        predicted = torch.from_numpy(constant.astype(np.float32)).expand_as(data.actions)
        return float(cloning_loss(predicted, data.actions))

    found = minimize(loss, np.zeros(INTERFACE.act_dim), method="Nelder-Mead")
    assert best_constant_loss(data) == pytest.approx(found.fun, rel=1e-3)


def test_the_hypernetwork_is_beaten_where_the_samples_lose_less():
    """A hypernetwork that gives a sample's own network is not beaten; a worse one is."""
    good, bad = sorted((ZOO.network(0), ZOO.network(1)), key=lambda n: audit([n]).samples[0].loss)
    assert audit([good], ghn={SHAPE: (bad,)}).groups[-1].below_ghn.mean == 1
    assert audit([good], ghn={SHAPE: (bad, good)}).groups[-1].below_ghn.mean == 0
    assert audit([good]).groups[-1].below_ghn is None


def test_success_is_part_of_performing():
    """A copy of a zoo network that fails in the simulator does not perform."""
    networks = [ZOO.network(0), ZOO.network(1)]
    evaluations = {0: evaluation(True, True), 1: evaluation(True, False)}
    found = audit(networks, evaluations=evaluations)
    assert [sample.success for sample in found.samples] == [1.0, 0.5]
    assert [sample.performs for sample in found.samples] == [True, False]


def test_failures_are_compared_seed_by_seed():
    """One shared failure of two in all, whatever the order of the episodes."""
    one, other = evaluation(False, True, False), evaluation(True, True, False)
    turned = other._replace(episodes=other.episodes[::-1])
    assert shared_failures([one, other]) == 0.5
    assert shared_failures([one, turned]) == 0.5
    assert shared_failures([one]) is None


def test_the_order_of_samples_changes_no_figure():
    """Samples of several shapes in turns: the same shapes and groups, numbered as they came."""
    networks = [ZOO.network(0), ZOO.network(4), ZOO.network(2)]
    found, turned = audit(networks), audit([networks[0], networks[2], networks[1]])
    assert found.shapes == turned.shapes
    assert found.groups == turned.groups
    numbers = [sample.sample_index for sample in found.samples]
    assert all(after == before + 1 for before, after in pairwise(numbers))


def test_a_zoo_of_equal_networks_has_no_ratio():
    """Nothing is divided by a usual distance of zero."""
    flat = ZOO.network(0).weights
    zoo = make_zoo([SHAPE] * 4)
    zoo.weights[:] = np.tile(flat, 4)
    found = audit([ZOO.network(0), ZOO.network(1)], zoo=zoo)
    assert [sample.weight_ratio for sample in found.samples] == [None, None]
    assert found.shapes[0].weight_spread.ratio is None
