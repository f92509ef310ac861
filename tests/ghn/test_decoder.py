"""Decoders: one field for all sizes, and where it is smooth."""

import hashlib

import pytest
import torch

from nnit.ghn.decoder import (
    CELL,
    LEARNT_UNITS,
    MARGIN,
    UNTRAINED,
    BiasDecoder,
    CarrierDecoder,
    CnnDecoder,
    PointwiseDecoder,
    unit_codes,
)

NODE_DIM, CHANNELS = 12, 16
UNITS = 256  # the largest trained width
DECODERS = [CarrierDecoder, CnnDecoder, PointwiseDecoder]
BLOCK = 4  # units that one position of the CNN's last convolution writes
SIZES = [(1, 1), (3, 40), (8, 8), (9, 17), (24, 31), (37, 5), (64, 64)]


def fresh(decoder, seed=0, channels=CHANNELS):
    """Return a freshly initialised decoder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        decode = decoder(NODE_DIM, channels, *[UNITS] * (decoder is CarrierDecoder))
        return decode.requires_grad_(False)


def make(decoder, seed=0, channels=CHANNELS):
    """Return a function that decodes one layer with a fresh decoder."""
    decode = fresh(decoder, seed, channels)
    return lambda embedding, *sizes: decode(embedding[None], *sizes)[0]


@pytest.fixture
def embedding():
    """The embedding of some layer."""
    return torch.randn(NODE_DIM, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(("fan_out", "fan_in"), SIZES)
def test_field_of_a_small_matrix_is_the_corner_of_a_large_one(decoder, fan_out, fan_in, embedding):
    """Unit i of a narrow layer is unit i of a wide one: what keeps all networks aligned."""
    decode = make(decoder)
    small, large = decode(embedding, fan_out, fan_in), decode(embedding, 75, 70)
    assert small.shape == (fan_out, fan_in)
    torch.testing.assert_close(small, large[:fan_out, :fan_in], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("fan_out", [1, 8, 13, 40])
def test_bias_of_a_narrow_layer_is_the_start_of_a_wide_ones(fan_out, embedding):
    """The same for biases."""
    decode = make(BiasDecoder)
    narrow, wide = decode(embedding, fan_out), decode(embedding, 75)
    assert narrow.shape == (fan_out,)
    torch.testing.assert_close(narrow, wide[:fan_out], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("decoder", DECODERS)
def test_every_unit_and_every_embedding_is_another(decoder, embedding):
    """No two rows or columns are alike, and the field follows the embedding."""
    decode = make(decoder, channels=64)
    field = decode(embedding, 48, 48)
    for matrix in (field, field.T):
        distances = torch.cdist(matrix, matrix) + 10 * torch.eye(48)
        assert distances.min() > 1e-3
    assert (decode(-embedding, 48, 48) - field).abs().max() > 1e-2


@pytest.mark.parametrize("decoder", DECODERS)
def test_field_stays_bounded_far_outside_trained_widths(decoder, embedding):
    """At 1,000 units the deviation is within a factor of 2.5 of that of the first 64."""
    decode = make(decoder)
    near, far = decode(embedding, 64, 8), decode(embedding, 1000, 8)[-64:]
    assert 0.4 < float(far.std() / near.std()) < 2.5


@pytest.mark.parametrize(
    ("decoder", "margin", "reach"), [(CnnDecoder, MARGIN, 2), (PointwiseDecoder, 0, 0)]
)
def test_how_far_one_seed_reaches(decoder, margin, reach, embedding):
    """By convolving, a cell's seed decides cells up to two away; pointwise, its own cell alone."""
    decode = fresh(decoder)
    (plain,) = decode(embedding[None], 7 * CELL, 7 * CELL)

    def bump(_module, _inputs, seeds):
        seeds = seeds.clone()
        seeds[0, 3 + margin, 3 + margin, 0] += 1
        return seeds

    decode.seeds.register_forward_hook(bump)
    (bumped,) = decode(embedding[None], 7 * CELL, 7 * CELL)
    changed = (bumped - plain).abs() > 1e-6
    cells = changed.view(7, CELL, 7, CELL).any(3).any(1)
    expected = torch.zeros(7, 7, dtype=torch.bool)
    expected[3 - reach : 4 + reach, 3 - reach : 4 + reach] = True
    assert torch.equal(cells, expected)


def autocorrelation(field: torch.Tensor, lag: int) -> tuple[float, float]:
    """Return the correlation of values ``lag`` rows apart, and ``lag`` columns apart."""
    centred = field - field.mean()
    rows = (centred[:-lag] * centred[lag:]).mean()
    columns = (centred[:, :-lag] * centred[:, lag:]).mean()
    variance = centred.square().mean()
    return float(rows / variance), float(columns / variance)


@pytest.mark.parametrize("seed", range(3))
def test_cnn_field_is_smooth_from_block_to_block(seed, embedding):
    """Units one block apart are alike along rows and columns; shuffled or pointwise ones are not.

    Within a block of four units the pixel shuffle writes each unit by weights of its own, so
    that nothing makes next neighbours alike.
    """
    cnn = make(CnnDecoder, seed, channels=32)(embedding, 128, 128)
    pointwise = make(PointwiseDecoder, seed, channels=32)(embedding, 128, 128)
    order = torch.randperm(cnn.numel(), generator=torch.Generator().manual_seed(seed))
    shuffled = cnn.flatten()[order].view_as(cnn)
    smooth = min(autocorrelation(cnn, BLOCK))
    assert smooth > 0.7
    assert max(map(abs, autocorrelation(shuffled, BLOCK))) < 0.1
    assert smooth > max(autocorrelation(pointwise, BLOCK)) + 0.2


def test_codes_of_units_by_hand():
    """Signs over the root of the rank: the bits of a hash of the unit's index, unit after unit."""
    (code,) = unit_codes("column", 2, 3, 8) * 8**0.5
    bits = f"{hashlib.shake_256(b'column/2').digest(1)[0]:08b}"
    torch.testing.assert_close(code, torch.tensor([1.0 if bit == "1" else -1.0 for bit in bits]))
    together = torch.cat([unit_codes("row", 0, 5, 12), unit_codes("row", 5, 9, 12)])
    assert torch.equal(together, unit_codes("row", 0, 9, 12))


def test_carrier_has_units_beyond_those_whose_codes_are_learnt(embedding):
    """Unlike all others, the same in a wider layer, and half the size of those that are trained."""
    decode = make(CarrierDecoder, channels=128)
    field, wider = (decode(embedding, LEARNT_UNITS + more, 8) for more in (64, 128))
    assert torch.equal(field, wider[: LEARNT_UNITS + 64])
    inside, untrained, beyond = field[:UNITS], field[UNITS:LEARNT_UNITS], field[LEARNT_UNITS:]
    assert float(untrained.std() / inside.std()) == pytest.approx(UNTRAINED, rel=0.2)
    assert float(beyond.std() / inside.std()) == pytest.approx(UNTRAINED, rel=0.2)
    assert torch.cdist(beyond, field[:LEARNT_UNITS]).min() > 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_carrier_field_has_a_high_rank(seed, embedding):
    """That of its codes from the start; most of it carries energy, unlike that of the others."""

    def values_at_99(decoder):
        energy = torch.linalg.svdvals(make(decoder, seed, 128)(embedding, 128, 192)).square()
        return int((energy.cumsum(0) < 0.99 * energy.sum()).sum()) + 1

    carrier, *others = (values_at_99(decoder) for decoder in DECODERS)
    assert max(others) <= 30 < 40 <= carrier <= 64
    field = make(CarrierDecoder, seed, 128)(embedding, 128, 192)
    assert int(torch.linalg.matrix_rank(field)) == 64


def test_disturbed_codes_move_every_field_alike_and_keep_their_size(embedding):
    """Another matrix in the small field is another one in the corner of the large one."""
    before, after = fresh(CarrierDecoder, channels=128), fresh(CarrierDecoder, channels=128)
    share = 0.3
    after.disturb(share, torch.Generator().manual_seed(3))
    fields = [decode(embedding[None], 64, 64)[0] for decode in (before, after)]
    corner = after(embedding[None], 16, 16)[0]
    torch.testing.assert_close(corner, fields[1][:16, :16], atol=1e-5, rtol=1e-4)
    for name in ("rows", "columns"):
        codes, moved = getattr(before, name), getattr(after, name)
        alike = torch.cosine_similarity(codes, moved, dim=1).mean().item()
        assert alike == pytest.approx((1 + share**2) ** -0.5, abs=0.01)
        sizes = moved.square().mean(dim=1) / codes.square().mean(dim=1)  # smaller without a unit
        assert sizes.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.corrcoef(torch.stack([field.flatten() for field in fields]))[0, 1] > 0.8
