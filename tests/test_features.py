"""Features of places and sizes: what must look alike and what must not."""

import math

import pytest
import torch

from nnit.features import PLACE_FEATURES, fourier_features, place_features, slow_features

PERIODS = (4.0, 8.0)


def test_fourier_features_by_hand():
    """A quarter of a period is (1, 0), a half is (0, -1): sines first, then cosines."""
    ours = fourier_features(torch.tensor([1.0, 2.0]), (4.0,))
    torch.testing.assert_close(ours, torch.tensor([[1.0, 0.0], [0.0, -1.0]]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_one_row_for_each_place(count):
    """A chain of one is both start and end."""
    assert place_features(count).shape == (count, PLACE_FEATURES)


def test_places_far_from_both_ends_look_alike():
    """Within 1 %, so that a chain deeper than any trained one has no place that looks new."""
    places = place_features(40)
    middle = places[8:-8]
    assert (middle - middle[0]).abs().max() < 0.01


def test_ends_look_the_same_whatever_the_length():
    """The first three and the last three places of chains of 12 and of 40."""
    short, long = place_features(12), place_features(40)
    assert (short[:3] - long[:3]).abs().max() < 0.01
    assert (short[-3:] - long[-3:]).abs().max() < 0.01


def test_start_end_and_their_neighbours_are_told_apart():
    """The places that trained chains have are not mixed up."""
    places = place_features(5)
    distances = torch.cdist(places, places) + 10 * torch.eye(5)
    assert distances.min() > 0.1


@pytest.mark.parametrize("width", [3.0, 16.0, 60.0, 256.0, 1000.0])
def test_slow_features_vary_slowly(width):
    """Ten per cent more width changes no feature by more than the fastest sine's slope."""
    here, there = slow_features(torch.tensor([width, 1.1 * width]), PERIODS)
    assert (there - here).abs().max() <= 2 * math.pi / min(PERIODS) * math.log2(1.1)


def test_slow_features_tell_widths_apart():
    """Any two of 16, 32, ..., 512 differ clearly."""
    features = slow_features(torch.tensor([16.0, 32, 64, 128, 256, 512]), PERIODS)
    distances = torch.cdist(features, features) + 10 * torch.eye(6)
    assert distances.min() > 0.3
