"""A further task for a trained transformer, with whatever it knew before left as it was.

Beside every matrix of the trained one the task has a product of low rank, and rows of its own in
the tables of tasks and branches. Nothing else is trained, so that other tasks, asked for without
the products, get the very networks that they got before.

Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models" (arXiv:2106.09685).
"""

import copy
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from nnit.diffusion.transformer import DiffusionTransformer

Arrays = Mapping[str, np.ndarray]
TABLES = (  # with rows of tasks and branches, which no two tasks share
    "task_in.weight",
    "branch_in.weight",
    "codes.rows.tasks",
    "codes.rows.branches",
    "codes.columns.tasks",
    "codes.columns.branches",
)
BESIDE = ".parametrizations.weight.0."  # in the name of a factor while it is trained
ORIGINAL = ".parametrizations.weight.original"


class Product(nn.Module):
    """A matrix beside another: ``up @ down``, zero at first.

    Args:
        matrix: The other one, ``(rows, columns)``.
        rank: Columns of ``up``.
    """

    def __init__(self, matrix: Tensor, rank: int) -> None:
        super().__init__()
        rows, columns = matrix.shape
        self.up = nn.Parameter(torch.zeros(rows, rank))
        self.down = nn.Parameter(torch.randn(rank, columns) * columns**-0.5)

    def forward(self, matrix: Tensor) -> Tensor:
        """Return the sum of both."""
        return matrix + self.up @ self.down


def matrices_of(model: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """Yield the layers of a model that products are put beside, by name."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            yield name, module


def train_beside(model: DiffusionTransformer, rank: int, seed: int) -> None:
    """Put products beside the matrices of a transformer, in place, and leave them alone to train.

    Of its tables all rows may be trained: those of tasks and branches that no network is of have
    no gradient. The row of a branch that is not said is every task's, and is held.

    Args:
        model: The trained one, with rows for what is new.
        rank: Of the products; that of a smaller matrix is its own.
        seed: Of what they are at first.
    """
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and name in TABLES)
    if model.config.num_branches:
        model.branch_in.weight.register_hook(_without_last)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _, layer in matrices_of(model):
            product = Product(layer.weight, min(rank, *layer.weight.shape))
            parametrize.register_parametrization(layer, "weight", product)


def _without_last(gradient: Tensor) -> Tensor:
    held = gradient.clone()
    held[-1] = 0
    return held


def split(arrays: Arrays) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the arrays of a transformer, and of the products that were trained beside it.

    Args:
        arrays: By name, after ``train_beside``.
    """
    beside = {name.replace(BESIDE, "."): array for name, array in arrays.items() if BESIDE in name}
    model = {
        name.replace(ORIGINAL, ".weight"): array
        for name, array in arrays.items()
        if BESIDE not in name
    }
    return model, beside


def check_products(model: DiffusionTransformer, beside: Arrays) -> None:
    """Make sure that products are those of a transformer's matrices.

    Raises:
        ValueError: one is missing, superfluous or of another shape.
    """
    factors = dict(beside)
    for name, layer in matrices_of(model):
        up, down = (factors.pop(f"{name}.{part}", np.empty(0)).shape for part in ("up", "down"))
        rows, columns = layer.weight.shape
        if (up[:1], down[1:], up[1:]) != ((rows,), (columns,), down[:1]):
            raise ValueError(f"{name}: products of {up} and {down} beside {(rows, columns)}")
    if factors:
        raise ValueError(f"{min(factors)}: beside no matrix")


@torch.no_grad()
def adapted(model: DiffusionTransformer, beside: Arrays) -> DiffusionTransformer:
    """Return a copy of a transformer with products added to its matrices."""
    changed = copy.deepcopy(model)
    for name, layer in matrices_of(changed):
        up, down = (torch.from_numpy(beside[f"{name}.{part}"]) for part in ("up", "down"))
        layer.weight += (up @ down).to(layer.weight)
    return changed
