"""The rules of held-out architectures."""

import numpy as np
import pytest

from nnit.architectures import (
    HELD_OUT_KINDS,
    TrainingRange,
    held_out_kind,
    refuse_held_out,
    rule_fault,
    sample_architecture,
)
from nnit.errors import LeakError

CHI_SQUARE_3_DF = 16.27  # the 0.999 quantile
NARROW = TrainingRange(16, 32, 8, 1, 2, held_out_widths=(24,), held_out=((16, 32),))


@pytest.fixture(scope="module")
def training():
    """The default range."""
    from stages.params import ArchitecturesParams

    return ArchitecturesParams().training_range()


@pytest.fixture(scope="module")
def draws(training):
    """Architectures that training would see."""
    generator = np.random.default_rng(7)
    return [sample_architecture(generator, training) for _ in range(20_000)]


def test_trainable_widths_are_the_steps_without_the_held_out_ones():
    """By hand: 16, 24, 32 without 24."""
    assert NARROW.trainable_widths() == (16, 32)


def test_no_held_out_architecture_is_ever_drawn(training, draws):
    """Neither a listed tuple, nor a held-out width, nor anything outside the range."""
    assert all(training.is_trainable(dims) for dims in draws)
    assert not set(draws) & set(training.held_out)
    assert not {width for dims in draws for width in dims} & set(training.held_out_widths)
    assert {held_out_kind(dims, training) for dims in draws} == {None}


def test_listed_tuple_is_not_drawn_where_it_is_a_quarter_of_its_depth():
    """Of the four tuples of depth 2 one is listed: the other three come out, and only they."""
    generator = np.random.default_rng(0)
    drawn = {sample_architecture(generator, NARROW) for _ in range(500)}
    assert drawn == {(16,), (32,), (16, 16), (32, 16), (32, 32)}


def test_depth_is_uniform(draws):
    """Pearson's chi-square against the uniform distribution over four depths."""
    counts = np.bincount([len(dims) for dims in draws])[1:]
    expected = len(draws) / 4
    assert ((counts - expected) ** 2 / expected).sum() < CHI_SQUARE_3_DF


def test_each_octave_of_widths_is_drawn_about_as_often_where_widths_differ(draws):
    """From 16 to 32 as often as from 128 to 256, within the held-out widths' share."""
    widths = np.array([width for dims in draws if len(set(dims)) > 1 for width in dims])
    shares = [((widths >= low) & (widths < 2 * low)).mean() for low in (16, 32, 64, 128)]
    assert max(shares) / min(shares) < 1.5


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_a_zoo_has_networks_whose_last_units_are_all_at_the_edge_of_the_range(draws, depth):
    """Of 800 networks more than one of each depth have the largest width in every layer."""
    assert draws.count((256,) * depth) / len(draws) > 1 / 800


def test_same_generator_state_gives_the_same_architectures(training):
    """Two generators of one seed draw the same sequence."""
    one, two = np.random.default_rng(3), np.random.default_rng(3)
    assert [sample_architecture(one, training) for _ in range(50)] == [
        sample_architecture(two, training) for _ in range(50)
    ]


@pytest.mark.parametrize(
    ("hidden_dims", "kind"),
    [
        ((64, 64), None),
        ((128, 256, 128), "unseen_combo"),
        ((128, 256, 124), None),
        ((37, 64), "unseen_width"),
        ((72,), "unseen_width"),
        ((8,), "unseen_width"),
        ((260,), "wider"),
        ((320, 37), "wider"),
        ((64,) * 5, "deeper"),
        ((512,) * 9, "deeper"),
    ],
)
def test_kind_follows_from_the_rules(training, hidden_dims, kind):
    """Depth decides first, then the largest width, then the other widths, then the list."""
    assert held_out_kind(hidden_dims, training) == kind
    assert training.is_trainable(hidden_dims) == (kind is None)


def test_the_default_lists_obey_their_own_rules(training):
    """Each listed architecture is of the kind that it stands under, and there are six of each."""
    from stages.params import HeldOutParams

    listed = HeldOutParams()
    for kind in HELD_OUT_KINDS:
        assert len(getattr(listed, kind)) == 6
        assert [rule_fault(dims, kind, training) for dims in getattr(listed, kind)] == [None] * 6


@pytest.mark.parametrize(
    ("hidden_dims", "kind", "reason"),
    [
        ((64, 64), "wider", "is not wider: by the rules it is trainable"),
        ((600,), "wider", "wider than 2 x 256"),
        ((37,), "unseen_combo", "by the rules it is unseen_width"),
        ((64,), "deeper", "by the rules it is trainable"),
    ],
)
def test_a_wrong_entry_is_named_with_what_it_is(training, hidden_dims, kind, reason):
    """The fault says what is wrong, with the bound where there is one."""
    assert reason in (rule_fault(hidden_dims, kind, training) or "")


def test_refusal_names_the_first_offenders_on_one_line(training):
    """Trainable ones pass; otherwise one line with where, the architectures and their kinds."""
    refuse_held_out([(64, 64), (256,)], training, "zoo")
    offenders = [(64, 64), (37,), (64, 96), (64,) * 5, (300,), (300,), (301,)]
    with pytest.raises(LeakError) as caught:
        refuse_held_out(offenders, training, "zoo")
    assert caught.value.exit_code == 3
    assert str(caught.value) == (
        "zoo: held-out architectures must not be trained on: 37 (unseen_width); "
        "64,64,64,64,64 (deeper); 64,96 (unseen_combo) and 2 more"
    )
