"""Train one model in several processes, each with its share of every batch.

What is drawn for a step is what one process draws; each rank computes its rows. Gradients are
averaged by DistributedDataParallel. So the number of ranks, and of rounds in which a rank computes
its share, changes no more than the last bits of a training, and a run may go on with others.

Source: Li et al. 2020, "PyTorch Distributed: Experiences on accelerating data parallel training"
(arXiv:2006.15704).
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from nnit.errors import RankLostError
from nnit.ranks import Ranks

OF_LOST_RANKS = ("gloo", "NCCL", "TCPStore", "onnection")  # in torch's words, which have no type

Value = TypeVar("Value")


@contextmanager
def joined(ranks: Ranks, device: str) -> Iterator[None]:
    """Have the ranks find each other as torchrun says, and part in the end.

    Args:
        ranks: Which one this is; a single one needs no others.
        device: Where it computes. NCCL carries what is on GPUs, Gloo the rest.

    Raises:
        RankLostError: another rank has ended.
    """
    if ranks.size == 1:
        yield
        return
    if device != "cpu":
        torch.cuda.set_device(device)
    with watched():
        dist.init_process_group("gloo" if device == "cpu" else "cpu:gloo,cuda:nccl")
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def watched() -> Iterator[None]:
    """Tell apart what the end of another rank breaks here.

    Raises:
        RankLostError: it did.
    """
    try:
        yield
    except RuntimeError as error:
        if any(word in str(error) for word in OF_LOST_RANKS):
            raise RankLostError("another rank has ended") from error
        raise


def wrap(ranks: Ranks, module: nn.Module) -> nn.Module:
    """Return a module whose gradients are averaged over ranks; itself where there is one.

    DistributedDataParallel waits for the gradient of every parameter: see ``touching``.
    """
    if ranks.size == 1:
        return module
    with watched():
        return DistributedDataParallel(module, forward_sync_buffers=False)


def touching(module: nn.Module) -> Tensor:
    """Return 0, made of all parameters of a module: a rank's rows may not need them all."""
    parameters = [one for one in module.parameters() if one.requires_grad]
    return torch.stack([0.0 * parameter.sum() for parameter in parameters]).sum()


def descend(ranks: Ranks, wrapped: nn.Module, count: int, *given: object) -> Tensor:
    """Add up the gradients of a rank's rounds, and those of all ranks.

    Args:
        ranks: Which one this is.
        wrapped: What ``wrap`` returned. It takes a share of the batch, and what is given. It
            returns what is minimised, times the number of ranks, and figures; both add up over
            rounds, and figures over ranks too.
        count: Rows of the batch.
        given: The batch.

    Returns:
        The figures of all rounds and ranks.

    Raises:
        RankLostError: another rank has ended; the gradients are of no use.
    """
    figures = torch.zeros(())
    with watched() if ranks.size > 1 else nullcontext():
        for share in ranks.shares(count):
            with nullcontext() if share.is_last else apart(wrapped):
                loss, found = wrapped(share, *given)
                loss.backward()
            figures = found + figures
    return total(ranks, figures)


def apart(wrapped: nn.Module) -> AbstractContextManager[None]:
    """Keep gradients to the rank for now."""
    if isinstance(wrapped, DistributedDataParallel):
        return wrapped.no_sync()  # type: ignore[no-any-return]
    return nullcontext()


def total(ranks: Ranks, values: Tensor) -> Tensor:
    """Return the sum of a tensor over ranks.

    Raises:
        RankLostError: another rank has ended.
    """
    if ranks.size > 1:
        with watched():
            dist.all_reduce(values)
    return values


def signal_of_any(ranks: Ranks, number: int) -> int:
    """Return the signal that any rank was sent: they may come at different steps.

    Raises:
        RankLostError: another rank has ended.
    """
    if ranks.size == 1:
        return number
    highest = torch.tensor(number)
    with watched():
        dist.all_reduce(highest, dist.ReduceOp.MAX)
    return int(highest)


def gathered(ranks: Ranks, values: Sequence[Value]) -> list[list[Value]]:
    """Return the values of each rank, the first one's first; they are pickled.

    Raises:
        RankLostError: another rank has ended.
    """
    if ranks.size == 1:
        return [list(values)]
    found: list[list[Value]] = [[] for _ in range(ranks.size)]
    with watched():
        dist.all_gather_object(found, list(values))
    return found


def of_first(ranks: Ranks, value: Value) -> Value:
    """Return what the first rank gave; what others give doesn't count.

    Raises:
        RankLostError: another rank has ended.
    """
    if ranks.size == 1:
        return value
    box = [value]
    with watched():
        dist.broadcast_object_list(box, src=0)
    return box[0]
