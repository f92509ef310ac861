"""Absorbing diffusion over architecture tokens."""

import math
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from learning_examples import INTERFACE

from nnit.diffusion.architecture import (
    IGNORED,
    architecture_loss,
    draw,
    generate_architecture,
    mask_architecture,
    mask_batch,
)
from nnit.diffusion.transformer import TransformerConfig, build_transformer
from nnit.errors import UsageError
from nnit.patterns import ArchitectureBounds
from nnit.seeding import torch_generator
from nnit.training import build_optimizer, optimise

DEPTHS, WIDTHS = (1, 2, 4), (8, 16, 24)
CONFIG = TransformerConfig(4, width=32, depth=2, heads=2, arch_depths=DEPTHS, arch_widths=WIDTHS)
FREE = ArchitectureBounds()

pytestmark = pytest.mark.seconds


@pytest.fixture(scope="module")
def model():
    """An untrained transformer: all values are equally likely."""
    return build_transformer(CONFIG, 0)


def generate(model, pattern=None, bounds=FREE, seed=0):
    """Generate one architecture with the generator of this seed."""
    return generate_architecture(model, pattern, bounds, INTERFACE, torch_generator(seed, "arch"))


def test_masks_hide_every_number_of_tokens_equally_often():
    """One to L widths, or everything: each with a chance of 1 / (L + 1)."""
    counts = Counter()
    for seed in range(900):
        left, targets, known = mask_architecture((8, 16), CONFIG, torch_generator(seed, "mask"))
        hidden = 3 if left is None else left.count(None)
        assert known == pytest.approx(1 - hidden / 3)
        assert len(targets) == (1 if left is None else 3)
        counts[hidden] += 1
    assert all(abs(counts[hidden] - 300) < 4 * math.sqrt(200) for hidden in (1, 2, 3))


def test_targets_are_what_the_masks_hide():
    """Filling the targets into the masked places gives the architecture back."""
    for seed in range(40):
        widths = (24, 8, 16, 8)
        left, targets, _ = mask_architecture(widths, CONFIG, torch_generator(seed, "mask"))
        if left is None:
            assert [DEPTHS[targets[0]]] == [4]
            continue
        filled = [
            WIDTHS[target - len(DEPTHS)] if width is None else width
            for width, target in zip(left, targets[1:], strict=True)
        ]
        assert tuple(filled) == widths
        assert targets[0] == IGNORED


def test_loss_averages_over_masked_tokens_then_networks():
    """Uniform logits cost log V, whatever the number of masked tokens."""
    generator = torch_generator(0, "mask")
    batch = mask_batch([(8,), (16, 8), (8, 16, 24, 8)], CONFIG, generator)
    logits = torch.zeros(*batch.targets.shape, CONFIG.vocabulary_size)
    expected = math.log(CONFIG.vocabulary_size)
    assert float(architecture_loss(logits, batch.targets)) == pytest.approx(expected, rel=1e-5)
    wrong = logits.clone()
    wrong[batch.targets == IGNORED] = torch.randn(CONFIG.vocabulary_size) * 9
    assert float(architecture_loss(wrong, batch.targets)) == pytest.approx(expected, rel=1e-5)


def test_generated_architectures_are_of_the_vocabulary(model):
    """Valid whatever the seed, and all depths and widths occur."""
    generated = [generate(model, seed=seed) for seed in range(60)]
    assert {len(widths) for widths in generated} == set(DEPTHS)
    assert {width for widths in generated for width in widths} == set(WIDTHS)


def test_pattern_is_kept_and_filled(model):
    """Given widths stay, also ones outside the vocabulary; stars are filled; no star, no change."""
    for seed in range(10):
        first, middle, last = generate(model, (37, None, 100), seed=seed)
        assert (first, last) == (37, 100)
        assert middle in WIDTHS
    assert generate(model, (37, 5)) == (37, 5)


@pytest.mark.parametrize(
    "bounds",
    [
        ArchitectureBounds(max_params=400),
        ArchitectureBounds(max_macs=300),
        ArchitectureBounds(depth=2),
        ArchitectureBounds(max_params=500, depth=2),
    ],
)
def test_bounds_are_kept_exactly_and_everything_within_can_come(model, bounds):
    """No draw is outside, and every admitted architecture of one or two layers is drawn."""
    generated = {generate(model, bounds=bounds, seed=seed) for seed in range(150)}
    assert all(bounds.admit(INTERFACE.spec(widths)) for widths in generated)
    small = [(a,) for a in WIDTHS] + [(a, b) for a in WIDTHS for b in WIDTHS]
    admitted = {widths for widths in small if bounds.admit(INTERFACE.spec(widths))}
    assert admitted
    assert admitted <= generated


def test_bounds_count_parameters_and_multiplications():
    """By hand: 6 -> 8 -> 3 has 72 weights and 11 biases."""
    spec = INTERFACE.spec((8,))
    assert ArchitectureBounds(max_params=83, max_macs=72, depth=1).admit(spec)
    assert not ArchitectureBounds(max_params=82).admit(spec)
    assert not ArchitectureBounds(max_macs=71).admit(spec)
    assert not ArchitectureBounds(depth=2).admit(spec)


def test_bounds_that_nothing_meets_are_refused(model):
    """One line that names the bound."""
    with pytest.raises(UsageError, match="--max-params 10"):
        generate(model, bounds=ArchitectureBounds(max_params=10))
    with pytest.raises(UsageError, match="--max-macs 5"):
        generate(model, (8, None), ArchitectureBounds(max_macs=5))


def test_draws_follow_the_logits():
    """Frequencies among the allowed values are the renormalised probabilities (chi-square)."""
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0])
    allowed = [0, 1, 3]
    counts = Counter(draw(logits, allowed, torch_generator(k, "draw")) for k in range(2000))
    expected = 2000 * F.softmax(logits[allowed], dim=0)
    statistic = sum(
        (counts[k] - float(e)) ** 2 / float(e) for k, e in zip(allowed, expected, strict=True)
    )
    assert counts[2] == 0
    assert statistic < 13.8  # 0.999 quantile at two degrees of freedom


@pytest.mark.slow
def test_trained_on_a_distribution_it_generates_that_distribution():
    """Depths and widths, and that the second width follows the first, are learned (chi-square)."""
    training = [(8,)] * 3 + [(16, 24)] * 6 + [(24, 16)] * 3
    model = build_transformer(CONFIG, 0)
    optimizer = build_optimizer(model, 0.0)
    steps = 400
    for step in range(steps):
        generator = torch_generator(1, "train", step)
        chosen = torch.randint(len(training), (32,), generator=generator).tolist()
        masked = mask_batch([training[k] for k in chosen], CONFIG, generator)
        logits = model.architecture_logits(masked.batch, masked.t_arch)
        loss = architecture_loss(logits, masked.targets)
        optimise(optimizer, loss, 3e-3 * (1 - step / steps))
    counts = Counter(generate(model, seed=seed) for seed in range(360))
    expected = {(8,): 90, (16, 24): 180, (24, 16): 90}
    assert sum(counts[widths] for widths in expected) >= 352
    statistic = sum((counts[w] - e) ** 2 / e for w, e in expected.items())
    assert statistic < 18.4  # 0.9999 quantile at two degrees of freedom
