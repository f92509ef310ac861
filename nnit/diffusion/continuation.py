"""Go on from a trained transformer, with tasks that it does not know."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nnit.diffusion.codes import SideCodes
from nnit.diffusion.factors import FactoredPatches, LayerFactors
from nnit.diffusion.transformer import DiffusionTransformer, TaskPlace, TransformerConfig
from nnit.diffusion.typical import TypicalPatches

SIZES = (
    "patch_size",
    "width",
    "depth",
    "heads",
    "rank",
    "typical_rank",
)  # that both need to have alike
# Tensors with a row for each task, branch or value of an architecture token; all others have the
# same shape in every transformer of the same sizes.
ROWS = (
    "task_in.weight",
    "branch_in.weight",
    "arch_out.weight",
    "arch_out.bias",
    "typical.table",
    "typical.branches",
    *(
        f"typical.{owners}.{name}"
        for owners in ("tasks", "branches")
        for name in ("rows", "columns", "cores", "biases")
    ),
    "codes.rows.tasks",
    "codes.rows.branches",
    "codes.columns.tasks",
    "codes.columns.branches",
)
LOGITS = "arch_out.up"  # of a product beside what gives each value of an architecture token a logit


class KnownTask(NamedTuple):
    """A task that the old transformer knows and the new one goes on with."""

    old: TaskPlace
    new: TaskPlace


def different_sizes(old: TransformerConfig, new: TransformerConfig) -> list[str]:
    """Return the names of the sizes that keep the new transformer from going on from the old."""
    names = [name for name in SIZES if getattr(old, name) != getattr(new, name)]
    return names + ["places"] * ((old.places is None) != (new.places is None))


@torch.no_grad()
def go_on_from(
    old: DiffusionTransformer,
    new: DiffusionTransformer,
    known: Sequence[KnownTask],
    *,
    is_trained: bool = True,
) -> None:
    """Give a fresh transformer what a trained one has learnt, in place.

    Of a known task the new transformer then predicts the very weights that the old one does: all
    shared tensors are the old ones, and so are the task's rows. An old transformer that told no
    tasks apart added nothing for its task, so that the task's row is zero; a new one that tells
    none apart adds the row to every branch instead. Values of architecture tokens keep their
    logits, and places of a known task what was typical of them. Rows of what the old one does not
    know stay fresh.

    Args:
        old: The trained transformer.
        new: A fresh one.
        known: The tasks that both have.
        is_trained: Whether these will be trained on, or stay as they are beside what is added.

    Raises:
        ValueError: the two have different sizes.
    """
    if names := different_sizes(old.config, new.config):
        raise ValueError(f"different in {', '.join(names)}")
    ours, theirs = new.state_dict(), old.state_dict()
    for name in ours.keys() - set(ROWS):
        ours[name].copy_(theirs[name])
    _copy_vocabulary(old, new)
    if old.config.num_branches and new.config.num_branches:
        _copy_branches(old, new, known)
    for task in known:
        if old.config.places is not None:
            _copy_typical(old, new, task)
        if old.config.rank:
            _copy_codes(new.codes.rows, old.codes.rows, task, is_trained=is_trained)
            _copy_codes(new.codes.columns, old.codes.columns, task, is_trained=is_trained)
        row = old.task_in.weight[task.old.task] if old.config.num_tasks else 0.0
        if new.config.num_tasks:
            new.task_in.weight[task.new.task] = row
        elif new.config.num_branches:
            new.branch_in.weight += row


def with_vocabulary(
    beside: Mapping[str, np.ndarray], old: TransformerConfig, new: TransformerConfig
) -> dict[str, np.ndarray]:
    """Return the products of an earlier addition for a transformer that knows further values.

    Args:
        beside: By name, as ``split`` gives them.
        old: Of the transformer that they were trained beside.
        new: Of the other, which knows all values of the old one. Rows of further ones are zero.
    """
    up, places = beside[LOGITS], {value: row for row, value in enumerate(_vocabulary(new))}
    ours = np.zeros((len(places), up.shape[1]), up.dtype)
    ours[[places[value] for value in _vocabulary(old)]] = up
    return {**beside, LOGITS: ours}


def _copy_branches(
    old: DiffusionTransformer, new: DiffusionTransformer, known: Sequence[KnownTask]
) -> None:
    """Copy the rows of the known tasks' branches, and that of a branch that is not said."""
    for task in known:  # whose zoo may have fewer or more branches than before
        for ours, theirs in zip(task.new.branches, task.old.branches, strict=False):
            new.branch_in.weight[ours] = old.branch_in.weight[theirs]
    new.branch_in.weight[-1] = old.branch_in.weight[-1]


def _copy_typical(old: DiffusionTransformer, new: DiffusionTransformer, task: KnownTask) -> None:
    """Copy what is typical of a known task's places; of those that the old one lacks, nothing is.

    Layers of shallow networks come first among places, so that grids of two depths begin alike.
    """
    ours, theirs = new.typical, old.typical
    if isinstance(ours, FactoredPatches) and isinstance(theirs, FactoredPatches):
        _copy_factors(ours.tasks, theirs.tasks, [task.new.task], [task.old.task])
        if ours.num_branches:
            _copy_factors(ours.branches, theirs.branches, task.new.branches, task.old.branches)
        return
    assert isinstance(ours, TypicalPatches)
    assert isinstance(theirs, TypicalPatches)
    _copy_common(ours.by_place()[task.new.task], theirs.by_place()[task.old.task])
    for branch in task.new.branches:
        ours.by_branch()[branch] = 0
    for mine, known in zip(task.new.branches, task.old.branches, strict=False):
        _copy_common(ours.by_branch()[mine], theirs.by_branch()[known])


def _copy_factors(
    ours: LayerFactors, theirs: LayerFactors, mine: Sequence[int], known: Sequence[int]
) -> None:
    """Copy the factors of known owners; those of ours that the old one lacks are nothing."""
    for owner in mine:
        for factor in ours.of(owner):
            factor.zero_()
    for owner, other in zip(mine, known, strict=False):
        for factor, their_factor in zip(ours.of(owner), theirs.of(other), strict=True):
            _copy_common(factor, their_factor)


def _copy_codes(ours: SideCodes, theirs: SideCodes, task: KnownTask, *, is_trained: bool) -> None:
    """Copy the codes of the units that both have of a known task.

    Further units keep their own, if the task is trained on; else they have none, as before.
    """
    pairs = [(ours.of_task(task.new.task), theirs.of_task(task.old.task))]
    for mine, known in zip(task.new.branches, task.old.branches, strict=False):
        pairs.append((ours.of_branch(mine), theirs.of_branch(known)))
    for our_kinds, their_kinds in pairs:
        for rows, their_rows in zip(our_kinds, their_kinds, strict=True):
            common = slice(min(len(rows), len(their_rows)))
            rows[common] = their_rows[common]
            if not is_trained:
                rows[len(their_rows) :] = 0


def _copy_common(ours: Tensor, theirs: Tensor) -> None:
    """Copy what two tables have both; nothing else of ours stays."""
    common = tuple(slice(min(sizes)) for sizes in zip(ours.shape, theirs.shape, strict=True))
    ours.zero_()
    ours[common] = theirs[common]


def _copy_vocabulary(old: DiffusionTransformer, new: DiffusionTransformer) -> None:
    """Copy what turns the last layer into logits of depths and widths, value by value."""
    theirs = {value: index for index, value in enumerate(_vocabulary(old.config))}
    for index, value in enumerate(_vocabulary(new.config)):
        if value in theirs:
            new.arch_out.weight[index] = old.arch_out.weight[theirs[value]]
            new.arch_out.bias[index] = old.arch_out.bias[theirs[value]]


def _vocabulary(config: TransformerConfig) -> list[tuple[str, int]]:
    depths = [("depth", depth) for depth in config.arch_depths]
    return depths + [("width", width) for width in config.arch_widths]
