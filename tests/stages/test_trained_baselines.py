"""Networks that are trained as baselines: cloned, cut out of one, asked again, tuned."""

from pathlib import Path

import numpy as np
import pytest
from tiny_pipeline import (
    HELD_OUT,
    PARAMS,
    PARAMS_NAME,
    Recorder,
    digest,
    names,
    tree,
    with_section,
)

from nnit.artifacts.samples import read_samples
from nnit.errors import InterruptedRunError, UsageError
from nnit.ghn.model import load_ghn, write_networks
from nnit.growing import grow_network, plan_growth
from nnit.mlp import Network
from nnit.zoo.export import BranchUnit, plan_members, train_branch, write_members
from nnit_cli.main import main
from stages import trained_baseline
from stages.hypernetwork import load_hypernetwork
from stages.params import RunOptions
from stages.zoo_export import export_settings

SEED = RunOptions().seed
FEW = with_section(PARAMS, "baseline", samples=2, clone_steps=4)


def make(method: str, source: Path, out: Path, *dims, params=FEW, progress=None, **options):
    """Run the stage."""
    ghn = source / "ghn" if method in trained_baseline.OF_GHN else None
    return trained_baseline.run(
        params,
        trained_baseline.Inputs(source / "demos", method, dims or HELD_OUT, ghn),
        trained_baseline.Outputs(out),
        options=RunOptions(**{"device": "cpu", "workers": 1, **options}),
        progress=progress or Recorder(),
    )


def networks(path: Path) -> list[Network]:
    """Return the networks of samples."""
    return [sample.network for sample in read_samples(path)[0].samples]


@pytest.mark.slow
@pytest.mark.parametrize("method", trained_baseline.METHODS)
def test_every_shape_gets_as_many_networks_as_are_asked_for(method, pipeline, tmp_path):
    """All different; stopped and resumed, or with two workers, the bytes are the same."""
    summary = make(method, pipeline, tmp_path / "one")
    samples, artifact = read_samples(tmp_path / "one")
    shapes = [sample.network.hidden_dims for sample in samples.samples]
    assert shapes == [dims for dims in HELD_OUT for _ in range(2)]
    assert [sample.sample_index for sample in samples.samples] == [0, 1] * len(HELD_OUT)
    for one, other in zip(samples.samples[::2], samples.samples[1::2], strict=True):
        assert not np.array_equal(one.network.weights, other.network.weights)
    assert summary.networks == 2 * len(HELD_OUT)
    parents = {"demos": digest(pipeline / "demos")}
    if method in trained_baseline.OF_GHN:
        parents["ghn"] = digest(pipeline / "ghn")
    assert artifact.manifest.parents == parents
    out = tmp_path / "out"
    with pytest.raises(InterruptedRunError, match="--resume"):
        make(method, pipeline, out, progress=Recorder(1))
    make(method, pipeline, out, resume=True, workers=2)
    assert tree(out) == tree(tmp_path / "one")
    assert names(tmp_path) == ["one", "out"]


def test_work_of_another_batch_size_does_not_count(pipeline, tmp_path):
    """Branches learn in batches of the size that the section of the hypernetwork says."""
    out, other = tmp_path / "out", with_section(FEW, "ghn-train", batch_size=16)
    with pytest.raises(InterruptedRunError, match="--resume"):
        make("asked", pipeline, out, progress=Recorder(1))
    with pytest.raises(UsageError, match="with other parameters"):
        make("asked", pipeline, out, params=other, resume=True)


def branches_of_zoo(pipeline, count: int) -> list[dict[str, np.ndarray]]:
    """Train the first branches as the zoo does."""
    ghn, within = load_hypernetwork(pipeline / "ghn"), PARAMS.architectures.training_range()
    demos = trained_baseline.read_demos(pipeline / "demos")[0]
    unit = BranchUnit(
        0, ghn.model.config, ghn.tensors, demos, within, export_settings(PARAMS, SEED)
    )
    return [train_branch(unit._replace(branch=k)).arrays for k in range(count)]


def test_branches_are_those_of_the_zoo_asked_again(pipeline, tmp_path):
    """The second network of a shape is what the zoo's second branch writes, grown beyond range."""
    make("asked", pipeline, tmp_path / "out")
    ghn, section = load_hypernetwork(pipeline / "ghn"), PARAMS.architectures
    branch = load_ghn(ghn.model.config, branches_of_zoo(pipeline, 2)[1])
    for found in networks(tmp_path / "out")[1::2]:
        plan = plan_growth(found.hidden_dims, section.widths_max, section.depth_max)
        (core,) = write_networks(branch, [ghn.interface.spec(plan.core)])
        expected = core
        if plan.core != found.hidden_dims:
            expected = grow_network(core, ghn.interface.spec(found.hidden_dims), plan)
        np.testing.assert_array_equal(found.weights, expected.weights)


def test_tuned_networks_are_those_of_a_zoo_of_their_shapes(pipeline, tmp_path):
    """Trained on in as many steps, at the same rate; not those that were asked for."""
    for method in trained_baseline.OF_GHN:
        make(method, pipeline, tmp_path / method, HELD_OUT[0])
    units = plan_members(
        branches_of_zoo(pipeline, 2),
        load_hypernetwork(pipeline / "ghn").model.config,
        trained_baseline.read_demos(pipeline / "demos")[0],
        [HELD_OUT[0]] * 2,
        export_settings(PARAMS, SEED),
    )
    expected = [network for unit in units for network in write_members(unit)]
    asked, tuned = (networks(tmp_path / method) for method in trained_baseline.OF_GHN)
    for one, other, member in zip(asked, tuned, expected, strict=True):
        np.testing.assert_array_equal(other.weights, member.weights)
        assert not np.array_equal(one.weights, other.weights)


def test_the_command_finds_what_it_is_made_of(pipeline, tmp_path, capsys):
    """Demonstrations beside the hypernetwork; a method without one is one line."""
    words = ["--params", str(pipeline / PARAMS_NAME), "-q", "--arch", "16,8"]
    out = ["--out", str(tmp_path / "asked")]
    assert main(["baseline", "asked", str(pipeline / "ghn"), *words, *out]) == 0
    short = ["--clone-steps", "2", "-n", "2"]
    for method in ("cloned", "slimmable"):
        out = ["--out", str(tmp_path / method), *short]
        assert main(["baseline", method, str(pipeline / "demos"), *words, *out]) == 0
        assert len(networks(tmp_path / method)) == 2
    assert capsys.readouterr().err == ""
    inputs = trained_baseline.Inputs(pipeline / "demos", "asked", ((8,),))
    with pytest.raises(UsageError, match="asks a hypernetwork"):
        trained_baseline.method_of(inputs)
