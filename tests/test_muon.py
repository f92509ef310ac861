"""Muon beside AdamW: orthogonal steps for matrices, and state that goes on exactly."""

import numpy as np
import pytest
import torch
from torch import nn

from nnit.muon import RATE, SIZE, MuonAdamW, orthogonalise
from nnit.training import load_training_arrays, one_cycle, optimise, training_arrays

DECAY = 0.01


def drawn(*shape: int) -> torch.Tensor:
    """Return standard normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def fresh(seed: int = 0) -> tuple[nn.Module, MuonAdamW]:
    """Return a small network whose middle matrix is Muon's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(4, 8), nn.SiLU(), nn.Linear(8, 6), nn.Linear(6, 2))
    hidden = [model.get_parameter("2.weight")]
    others = [p for p in model.parameters() if p is not hidden[0]]
    return model, MuonAdamW(hidden, others, DECAY)


def take_steps(model: nn.Module, optimizer: MuonAdamW, steps: range) -> None:
    """Fit noise that depends on the step alone."""
    for step in steps:
        x = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
        rate = one_cycle(step, 20, 0.01)
        optimise(optimizer, (model(x) - x[:, :2]).square().mean(), rate, rate)


@pytest.mark.parametrize("shape", [(6, 6), (40, 6), (6, 40)])
def test_orthogonalised_matrix_keeps_its_directions_and_loses_their_sizes(shape):
    """Singular vectors stay; singular values of 1 to 100 are all about 1."""
    u, _, v = torch.linalg.svd(drawn(*shape), full_matrices=False)
    sizes = torch.logspace(0, 2, 6)
    found = orthogonalise(u @ torch.diag(sizes) @ v)
    mixed = u.T @ found @ v.T
    assert mixed.diagonal().min() > 0.6
    assert mixed.diagonal().max() < 1.3
    assert (mixed - torch.diag(mixed.diagonal())).abs().max() < 0.01


def test_orthogonalised_matrix_is_that_of_the_plain_iteration():
    """Iterating on the Gram matrix computes the same polynomial of the matrix."""
    matrix = drawn(30, 8)
    x = (matrix / matrix.norm()).double()
    for _ in range(5):
        gram = x.T @ x
        x = x @ (3.4445 * torch.eye(8) - 4.775 * gram + 2.0315 * gram @ gram)
    torch.testing.assert_close(orthogonalise(matrix), x.float(), atol=1e-3, rtol=0)


def test_first_step_by_hand():
    """Decay, then the orthogonalised gradient, as long as a step of AdamW."""
    model, optimizer = fresh()
    weight = model.get_parameter("2.weight")
    before, loss = weight.detach().clone(), model(drawn(16, 4)).square().mean()
    (gradient,) = torch.autograd.grad(loss, weight, retain_graph=True)
    optimise(optimizer, loss, 0.01, 0.01)
    step = SIZE * RATE * 0.01 * 8**0.5 * orthogonalise(gradient)
    torch.testing.assert_close(weight.detach(), before * (1 - RATE * 0.01 * DECAY) - step)


def test_all_other_parameters_move_as_with_adamw():
    """Where the gradient of the middle matrix is not clipped with theirs."""
    model, optimizer = fresh()
    plain, _ = fresh()
    names = [name for name, _ in plain.named_parameters() if name != "2.weight"]
    adamw = torch.optim.AdamW(
        [plain.get_parameter(name) for name in names], lr=0.0, weight_decay=DECAY, fused=True
    )
    x = drawn(16, 4)
    optimise(optimizer, (model(x) - 1).square().mean(), 0.01, 0.01)
    optimise(adamw, (plain(x) - 1).square().mean(), 0.01)
    for name in names:
        assert torch.equal(model.get_parameter(name), plain.get_parameter(name))


def test_resumed_training_equals_the_uninterrupted_one():
    """Both optimisers' state is in the arrays: the same bits as without a stop."""
    straight, optimizer = fresh()
    take_steps(straight, optimizer, range(20))
    stopped, first = fresh()
    take_steps(stopped, first, range(7))
    resumed, second = fresh(seed=1)
    load_training_arrays(resumed, second, training_arrays(stopped, first))
    take_steps(resumed, second, range(7, 20))
    ours, expected = training_arrays(resumed, second), training_arrays(straight, optimizer)
    assert ours.keys() == expected.keys()
    assert all(np.array_equal(ours[name], expected[name]) for name in expected)
