"""``nnit zoo-refine``: a zoo of a generator's own samples, each trained on alone."""

import numpy as np
import pytest
from tiny_pipeline import HELD_OUT, PARAMS, Recorder, digest, names, tree, with_section

from nnit.artifacts.demos import read_demos
from nnit.artifacts.zoo import read_zoo
from nnit.cloning import cloning_data, network_loss
from nnit.errors import InterruptedRunError, LeakError, UsageError, WrongKindError
from nnit.mlp import format_architecture
from nnit.zoo import export
from nnit_cli.main import main
from stages import diffuse_train, tokenize, zoo_refine
from stages.params import RunOptions

REFINED = with_section(PARAMS, "zoo-refine", steps=3, batch_size=32)
MANY = with_section(REFINED, "zoo-refine", steps=3, batch_size=32, networks=24)  # two units


def refine(source, out, *, params=REFINED, seed=0, workers=1, resume=False, progress=None):
    """Run ``zoo-refine`` on the artifacts in a folder."""
    return zoo_refine.run(
        params,
        zoo_refine.Inputs(source / "generator", source / "demos"),
        zoo_refine.Outputs(out),
        options=RunOptions(seed=seed, device="cpu", workers=workers, resume=resume),
        progress=progress or Recorder(),
    )


@pytest.fixture(scope="module")
def refined(pipeline, tmp_path_factory):
    """A refined zoo, made in one go."""
    out = tmp_path_factory.mktemp("refined") / "zoo"
    refine(pipeline, out)
    return out


def test_architectures_and_branches_are_those_of_the_exported_zoo(pipeline, refined):
    """Network by network; the manifest says what it was made from."""
    ours, artifact = read_zoo(refined)
    theirs, _ = read_zoo(pipeline / "zoo")
    assert [m.hidden_dims for m in ours.members] == [m.hidden_dims for m in theirs.members]
    assert [m.branch for m in ours.members] == [m.branch for m in theirs.members]
    assert {m.fine_tune_steps for m in ours.members} == {3}
    assert artifact.manifest.parents == {
        "generator": digest(pipeline / "generator"),
        "demos": digest(pipeline / "demos"),
    }


def test_no_steps_give_the_samples_and_steps_lower_their_loss(pipeline, refined, tmp_path):
    """Losses are over all demonstrations, and those that are written are the networks' own."""
    params = with_section(PARAMS, "zoo-refine", steps=0)
    refine(pipeline, tmp_path / "samples", params=params)
    samples, _ = read_zoo(tmp_path / "samples")
    zoo, _ = read_zoo(refined)
    demos, _ = read_demos(pipeline / "demos")
    data = cloning_data(demos)
    for k, member in enumerate(zoo.members):
        assert member.loss == pytest.approx(network_loss(zoo.network(k), zoo.interface, data))
        assert not np.array_equal(zoo.network(k).weights, samples.network(k).weights)
    losses = [np.mean([m.loss for m in one.members]) for one in (samples, zoo)]
    assert losses[1] < losses[0]


@pytest.mark.slow
def test_the_same_whatever_the_workers_and_interruptions(pipeline, tmp_path):
    """Two workers, or stopped after the samples and after a unit: the bytes of one go."""
    refine(pipeline, tmp_path / "one", params=MANY)
    refine(pipeline, tmp_path / "two", params=MANY, workers=2)
    assert tree(tmp_path / "two") == tree(tmp_path / "one")
    out, total = tmp_path / "out", len(read_zoo(tmp_path / "one")[0])
    go_on = "go on with the same command and --resume"
    with pytest.raises(
        InterruptedRunError, match=f"stopped by SIGTERM after 1 of 4 units.*{go_on}"
    ):
        refine(pipeline, out, params=MANY, progress=Recorder(1))
    with pytest.raises(UsageError, match=r"1 finished unit .* is saved; go on with --resume"):
        refine(pipeline, out, params=MANY)
    again = Recorder(total - 10 + 1)  # the other samples, and a unit of networks
    with pytest.raises(InterruptedRunError, match=go_on):
        refine(pipeline, out, params=MANY, resume=True, progress=again)
    assert again.parts[0] == ("drafts", total, 10)
    resumed = Recorder()
    refine(pipeline, out, params=MANY, resume=True, progress=resumed)
    trained = again.units - (total - 10)
    assert 0 < trained < total
    assert resumed.parts == [("drafts", total, total), ("networks", total, trained)]
    assert tree(out) == tree(tmp_path / "one")
    assert names(tmp_path) == ["one", "out", "two"]


def test_a_generator_goes_on_from_its_own_refined_samples(pipeline, refined, tmp_path):
    """The round: refine, tokenize, train on."""
    tokenize.run(
        PARAMS,
        tokenize.Inputs(refined),
        tokenize.Outputs(tmp_path / "tokens"),
        options=RunOptions(device="cpu"),
    )
    summary = diffuse_train.run(
        PARAMS,
        diffuse_train.Inputs(tmp_path / "tokens", parent=pipeline / "generator"),
        diffuse_train.Outputs(tmp_path / "generator"),
        options=RunOptions(device="cpu"),
    )
    assert summary.networks == len(read_zoo(refined)[0])


def test_held_out_architectures_are_refused(pipeline, tmp_path, monkeypatch):
    """Trainable when the generator was trained, or drawn by a broken sampler."""
    lists = PARAMS.architectures.held_out.model_dump(mode="json")
    lists["unseen_combo"].append((24, 20))
    params = with_section(REFINED, "architectures", held_out=lists)
    with pytest.raises(LeakError, match="24,20"):
        refine(pipeline, tmp_path / "zoo", params=params)
    monkeypatch.setattr(export, "sample_architecture", lambda *_: HELD_OUT[0])
    with pytest.raises(LeakError, match=format_architecture(HELD_OUT[0])):
        refine(pipeline, tmp_path / "zoo")
    assert names(tmp_path) == []


def test_inputs_that_do_not_belong_together(pipeline, tmp_path, capsys):
    """Another kind of artifact is one line, and nothing is written."""
    with pytest.raises(WrongKindError, match="expected generator"):
        zoo_refine.run(
            REFINED,
            zoo_refine.Inputs(pipeline / "ghn", pipeline / "demos"),
            zoo_refine.Outputs(tmp_path / "zoo"),
            options=RunOptions(device="cpu"),
        )
    words = ["zoo-refine", str(pipeline / "generator"), "--out", str(tmp_path / "zoo"), "--dry-run"]
    assert main([*words, "--params", str(pipeline / "params.yaml")]) == 0
    assert "nnit zoo-refine" in capsys.readouterr().out
    assert names(tmp_path) == []
