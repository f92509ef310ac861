"""Levels and differences, by hand and where they are told apart."""

import numpy as np
import pytest

from nnit.intervals import difference_interval
from studies.compare import Difference, difference, level, lowest, of_kinds, over_seeds, rows_of
from studies.outcomes import Outcome, Study, cells_of


def outcomes(shapes, *, kind="unseen_combo", loss=0.1):
    """Return an outcome for each text of digits, by shape."""
    return tuple(
        Outcome(dims, kind, np.array([digit == "1" for digit in text]), loss)
        for dims, texts in shapes.items()
        for text in texts
    )


def test_cells_are_shares_of_the_networks_of_a_shape():
    """By hand."""
    networks = outcomes({(8,): ["1100", "1000"], (16,): ["1111", "0111"]})
    assert cells_of(networks).tolist() == [[1, 0.5, 0, 0], [0.5, 1, 1, 1]]
    assert np.array_equal(
        cells_of(networks[::-1]), cells_of(networks)
    )  # pairs do not hang on order


def test_the_lowest_is_a_single_network():
    """Not the mean of a shape's."""
    found = lowest(outcomes({(8,): ["1111", "0000"], (16,): ["1100", "1100"]}))
    assert (found.success, found.hidden_dims) == (0.0, (8,))


def test_difference_is_paired_by_state():
    """The same level in the same states is no difference; a hard state is hard for both."""
    chance = np.random.default_rng(0)
    texts = ["".join(chance.choice(["0", "1"], 100, p=[0.2, 0.8])) for _ in range(6)]
    ours = outcomes({(8 + k,): [text] for k, text in enumerate(texts)})
    same = difference(ours, ours)
    assert (same.mean, same.verdict) == (0, "alike")
    worse = outcomes({(8 + k,): [text[:70] + "0" * 30] for k, text in enumerate(texts)})
    assert difference(ours, worse).verdict == "better"
    assert difference(worse, ours).verdict == "worse"
    assert difference(ours, worse).mean == pytest.approx(level(ours).mean - level(worse).mean)


def test_alike_is_more_than_not_told_apart():
    """The same 0.9 on average: of 2,000 states within the margin, of 20 too little is known."""
    for count, verdict in ((2000, "alike"), (20, "open")):
        chance = np.random.default_rng(1)
        pairs = [chance.choice(["0", "1"], (2, count), p=[0.1, 0.9]) for _ in range(6)]
        ours, theirs = (
            outcomes({(8 + k,): ["".join(pair[side])] for k, pair in enumerate(pairs)})
            for side in (0, 1)
        )
        assert difference(ours, theirs).verdict == verdict


def test_difference_is_on_shapes_that_both_have():
    """What one of them cannot write does not count for or against it."""
    ours = outcomes({(8,): ["1111"], (16,): ["0000"]})
    assert difference(ours, outcomes({(8,): ["1111"]})).mean == 0


def test_rows_hold_every_method_and_its_kinds():
    """Within and beyond apart; None where a method has nothing beyond."""
    ours = outcomes({(8,): ["11"]}) + outcomes({(512,): ["10"]}, kind="wider", loss=0.3)
    flat = outcomes({(8,): ["10"]})
    rows = rows_of({"generated": ours, "flat": flat})
    assert {method: row.within.mean for method, row in rows.items()} == {
        "generated": 1,
        "flat": 0.5,
    }
    assert rows["generated"].beyond is not None
    assert rows["generated"].beyond.mean == 0.5
    assert rows["flat"].beyond is None
    assert [row.loss for row in rows.values()] == pytest.approx([0.2, 0.1])
    assert of_kinds(ours, ["wider"]) == list(ours[1:])


@pytest.mark.parametrize("states", [20, 100, 359])
def test_more_failures_never_make_two_methods_alike(states):
    """What fails in k states, in a share of its networks, is no worse than what fails in more."""
    ours = np.ones((12, states))
    for share in np.arange(0.1, 1.001, 0.02):
        verdicts = [
            Difference(0.0, difference_interval(ours, ours - share * (np.arange(states) < k)))
            for k in range(15)
        ]
        alike = [one.verdict == "alike" for one in verdicts]
        assert alike == sorted(alike, reverse=True), share


def test_seeds_count_as_samples_of_a_shape():
    """Not as further shapes."""
    studies = [
        Study("t", k, {"m": outcomes({(8,): ["11"], (9,): ["10"]})}, {}, {}, {}, frozenset())
        for k in "01"
    ]
    assert over_seeds(studies, "m")[0] == level(studies[0].methods["m"])
