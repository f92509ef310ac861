"""Several processes train as one does: the same batches, the same losses, the same weights."""

import multiprocessing
import os
import socket
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from learning_examples import DEPTHS, DIMS, INTERFACE, RANGE, WIDTHS, make_demos, make_zoo

from nnit.architectures import sample_architecture
from nnit.artifacts.state import load_state
from nnit.cloning import cloning_data
from nnit.diffusion.batch import BatchRules
from nnit.diffusion.ema import Ema
from nnit.diffusion.predicted import PredictedCloning
from nnit.diffusion.step import DiffusionTrainingSettings
from nnit.diffusion.training import network_tokens, train_diffusion
from nnit.diffusion.transformer import TransformerConfig, build_transformer
from nnit.diffusion.typical import grid_of
from nnit.distributed import gathered, joined, of_first, signal_of_any, watched
from nnit.errors import RankLostError, UsageError
from nnit.ghn.model import GhnConfig, build_ghn
from nnit.ghn.training import GhnTrainingSettings, build_ghn_optimizer, train_ghn
from nnit.ppo.collect import explore
from nnit.ppo.training import (
    PpoSettings,
    build_learner,
    build_ppo_optimizer,
    no_scaling,
    train_ppo,
)
from nnit.progress import silent
from nnit.ranks import ALONE, Ranks, ranks_of
from nnit.tasks.registry import get_task
from nnit.tasks.task import TaskRef
from nnit.tokens.tokenizer import tokenize_zoo
from nnit.training import build_optimizer, model_arrays, prepare_torch, training_arrays
from stages.checkpoints import Run, find_state, follow
from stages.ghn_ppo import plain_interface
from stages.params import RunOptions

CART_POLE = TaskRef("gym:CartPole-v1")

pytestmark = pytest.mark.seconds


def diffusion(ranks):
    """Train a generator; its batches hold one network to four, so that shares may be empty."""
    prepare_torch()
    tokens, data = tokenize_zoo(make_zoo(DIMS), 4), cloning_data(make_demos())
    networks = [network_tokens(tokens, k) for k in range(len(tokens))]
    specs = tuple(tokens.spec(k) for k in range(len(tokens)))
    config = TransformerConfig(
        patch_size=4,
        width=16,
        depth=1,
        heads=2,
        arch_depths=DEPTHS,
        arch_widths=WIDTHS,
        num_branches=2,
        places=grid_of(networks),
    )
    model, branches = build_transformer(config, 0), [k % 2 for k in range(len(DIMS))]
    model.typical.fit(networks, [0] * len(DIMS), branches)
    held = PredictedCloning((data,) * len(DIMS), specs, torch.from_numpy(tokens.losses), 1.0, 16)
    ema, optimizer = Ema(model, 0.9), build_optimizer(model, 0.0)
    steps = train_diffusion(
        model,
        ema,
        optimizer,
        networks,
        DIMS,
        branches,
        DiffusionTrainingSettings(
            8, BatchRules(160), 3e-3, seed=5, autocast=False, mixed_share=0.5
        ),
        cloning=held,
        ranks=ranks,
    )
    told = [(step.loss, step.weight_error, step.arch_loss, step.cloning_loss) for step in steps]
    return told, {**training_arrays(model, optimizer), **ema.arrays("ema/")}


def hypernetwork(ranks):
    """Train a hypernetwork by cloning, of three architectures a step."""
    prepare_torch()
    ghn = build_ghn(GhnConfig("carrier", 16, 16), INTERFACE.obs_dim, INTERFACE.act_dim, 0)
    optimizer = build_ghn_optimizer(ghn, 0.01)
    steps = train_ghn(
        ghn,
        optimizer,
        replace(cloning_data(make_demos()), input_dropout=0.1),
        INTERFACE,
        partial(sample_architecture, training=RANGE),
        GhnTrainingSettings(6, 3, 32, 3e-3, seed=5),
        ranks=ranks,
    )
    return [step.loss for step in steps], training_arrays(ghn, optimizer)


def reinforced(ranks):
    """Train a hypernetwork by reinforcement, of three architectures an iteration."""
    prepare_torch()
    task = get_task(CART_POLE)
    ghn = build_ghn(GhnConfig("carrier", 16, 8), task.obs_dim, task.act_dim, 1)
    learner = build_learner(ghn, task.obs_dim, task.act_dim, 2)
    optimizer = build_ppo_optimizer(learner)
    steps = train_ppo(
        learner,
        optimizer,
        CART_POLE,
        plain_interface(task),
        no_scaling(task.obs_dim),
        partial(sample_architecture, training=RANGE),
        lambda units: [explore(unit) for unit in units],
        PpoSettings(2, 3, 60, 2, 2, 1e-3, 1e-3, 0.99, 0.95, 0.2, 0.01, seed=0),
        ranks=ranks,
    )
    return [step.mean_return for step in steps], model_arrays(learner)


def begin(ranks, port, function, ours):
    """Be a rank: meet the others, do what is asked and tell."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"RANK": str(ranks.rank), "WORLD_SIZE": str(ranks.size)}
    with joined(ranks, "cpu"):
        ours.send(function(ranks))


def in_ranks(function, size=2):
    """Return what a function of the ranks gives in each of several processes."""
    context = multiprocessing.get_context("forkserver")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pipes = [context.Pipe() for _ in range(size)]
    processes = [
        context.Process(target=begin, args=(Ranks(k, size), port, function, theirs))
        for k, (_, theirs) in enumerate(pipes)
    ]
    for process in processes:
        process.start()
    for _, theirs in pipes:
        theirs.close()
    found = [heard_of(ours) for ours, _ in pipes]
    for process in processes:
        process.join()
    return found


def heard_of(ours):
    """Return what a rank told; nothing of one that ended."""
    try:
        return ours.recv()
    except EOFError:
        return None


def assert_alike(found, expected):
    """Losses and all that the next step depends on agree to rounding."""
    for (told, arrays), (losses, others) in zip(found, expected, strict=True):
        np.testing.assert_allclose(
            np.array(told, float), np.array(losses, float), rtol=2e-4, atol=1e-6
        )
        assert arrays.keys() == others.keys()
        for name, array in arrays.items():
            np.testing.assert_allclose(array, others[name], rtol=2e-3, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("train", [diffusion, hypernetwork, reinforced])
def test_two_ranks_train_as_one_process_does(train):
    """To rounding; and the ranks' own weights are the same bits."""
    first, second = in_ranks(train)
    assert_alike([first], [train(ALONE)])
    assert first[0] == second[0]
    assert all(np.array_equal(first[1][name], second[1][name]) for name in first[1])


@pytest.mark.parametrize("train", [diffusion, hypernetwork, reinforced])
def test_a_batch_in_rounds_is_the_batch(train):
    """More rounds than some batches have rows."""
    assert_alike([train(replace(ALONE, rounds=4))], [train(ALONE)])


@pytest.mark.parametrize(("size", "rounds"), [(1, 1), (2, 3), (3, 2), (5, 1)])
def test_shares_of_all_ranks_are_all_rows_once(size, rounds):
    """However many rows there are; and the first round's are spread over all ranks."""
    for count in range(1, 12):
        shares = [Ranks(rank, size, rounds=rounds).shares(count) for rank in range(size)]
        rows = [row for own in shares for share in own for row in range(count)[share.rows]]
        assert sorted(rows) == list(range(count))
        assert [[share.is_last for share in own] for own in shares] == [
            [k + 1 == rounds for k in range(rounds)]
        ] * size
        assert sum(bool(range(count)[own[0].rows]) for own in shares) == min(count, size)


def talk(ranks):
    """Exchange values, lists and a signal that one rank was sent."""
    return (
        of_first(ranks, {"rank": ranks.rank}),
        gathered(ranks, [ranks.rank] * (1 + ranks.rank)),
        signal_of_any(ranks, 15 * ranks.rank),
    )


def test_ranks_tell_each_other():
    """All know the first one's value, everybody's list, and a signal of any."""
    assert in_ranks(talk) == [({"rank": 0}, [[0], [1, 1]], 15)] * 2
    assert talk(ALONE) == ({"rank": 0}, [[0]], 0)


def test_a_rank_is_what_torchrun_says():
    """Variables that others set are not enough."""
    said = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}
    assert ranks_of(said) == ALONE
    assert ranks_of({**said, "TORCHELASTIC_RUN_ID": "7"}) == Ranks(3, 4, 1)


def leave(ranks):
    """End, as the second rank; as the first one, return what that is taken for."""
    if ranks.rank == 1:
        os._exit(9)
    with pytest.raises(RankLostError) as caught:
        gathered(ranks, [1])
    return str(caught.value)


def test_the_end_of_a_rank_is_told_from_other_errors():
    """Torch has no type of its own for it."""
    assert in_ranks(leave) == ["another rank has ended", None]
    with pytest.raises(RuntimeError, match="shapes"), watched():
        raise RuntimeError("shapes do not match")


def look_for_state(ranks):
    """Look for a state to go on from, each rank with a key of its own; return what is said."""
    options = RunOptions(ranks=ranks)
    with pytest.raises(UsageError) as caught:
        find_state(Run(Path("nowhere"), f"key {ranks.rank}", options))
    return str(caught.value)


def test_ranks_that_were_not_started_alike_are_refused():
    """By all of them, because only the first one is heard."""
    line = "nowhere: other parameters, inputs or nnit than rank 0 has rank 1; start all alike"
    assert in_ranks(look_for_state) == [line] * 2


class Broken:
    """A training whose second step another rank's end breaks."""

    def __init__(self):
        self.weights = np.zeros(1, np.float32)

    def steps(self):
        """Finish a step, and begin another one."""
        self.weights += 1
        yield SimpleNamespace(step=1, loss=0.0)
        self.weights += 0.5
        raise RankLostError("another rank has ended")


@pytest.mark.parametrize("saves", [True, False])
def test_what_is_no_whole_step_is_not_saved(saves, tmp_path):
    """Where a step changes weights more than once, the last checkpoint is what there is."""
    training, out = Broken(), tmp_path / "out"
    run = Run(out, "key", RunOptions(device="cpu"))
    arrays = {"arrays": lambda: {"weights": training.weights}, "saves_when_lost": saves}
    with pytest.raises(RankLostError, match="state saved" if saves else "last checkpoint is kept"):
        follow(training.steps(), run, silent, total=9, every=5, state=None, **arrays)
    assert (load_state(out, "key") is not None) == saves
