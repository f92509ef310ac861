"""Codes of units: one core of a layer, put into the terms of each of its patches."""

from dataclasses import replace

import pytest
import torch
from learning_examples import DEPTHS, INTERFACE, WIDTHS, stirred

from nnit.diffusion.batch import collate
from nnit.diffusion.codes import UnitCodes
from nnit.diffusion.predicted import layers_of
from nnit.diffusion.sides import even_sides
from nnit.diffusion.transformer import TransformerConfig, build_transformer
from nnit.diffusion.typical import PlaceGrid

GRID = PlaceGrid(depth=3, rows=6, columns=6)  # of DIMS in patches of 4
PATCH, RANK, WIDTH = 4, 3, 5
CONFIG = TransformerConfig(4, DEPTHS, WIDTHS, width=16, depth=1, heads=2, places=GRID)


def codes_of(num_tasks=1, num_branches=2, grid=GRID):
    """Return codes with no zeros among them."""
    torch.manual_seed(0)
    sides = (even_sides(owners, *grid[1:]) for owners in (num_tasks, num_branches))
    return stirred(UnitCodes(*sides, PATCH, RANK, WIDTH))


def said(batch):
    """Return the same channels for all tokens, as a layer's core is."""
    return torch.linspace(-1, 1, WIDTH).expand(*batch.real.shape, WIDTH)


def units(side, kind, branch, count):
    """Return the codes ``(count, RANK)`` of the first units of a side, one by one."""
    codes = side.tasks[0, kind] + side.branches[branch, kind]
    return torch.stack(
        [codes[unit // PATCH].view(PATCH, RANK)[unit % PATCH] for unit in range(count)]
    )


def test_a_layer_is_its_core_between_the_codes_of_its_units(networks):
    """Patches joined to matrices are ``U C V'`` of whole layers; biases have nothing of it."""
    codes = codes_of()
    for tokens, dims in ((networks[1], (16, 8)), (networks[2], (7, 9, 3))):
        spec = INTERFACE.spec(dims)
        batch = collate([tokens], branches=[1])
        content = (codes(said(batch), batch) * batch.mask)[0]
        core = codes.core(said(batch)[0, 0]).view(RANK, RANK)
        for index, (layer, shape) in enumerate(
            zip(layers_of(spec, content), spec.layers, strict=True)
        ):
            rows = units(codes.rows, int(index == len(dims)), 1, shape.fan_out)
            columns = units(codes.columns, int(index == 0), 1, shape.fan_in)
            torch.testing.assert_close(layer.weight, rows @ core @ columns.T)
            assert not layer.bias.any()


def test_units_that_no_training_network_has_say_nothing(networks):
    """Nor are they said anything: patches beyond the grid are zero, all others are not."""
    small = codes_of(grid=PlaceGrid(3, 2, 3))
    batch = collate(networks)
    row, column = batch.cell.unbind(-1)
    found = small(said(batch), batch).any(dim=-1)
    assert torch.equal(found, (row < 2) & (column < 3))


def test_codes_are_those_of_the_task_and_between_those_of_the_branches(networks):
    """Tasks have codes of their own; a unit between two branches has a code between theirs."""
    codes = codes_of(num_tasks=2)
    kinds = [{0: 1.0}, {1: 1.0}, {0: 0.25, 1: 0.75}]
    row, outer = torch.zeros(3, 1, dtype=torch.int64), torch.zeros(3, 1, dtype=torch.bool)
    batch = collate(networks[:1] * 3, branches=kinds, tasks=[0] * 3)
    first, second, mixed = codes.rows(row, outer, batch)
    torch.testing.assert_close(mixed, 0.25 * first + 0.75 * second)
    other = codes.rows(row, outer, batch._replace(task=torch.ones(3, dtype=torch.int64)))
    assert not torch.isclose(other[0], first).any()


def test_at_first_codes_say_nothing_and_then_they_learn(networks):
    """The untrained transformer is the one without; a step down the loss moves core and codes."""
    model = build_transformer(replace(CONFIG, rank=RANK, num_branches=2), 0)
    batch, ones = collate(networks, branches=[1] * len(networks)), torch.ones(len(networks))
    assert torch.equal(model(batch, ones, 0 * ones), model.typical(batch))
    model = stirred(model).requires_grad_()
    model(batch, ones, 0 * ones).square().sum().backward()
    for name, parameter in model.codes.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


@pytest.mark.parametrize(
    "fields", [{"rank": -1}, {"rank": 257}, {"typical_rank": 257}, {"rank": 4, "places": None}]
)
def test_impossible_ranks_are_refused(fields):
    """Negative, too large, or without places."""
    with pytest.raises(ValueError, match="ranks must be within"):
        replace(CONFIG, **fields)


def test_configuration_from_before_there_were_codes_is_as_it_was():
    """Nothing is said of a rank where there is none."""
    assert "rank" not in CONFIG.as_dict()
    coded = replace(CONFIG, rank=RANK)
    assert TransformerConfig(**coded.as_dict()) == coded
