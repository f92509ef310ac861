"""One rollout compares everything: further artifacts, cloning losses, the constant action."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_pipeline import (
    ORIGIN,
    PARAMS,
    PARAMS_NAME,
    SAMPLED,
    run,
    with_section,
)

from nnit.artifacts.demos import read_demos, write_demos
from nnit.artifacts.rollouts import read_rollouts
from nnit.artifacts.samples import read_samples
from nnit.artifacts.zoo import read_zoo, write_zoo
from nnit.cloning import cloning_data, evaluate_loss, layers_from_flat
from nnit.errors import LeakError, UsageError, WrongKindError
from nnit.mlp import forward, split_layers
from nnit.progress import silent
from nnit_cli.main import main
from stages import rollout, sample
from stages.contenders import ask_ghn, ask_ghn_and_grow
from stages.inspection import describe, success_table
from stages.params import RunOptions


@pytest.fixture(scope="module")
def fresh(pipeline, tmp_path_factory) -> Path:
    """Demonstrations of other episodes than the pipeline's."""
    out = tmp_path_factory.mktemp("fresh") / "fresh"
    params = with_section(PARAMS, "demos", episodes=2, first_seed=20_000)
    run("demos", pipeline, out, params=params)
    return out


def compare(pipeline: Path, out: Path, *, params=PARAMS, workers: int = 1, **inputs):
    """Run a rollout of the pipeline's samples with whatever else is asked for."""
    networks = inputs.pop("networks", pipeline / "samples")
    return rollout.run(
        params,
        rollout.Inputs(networks, **inputs),
        rollout.Outputs(out),
        options=RunOptions(device="cpu", workers=workers),
        progress=silent,
    )


@pytest.mark.slow
@pytest.mark.sim
def test_everything_side_by_side_on_the_same_episodes(pipeline, fresh, tmp_path):
    """Each source has its label and kind, faces the same seeds, and has its loss measured."""
    out = tmp_path / "rollouts"
    params = with_section(PARAMS, "rollout", constant_baseline=True)
    summary = compare(
        pipeline,
        out,
        params=params,
        ghn=pipeline / "ghn",
        demos=pipeline / "demos",
        also={"again": pipeline / "samples"},
        loss_demos=fresh,
    )
    rollouts, artifact = read_rollouts(out)
    sources = ["sample", "ghn", "again", "cloned", "constant"]
    assert list(dict.fromkeys(e.source for e in rollouts.evaluations)) == sources
    assert list(summary.by_source) == sources
    assert set(artifact.manifest.parents) == {
        "networks",
        "ghn",
        "demos",
        "also again",
        "loss_demos",
    }
    seeds = {tuple(e.seed for e in one.episodes) for one in rollouts.evaluations}
    assert seeds == {(0, 1)}
    by_name = {e.name: e for e in rollouts.evaluations}
    assert by_name["again-0001"]._replace(name="", source="") == by_name["sample-0001"]._replace(
        name="", source=""
    )
    for by_kind in summary.by_source.values():
        assert all(group["cloning_loss"] > 0 for group in by_kind.values())
    assert summary.clone_s_mean is not None
    assert summary.clone_s_mean > 0
    success, losses = describe(out).tables.values()
    shown = ["generated", "GHN asked again", "again", "cloned directly", "constant action"]
    assert [row[0] for row in success[1:]] == shown  # many sources: a row each
    assert success[0][1:] == ("unseen_combo", "unseen_width", "lowest")
    assert [row[0] for row in losses[1:]] == shown


@pytest.mark.slow
@pytest.mark.sim
def test_losses_are_those_of_the_networks_own_scaling(pipeline, fresh, tmp_path):
    """Fresh demonstrations have another scaling; the networks see theirs."""
    compare(pipeline, tmp_path / "out", loss_demos=fresh)
    samples, _ = read_samples(pipeline / "samples")
    demos, _ = read_demos(fresh)
    assert demos.interface.obs_mean != samples.interface.obs_mean
    data = cloning_data(replace(demos, interface=samples.interface))
    for one, evaluation in zip(
        samples.samples, read_rollouts(tmp_path / "out")[0].evaluations, strict=True
    ):
        spec = samples.interface.spec(one.network.hidden_dims)
        layers = layers_from_flat(spec, torch.from_numpy(one.network.weights))
        assert evaluation.loss == pytest.approx(evaluate_loss(layers, data), rel=1e-5)


@pytest.mark.slow
@pytest.mark.sim
def test_constant_action_is_the_mean_of_the_experts(pipeline):
    """The network of the baseline answers everything with one action."""
    from stages.contenders import constant_policy, read_contenders

    asked = read_contenders(pipeline / "samples", (), PARAMS.architectures.training_range())
    demos, _ = read_demos(pipeline / "demos")
    request = constant_policy(asked, demos, PARAMS.architectures.training_range())
    spec = asked.interface.spec(request.hidden_dims)
    observations = torch.randn(5, spec.obs_dim, generator=torch.Generator().manual_seed(0))
    from nnit.cloning import run_mlp

    actions = run_mlp(layers_from_flat(spec, torch.from_numpy(request.weights)), observations)
    expected = np.broadcast_to(demos.actions.mean(axis=0), actions.shape)
    np.testing.assert_allclose(actions.numpy(), expected, atol=1e-6)


def test_few_sources_have_columns(pipeline):
    """The pipeline's own three sources stand side by side for each architecture."""
    table = success_table(read_rollouts(pipeline / "rollouts")[0].evaluations)
    assert table[0] == (
        "held out as",
        "architecture",
        "generated",
        "GHN asked again",
        "cloned directly",
    )
    assert [row[1] for row in table[1:]] == ["16,8", "12,8"]


@pytest.mark.parametrize(
    ("also", "expected"),
    [
        (["cloned=x"], "--also cloned=x: cloned is what nnit itself calls a source"),
        (["generated=x"], "--also generated=x: generated is what nnit itself calls a source"),
        (["a b=x"], "--also a b=x: give LABEL=PATH, as in nearest=artifacts/nearest"),
        (["1a=x"], "--also 1a=x: '1a' is not a word; give LABEL=PATH"),
        (["x"], "--also x: give LABEL=PATH, as in nearest=artifacts/nearest"),
        (["a=x", "a=y"], "--also a=y: the label a is given twice"),
    ],
)
def test_labels_that_are_none(also, expected, pipeline, tmp_path, capsys):
    """Exit code 2 and one line before anything is run."""
    flags = [word for text in also for word in ("--also", text)]
    words = ["rollout", str(pipeline / "samples"), "--out", str(tmp_path / "out"), "-q", *flags]
    assert main([*words, "--params", str(pipeline / PARAMS_NAME)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"nnit: {expected}")
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_dry_run_checks_every_input(pipeline, tmp_path, capsys):
    """Further artifacts and the demonstrations of the losses are opened and named."""
    words = ["rollout", str(pipeline / "samples"), "--dry-run", "--json"]
    words += ["--out", str(tmp_path / "out"), "--params", str(pipeline / PARAMS_NAME)]
    more = ["--also", f"again={pipeline / 'samples'}", "--loss-demos", str(pipeline / "demos")]
    assert main([*words, *more]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["read also again"] == str(pipeline / "samples")
    assert plan["read loss demos"] == str(pipeline / "demos")
    assert main([*words, "--loss-demos", str(pipeline / "zoo")]) == 4
    assert main([*words, "--also", f"again={pipeline / 'demos'}"]) == 4


def test_losses_on_the_training_demonstrations_are_refused(pipeline, tmp_path):
    """What was trained on says nothing; the line names the seeds and whose they are."""
    demos = pipeline / "demos"
    with pytest.raises(UsageError) as caught:
        compare(pipeline, tmp_path / "out", demos=demos, loss_demos=demos)
    assert caught.value.faults == (
        f"--loss-demos {demos}: reset seed 10000 is one of --demos {demos} too; collect others "
        "with `nnit demos --first-seed`",
    )


def test_losses_on_what_networks_learned_from_or_were_chosen_by_are_refused(
    pipeline, fresh, tmp_path
):
    """Whether or not the training demonstrations are named beside them."""
    with pytest.raises(LeakError, match="was trained on these demonstrations; give others"):
        compare(pipeline, tmp_path / "out", loss_demos=pipeline / "demos")
    params = with_section(PARAMS, "sample", best_of=2)
    inputs = sample.Inputs(pipeline / "generator", ((8, 8),), demos=fresh)
    sample.run(params, inputs, sample.Outputs(tmp_path / "best"), options=RunOptions(device="cpu"))
    with pytest.raises(LeakError, match="was chosen by its loss on these") as caught:
        compare(pipeline, tmp_path / "out", networks=tmp_path / "best", loss_demos=fresh)
    assert caught.value.exit_code == 3
    assert not (tmp_path / "out").exists()


def test_losses_on_evaluated_states_are_refused(pipeline, fresh, tmp_path):
    """The demonstrations may not begin where an evaluation does."""
    params = with_section(PARAMS, "rollout", first_seed=20_001)
    with pytest.raises(UsageError, match="reset seed 20001 is one of the evaluation too"):
        compare(pipeline, tmp_path / "out", params=params, loss_demos=fresh)


@pytest.mark.parametrize(
    ("field", "value"), [("task", "PickCube-v1"), ("control_mode", "pd_joint_pos")]
)
def test_losses_in_another_environment_are_refused(field, value, pipeline, fresh, tmp_path):
    """Scaling may differ, the environment may not."""
    demos, _ = read_demos(fresh)
    other = replace(demos, interface=demos.interface._replace(**{field: value}))
    write_demos(tmp_path / "other", other, ORIGIN)
    with pytest.raises(WrongKindError, match=f"found {field} {value}, expected "):
        compare(pipeline, tmp_path / "out", loss_demos=tmp_path / "other")


def test_further_artifacts_of_another_task_or_without_the_shapes(pipeline, tmp_path):
    """Both are one line that names the artifact."""
    zoo, _ = read_zoo(pipeline / "zoo")
    assert not set(SAMPLED) & {member.hidden_dims for member in zoo.members}
    with pytest.raises(UsageError, match="has no network of a shape that"):
        compare(pipeline, tmp_path / "out", also={"mine": pipeline / "zoo"})
    other = replace(zoo, interface=zoo.interface._replace(task="PickCube-v1"))
    write_zoo(tmp_path / "other", other, ORIGIN)
    with pytest.raises(WrongKindError, match="found task PickCube-v1, expected PushCube-v1"):
        compare(pipeline, tmp_path / "out", also={"mine": tmp_path / "other"})


@pytest.mark.sim
def test_hypernetwork_is_grown_beyond_the_trained_range(pipeline):
    """As a source of its own beside what it writes as a whole, with its core's function."""
    training_range = PARAMS.architectures.training_range()
    shapes = ((16, 8), (32,), (8, 8, 8))
    found = ask_ghn_and_grow(pipeline / "ghn", shapes, training_range)
    by_name = {one.name: one for one in found.requests}
    grown = ["ghn-grown-32", "ghn-grown-8,8,8"]
    assert list(by_name) == ["ghn-16,8", "ghn-32", "ghn-8,8,8", *grown]
    core = ask_ghn(pipeline / "ghn", ((24,),), training_range).requests[0]
    x = np.random.default_rng(0).normal(size=(20, found.interface.obs_dim)).astype(np.float32)
    outputs = [
        forward(split_layers(found.interface.spec(one.hidden_dims), one.weights), x)
        for one in (core, by_name["ghn-grown-32"])
    ]
    np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-4)


def test_a_hypernetwork_is_not_its_own_baseline(pipeline, tmp_path):
    """Two of the same name could not be told apart."""
    inputs = rollout.Inputs(pipeline / "ghn", pipeline / "ghn", architectures=((8, 8),))
    with pytest.raises(UsageError, match="is a hypernetwork itself"):
        rollout.run(
            PARAMS, inputs, rollout.Outputs(tmp_path / "out"), options=RunOptions(device="cpu")
        )
