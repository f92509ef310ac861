"""The command that measures the sampler's path runs on a pipeline's artifacts."""

import json
import sys

import pytest
from tiny_pipeline import HELD_OUT, PARAMS_NAME

from benchmarks import sampler_path
from nnit.artifacts.tokens import read_tokens
from nnit.mlp import format_architecture

pytestmark = [pytest.mark.slow, pytest.mark.sim]


def test_figures_are_of_both_paths_and_of_every_number_of_steps(pipeline, tmp_path, monkeypatch):
    """At noise both paths are one; shapes are new, and one step's samples of a branch are one."""
    out = tmp_path / "path.json"
    words = [str(pipeline), str(out), "--params", str(pipeline / PARAMS_NAME)]
    words += ["--networks", "2", "--shapes", "2", "--samples", "2"]
    monkeypatch.setattr(sys, "argv", ["sampler_path", *words])
    sampler_path.main()
    figures = json.loads(out.read_text())
    assert len(figures["paths"]) == 2
    for path in figures["paths"]:
        assert path["own"][0] == path["true"][0]
        assert len(path["own"]) == len(path["true"]) == sampler_path.PATH_STEPS
    tokens, _ = read_tokens(pipeline / "tokens")
    known = {format_architecture(dims) for dims in (*tokens.architectures, *HELD_OUT)}
    for shape in figures["shapes"]:
        assert shape["shape"] not in known
        assert set(shape["losses"]) == {str(steps) for steps in sampler_path.STEPS}
        assert all(len(losses) == 4 for losses in shape["losses"].values())
        assert shape["distance_within_branch"]["1"] < 1e-6
        assert shape["distance_across_branches"]["1"] > 0
