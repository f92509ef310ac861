"""Schedule, optimiser step and state that the two trainings share."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from nnit.training import (
    build_optimizer,
    load_model_arrays,
    load_training_arrays,
    model_arrays,
    one_cycle,
    optimise,
    precision_of,
    training_arrays,
)

pytestmark = pytest.mark.seconds


def small_model(seed: int = 0) -> nn.Module:
    """Return a small network."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 8), nn.SiLU(), nn.Linear(8, 2))


def take_steps(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    """Fit noise that depends on the step alone."""
    for step in steps:
        x = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
        optimise(optimizer, (model(x) - x[:, :2]).square().mean(), one_cycle(step, 20, 0.01))


def test_one_cycle_by_hand():
    """Begins at peak / 25, is the peak after 30 %, half of it half-way down, and ends at 0."""
    assert one_cycle(0, 100, 0.5) == pytest.approx(0.02)
    assert one_cycle(30, 100, 0.5) == pytest.approx(0.5)
    assert one_cycle(65, 100, 0.5) == pytest.approx(0.25)
    assert one_cycle(100, 100, 0.5) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("total", [1, 2, 3, 10, 1000])
def test_one_cycle_rises_then_falls(total):
    """It grows to the peak, shrinks after it, and every step takes a positive rate."""
    rates = [one_cycle(step, total, 1.0) for step in range(total)]
    top = int(np.argmax(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert 0 < min(rates) <= max(rates) <= 1


STEPS_OF_A_WIDE_NETWORK = """
import hashlib, torch
from torch import nn
from nnit import training

training.prepare_torch()
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 512), nn.SiLU(), nn.LayerNorm(512), nn.Linear(512, 64))
optimizer, x = training.build_optimizer(model, 0.0), torch.randn(2048, 64)
for _ in range(3):
    training.optimise(optimizer, (model(x) - x).square().mean(), 1e-3)
content = b"".join(array.tobytes() for array in training.model_arrays(model).values())
print(torch.get_num_threads(), hashlib.sha256(content).hexdigest())
"""


def test_bytes_of_a_training_do_not_depend_on_the_cores_that_it_may_use():
    """One thread or five by the environment, every core or one alone: one thread, the same sums."""
    one_core = {next(iter(os.sched_getaffinity(0)))}
    found = [
        subprocess.run(
            [sys.executable, "-c", STEPS_OF_A_WIDE_NETWORK],
            env={**os.environ, "OMP_NUM_THREADS": threads},
            preexec_fn=(lambda: os.sched_setaffinity(0, one_core)) if pinned else None,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads, pinned in (("1", False), ("5", False), ("5", True))
    ]
    assert found[0].startswith("1 ")
    assert found[1:] == found[:1] * 2


def test_optimise_clips_the_gradient_to_norm_one():
    """However steep the loss, plain gradient descent moves by the learning rate."""
    model = small_model()
    before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    optimise(optimizer, 1e6 * model(torch.ones(1, 4)).sum(), 0.25)
    moved = nn.utils.parameters_to_vector(model.parameters()).detach() - before
    assert float(moved.norm()) == pytest.approx(0.25, rel=1e-4)


def test_reloaded_training_goes_on_bit_for_bit():
    """Five steps, saved and loaded into fresh objects, then five more: as ten at once."""
    straight, again = small_model(), small_model()
    optimizer = build_optimizer(straight, 0.01)
    take_steps(straight, optimizer, range(10))

    first = build_optimizer(again, 0.01)
    take_steps(again, first, range(5))
    saved = training_arrays(again, first)
    resumed = small_model(seed=7)
    second = build_optimizer(resumed, 0.01)
    load_training_arrays(resumed, second, saved)
    take_steps(resumed, second, range(5, 10))

    ours, expected = training_arrays(resumed, second), training_arrays(straight, optimizer)
    assert ours.keys() == expected.keys()
    assert all(np.array_equal(ours[name], expected[name]) for name in expected)


def test_without_the_optimiser_state_the_next_step_differs():
    """The test above would notice a state that is not restored."""
    model, fresh = small_model(), small_model(seed=7)
    optimizer = build_optimizer(model, 0.01)
    take_steps(model, optimizer, range(5))
    load_model_arrays(fresh, model_arrays(model))
    take_steps(model, optimizer, range(5, 6))
    take_steps(fresh, build_optimizer(fresh, 0.01), range(5, 6))
    ours, expected = model_arrays(fresh), model_arrays(model)
    assert not any(np.array_equal(ours[name], expected[name]) for name in expected)


def test_saved_arrays_do_not_change_with_training():
    """They are copies; so is what is loaded from them."""
    model = small_model()
    optimizer = build_optimizer(model, 0.0)
    take_steps(model, optimizer, range(2))
    saved = training_arrays(model, optimizer)
    kept = {name: array.copy() for name, array in saved.items()}
    load_training_arrays(model, optimizer, saved)
    take_steps(model, optimizer, range(2, 4))
    assert all(np.array_equal(saved[name], kept[name]) for name in kept)


def test_arrays_of_another_model_are_refused():
    """A missing name and another shape are errors, not a half-loaded model."""
    arrays = model_arrays(small_model())
    with pytest.raises(RuntimeError, match="Missing key"):
        load_model_arrays(small_model(), {k: v for k, v in arrays.items() if k != "0.bias"})
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_model_arrays(small_model(), {**arrays, "0.bias": np.zeros(9, np.float32)})


@pytest.mark.parametrize(
    ("precision", "device", "instructions", "expected"),
    [
        ("float32", "cuda:0", "amx_bf16", "float32"),
        ("float32", "cpu", "amx_bf16", "float32"),
        ("bfloat16", "cpu", "avx2", "bfloat16"),
        ("auto", "cuda:0", "avx2", "bfloat16"),
        ("auto", "cpu", "amx_bf16", "bfloat16"),
        ("auto", "cpu", "avx512_bf16", "bfloat16"),
        ("auto", "cpu", "avx2", "float32"),
    ],
)
def test_precision_follows_the_flag_then_the_hardware(
    monkeypatch, precision, device, instructions, expected
):
    """A named precision is taken as it is; ``auto`` asks for a GPU or bfloat16 products."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {instructions: True})
    assert precision_of(precision, device) == expected


def test_a_cpu_that_names_no_capabilities_computes_in_float32(monkeypatch):
    """Other processors do not list the capability at all."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert precision_of("auto", "cpu") == "float32"
