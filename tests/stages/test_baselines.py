"""The baselines as stages: what they refuse, and that the same input gives the same bytes."""

from pathlib import Path

import numpy as np
import pytest
from tiny_pipeline import (
    HELD_OUT,
    ORIGIN,
    PARAMS,
    PARAMS_NAME,
    Recorder,
    content,
    digest,
    names,
    tree,
    with_section,
)

from nnit.artifacts.model import read_model, write_model
from nnit.artifacts.samples import read_samples
from nnit.artifacts.zoo import read_zoo, write_zoo
from nnit.errors import DamagedArtifactError, InterruptedRunError, LeakError, UsageError
from nnit.mlp import format_architecture
from nnit.zoo import export
from nnit.zoo.members import build_zoo
from nnit_cli.main import main
from stages import baseline, flat_sample, zoo_alone
from stages.params import RunOptions

WIDEST = 24  # of the networks of the tiny zoo
MANY = with_section(PARAMS, "zoo-alone", networks=24, steps=3)  # and 8 repeated: two units


def alone(source: Path, out: Path, *, params=MANY, progress=None, **options):
    """Run ``zoo-alone``."""
    return zoo_alone.run(
        params,
        zoo_alone.Inputs(source / "demos"),
        zoo_alone.Outputs(out),
        options=RunOptions(**{"device": "cpu", "workers": 1, **options}),
        progress=progress or Recorder(),
    )


def take(method: str, source: Path, out: Path, *dims, params=PARAMS, seed=0):
    """Run ``baseline``."""
    return baseline.run(
        params,
        baseline.Inputs(source / "zoo", method, dims or HELD_OUT),
        baseline.Outputs(out),
        options=RunOptions(seed=seed, device="cpu"),
    )


def flat(source: Path, out: Path, *dims, held_out=(), params=PARAMS, seed=0, progress=None):
    """Run ``flat-sample``."""
    return flat_sample.run(
        params,
        flat_sample.Inputs(source / "flat", dims, held_out),
        flat_sample.Outputs(out),
        options=RunOptions(seed=seed, device="cpu"),
        progress=progress or Recorder(),
    )


def with_planted(source: Path, out: Path, hidden_dims, split: str) -> None:
    """Write a copy of a zoo with one network more, of zeros."""
    zoo, _ = read_zoo(source)
    weights = [zoo.network(k).weights for k in range(len(zoo))]
    planted = zoo.members[0]._replace(hidden_dims=hidden_dims, split=split)
    flat = np.zeros(zoo.interface.spec(hidden_dims).num_parameters, np.float32)
    bigger = build_zoo([*zoo.members, planted], [*weights, flat], zoo.interface)
    write_zoo(out, bigger, ORIGIN)


@pytest.fixture(scope="module")
def alone_zoo(pipeline, tmp_path_factory) -> Path:
    """An unaligned zoo, made in one go."""
    out = tmp_path_factory.mktemp("alone") / "zoo"
    alone(pipeline, out)
    return out


def test_unaligned_zoo_has_the_architectures_of_the_aligned_one(pipeline, tmp_path):
    """Network by network, as many as zoo-export would write; nobody belongs to a branch."""
    params = with_section(PARAMS, "zoo-alone", steps=1)
    summary = alone(pipeline, tmp_path / "zoo", params=params)
    ours, theirs = read_zoo(tmp_path / "zoo")[0], read_zoo(pipeline / "zoo")[0]
    assert [m.hidden_dims for m in ours.members] == [m.hidden_dims for m in theirs.members]
    assert {(m.branch, m.fine_tune_steps) for m in ours.members} == {(0, 1)}
    assert summary.networks == len(theirs)


@pytest.mark.slow
def test_unaligned_zoo_is_the_same_whatever_the_workers_and_interruptions(
    alone_zoo, pipeline, tmp_path
):
    """Two workers, or stopped after each unit and resumed: the bytes of one worker in one go."""
    alone(pipeline, tmp_path / "two", workers=2)
    assert tree(tmp_path / "two") == tree(alone_zoo)
    out = tmp_path / "out"
    stopped = Recorder(1)
    with pytest.raises(InterruptedRunError, match="go on with the same command and --resume"):
        alone(pipeline, out, progress=stopped)
    with pytest.raises(UsageError, match=r"1 finished unit .* is saved; go on with --resume"):
        alone(pipeline, out)
    resumed = Recorder()
    alone(pipeline, out, resume=True, progress=resumed)
    assert resumed.parts == [("networks", 32, stopped.units)]
    assert 0 < stopped.units < 32
    assert tree(out) == tree(alone_zoo)
    assert names(tmp_path) == ["out", "two"]
    alone(pipeline, tmp_path / "other", seed=1)
    assert content(tmp_path / "other") != content(alone_zoo)


def test_sampler_that_draws_a_held_out_architecture_writes_no_unaligned_zoo(
    pipeline, tmp_path, monkeypatch
):
    """A broken sampler is noticed before any network is trained."""
    monkeypatch.setattr(export, "sample_architecture", lambda *_: HELD_OUT[0])
    with pytest.raises(LeakError, match=format_architecture(HELD_OUT[0])):
        alone(pipeline, tmp_path / "zoo")
    assert names(tmp_path) == []


@pytest.mark.parametrize("method", baseline.METHODS)
def test_baseline_makes_every_shape_that_is_asked_for(method, pipeline, tmp_path):
    """Of every held-out kind, twice the same bytes, whatever the zoo has."""
    summary = take(method, pipeline, tmp_path / "one")
    take(method, pipeline, tmp_path / "two")
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    samples, artifact = read_samples(tmp_path / "one")
    assert tuple(s.network.hidden_dims for s in samples.samples) == HELD_OUT
    assert artifact.manifest.params["method"] == method
    assert artifact.manifest.parents == {"zoo": digest(pipeline / "zoo")}
    assert summary.networks == summary.architectures == len(HELD_OUT)
    assert 0 < summary.distance_mean <= summary.distance_max


def test_nearest_of_a_trained_shape_is_the_network_itself(pipeline, tmp_path):
    """At distance zero, bit for bit the better one of its shape."""
    zoo, _ = read_zoo(pipeline / "zoo")
    dims = zoo.members[0].hidden_dims
    summary = take("nearest", pipeline, tmp_path / "out", dims)
    assert summary.distance_max == 0
    (sample,) = read_samples(tmp_path / "out")[0].samples
    same = [k for k in range(len(zoo)) if zoo.members[k].hidden_dims == dims]
    best = min(same, key=lambda k: zoo.members[k].loss)
    np.testing.assert_array_equal(sample.network.weights, zoo.network(best).weights)


def test_every_noisy_sample_has_noise_of_its_own(pipeline, tmp_path):
    """Sample k depends on seed, shape and k alone: not on how many there are, nor what beside."""
    three = with_section(PARAMS, "baseline", samples=3)
    take("noise", pipeline, tmp_path / "three", *HELD_OUT[:2], params=three)
    take("noise", pipeline, tmp_path / "one", HELD_OUT[1])
    take("noise", pipeline, tmp_path / "seed", HELD_OUT[1], seed=1)
    many = [s.network.weights for s in read_samples(tmp_path / "three")[0].samples]
    (one,) = read_samples(tmp_path / "one")[0].samples
    (seed,) = read_samples(tmp_path / "seed")[0].samples
    np.testing.assert_array_equal(many[3], one.network.weights)
    assert not np.array_equal(many[3], many[4])
    assert not np.array_equal(seed.network.weights, one.network.weights)


@pytest.mark.parametrize("split", ["train", "wider"])
def test_baseline_does_not_take_a_held_out_network(split, pipeline, tmp_path):
    """A zoo that holds one, in whatever split, would make the answer trivial."""
    with_planted(pipeline / "zoo", tmp_path / "zoo", HELD_OUT[0], split)
    with pytest.raises(LeakError) as caught:
        take("nearest", tmp_path, tmp_path / "out")
    (line,) = caught.value.faults
    assert line.startswith(f"{tmp_path / 'zoo'}: ")
    assert format_architecture(HELD_OUT[0]) in line
    assert names(tmp_path) == ["zoo"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["best", "--held-out"],
            "METHOD best: is none of nearest, average, noise, cloned, slimmable, asked, tuned",
        ),
        (["nearest"], "--arch: nothing asked for; give an architecture, or --held-out"),
    ],
)
def test_baseline_that_is_not_one(words, line, pipeline, tmp_path, capsys):
    """Exit code 2 and one line that says what there is."""
    method, *more = words
    shared = ["--out", str(tmp_path / "out"), "--params", str(pipeline / PARAMS_NAME), "-q"]
    assert main(["baseline", method, str(pipeline / "zoo"), *more, *shared]) == 2
    assert capsys.readouterr().err == f"nnit: {line}\n"
    assert names(tmp_path) == []


def test_unknown_method_is_noticed_before_the_zoo_is_read(tmp_path):
    """The error names the methods even where there is no zoo."""
    with pytest.raises(UsageError, match="METHOD median"):
        take("median", tmp_path, tmp_path / "out")


def test_flat_samples_depend_on_seed_shape_and_number_alone(pipeline, tmp_path):
    """The same bytes twice; sample k does not depend on what is sampled beside it."""
    three = with_section(PARAMS, "flat-sample", samples=3)
    for name in ("one", "two"):
        flat(pipeline, tmp_path / name, *HELD_OUT[:2], params=three)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    flat(pipeline, tmp_path / "alone", HELD_OUT[1])
    many = [s.network.weights for s in read_samples(tmp_path / "one")[0].samples]
    (alone,) = read_samples(tmp_path / "alone")[0].samples
    np.testing.assert_array_equal(many[3], alone.network.weights)
    assert not np.array_equal(many[3], many[4])
    flat(pipeline, tmp_path / "seed", HELD_OUT[1], seed=1)
    assert content(tmp_path / "seed") != content(tmp_path / "alone")


def test_flat_sample_refuses_what_the_vector_has_no_room_for(pipeline, tmp_path, capsys):
    """Wider or deeper than trained: exit code 2, one line that says what there is room for."""
    for dims in HELD_OUT[2:]:
        text = format_architecture(dims)
        words = ["flat-sample", "--model", str(pipeline / "flat"), "--arch", text, "-q"]
        shared = ["--out", str(tmp_path / "out"), "--params", str(pipeline / PARAMS_NAME)]
        assert main([*words, *shared]) == 2
        assert capsys.readouterr().err == (
            f"nnit: --arch {text}: the flat vector has room for 2 hidden layers of width up to "
            f"{WIDEST}, the largest that were trained; use `nnit sample` for larger ones\n"
        )
    assert names(tmp_path) == []


def test_flat_sample_leaves_out_held_out_shapes_without_room_and_says_so(pipeline, tmp_path):
    """In a note, in the summary and in the manifest."""
    progress = Recorder()
    summary = flat(pipeline, tmp_path / "out", held_out=HELD_OUT, progress=progress)
    cannot = [format_architecture(dims) for dims in HELD_OUT[2:]]
    assert summary.cannot == cannot
    (note,) = progress.notes
    assert note.startswith(f"flat-sample: cannot write {'; '.join(cannot)}: the flat vector has")
    samples, artifact = read_samples(tmp_path / "out")
    assert tuple(s.network.hidden_dims for s in samples.samples) == HELD_OUT[:2]
    assert artifact.manifest.params["cannot"] == cannot


@pytest.mark.parametrize("held_out", [(), HELD_OUT[2:]])
def test_flat_sample_with_nothing_to_write(held_out, pipeline, tmp_path):
    """Asked for nothing, or for nothing that has room: a usage error, and no empty artifact."""
    with pytest.raises(UsageError, match="nothing that has room") as caught:
        flat(pipeline, tmp_path / "out", held_out=held_out)
    assert len(caught.value.faults) == 1
    assert names(tmp_path) == []


def test_flat_model_that_cannot_be_built(pipeline, tmp_path):
    """A configuration that is not that of the tensors is damage."""
    stored, _ = read_model(pipeline / "flat", "flat")
    write_model(
        tmp_path / "flat",
        "flat",
        {**stored.config, "width": 17},
        stored.tensors,
        stored.interfaces,
        {"standardizer": stored.attributes["standardizer"]},
        ORIGIN,
    )
    with pytest.raises(DamagedArtifactError, match="not a flat model that can be built: "):
        flat(tmp_path, tmp_path / "out", HELD_OUT[0])
