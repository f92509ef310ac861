"""The same inputs, parameters and seed give the same bytes, however many workers there are."""

import pytest
import torch
from tiny_pipeline import COMMANDS, TRAININGS, content, digest, names, run, tree

from nnit.artifacts.reading import open_artifact

RANDOM = ("demos", "ghn-train", "zoo-export", "diffuse-train", "flat-train", "sample")

pytestmark = [pytest.mark.slow, pytest.mark.sim]


@pytest.mark.parametrize("name", COMMANDS)
def test_second_run_gives_the_same_bytes(name, pipeline, tmp_path):
    """Every file is the same the second time, with two workers, and whatever torch was set to."""
    torch.set_num_threads(3)
    out = tmp_path / "again"
    run(name, pipeline, out, workers=2)
    assert tree(out) == tree(pipeline / COMMANDS[name].kind)
    assert names(tmp_path) == ["again"]


@pytest.mark.parametrize("name", RANDOM)
def test_another_seed_gives_another_result(name, pipeline, tmp_path):
    """The seed reaches the data of every stage that draws numbers, not the manifest alone."""
    out, first = tmp_path / "other", pipeline / COMMANDS[name].kind
    run(name, pipeline, out, seed=1)
    assert content(out) != content(first)
    assert digest(out) != digest(first)


def test_cutting_into_tokens_draws_nothing(pipeline, tmp_path):
    """With another seed, tokens differ in what the manifest says of the seed alone."""
    run("tokenize", pipeline, tmp_path / "other", seed=1)
    assert content(tmp_path / "other") == content(pipeline / "tokens")


@pytest.mark.parametrize("name", TRAININGS)
def test_the_precision_that_was_used_is_written(name, pipeline):
    """What "auto" stands for depends on the machine, and so do the numbers."""
    params = open_artifact(pipeline / COMMANDS[name].kind).manifest.params
    assert params["precision"] in ("float32", "bfloat16")
