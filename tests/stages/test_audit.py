"""``nnit audit`` and ``nnit align-report`` from files to files."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_pipeline import (
    ORIGIN,
    PARAMS,
    PARAMS_NAME,
    Recorder,
    content,
    digest,
    tree,
    with_section,
)

from nnit.alignment.measure import layers_of
from nnit.alignment.smoothness import shuffle_units
from nnit.artifacts.alignment import read_alignment
from nnit.artifacts.audit import read_audit
from nnit.artifacts.demos import read_demos, write_demos
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.rollouts import read_rollouts, write_rollouts
from nnit.artifacts.samples import Sample, SampleSet, read_samples, write_samples
from nnit.artifacts.zoo import read_zoo, write_zoo
from nnit.mlp import join_layers
from nnit.progress import Progress, silent
from nnit.zoo.members import build_zoo, networks_by_shape
from nnit_cli.main import main
from stages import align_report, audit
from stages.params import RunOptions

SMALL = with_section(PARAMS, "audit", repeats=4, states=20)
SMALL = with_section(SMALL, "align-report", repeats=4, states=20, pairs=2)

pytestmark = pytest.mark.seconds


@pytest.fixture
def copies(pipeline, tmp_path) -> Path:
    """Samples that are networks of the zoo: two of a repeated shape, then a generated one."""
    zoo, _ = read_zoo(pipeline / "zoo")
    repeated = [k for k, member in enumerate(zoo.members) if member.hidden_dims == (8, 16)][:2]
    generated, _ = read_samples(pipeline / "samples")
    networks = [*(zoo.network(k) for k in repeated), generated.samples[0].network]
    samples = tuple(Sample(network, 0, k) for k, network in enumerate(networks))
    write_samples(tmp_path / "copies", SampleSet(samples, zoo.interface), ORIGIN)
    return tmp_path / "copies"


def test_networks_that_overflow_are_alarms(pipeline, tmp_path):
    """Weights that no output is a number with: named as collapsed, with figures that are."""
    generated, _ = read_samples(pipeline / "samples")
    networks = [sample.network for sample in generated.samples[:2]]
    burst = [one._replace(weights=np.full_like(one.weights, 1e30)) for one in networks]
    samples = SampleSet(tuple(Sample(one, 0, 0) for one in burst), generated.interface)
    write_samples(tmp_path / "burst", samples, ORIGIN)
    run_audit(pipeline, tmp_path / "burst", tmp_path / "audit")
    found = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert all("no better than a constant action" in one["alarms"] for one in found["samples"])


def run_audit(pipeline, samples, out, progress: Progress = silent, **changes):
    """Audit samples with what the pipeline made."""
    inputs = audit.Inputs(samples, pipeline / "zoo", pipeline / "demos", ghn=pipeline / "ghn")
    return audit.run(
        SMALL,
        replace(inputs, **changes),
        audit.Outputs(out),
        options=RunOptions(device="cpu"),
        progress=progress,
    )


def fault_of(capsys, words: list[str], code: int) -> str:
    """Run a command that must fail with a code and one line; return the line."""
    assert main(words) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    return captured.err.removeprefix("nnit: ").rstrip("\n")


def test_copies_of_the_zoo_are_found_out(pipeline, copies, tmp_path):
    """Two samples are identical to zoo networks, none novel; the audit reads back."""
    summary = run_audit(pipeline, copies, tmp_path / "audit")
    assert (summary.networks, summary.architectures, summary.identical) == (3, 2, 2)
    assert summary.novel_weights == 0
    stored, artifact = read_audit(tmp_path / "audit")
    assert [sample.weight_ratio for sample in stored.audit.samples[:2]] == [0, 0]
    assert [sample.kind for sample in stored.audit.samples] == ["train", "train", "unseen_combo"]
    assert set(artifact.manifest.parents) == {"samples", "zoo", "demos", "ghn"}
    assert set(summary.by_kind) == {"train", "unseen_combo", "all"}


def test_a_zoo_whose_networks_are_twins_is_noted(pipeline, copies, tmp_path):
    """One branch wrote all of them; networks that were trained alone are no twins."""
    zoo, artifact = read_zoo(pipeline / "zoo")
    twins = replace(zoo, members=tuple(one._replace(branch=0) for one in zoo.members))
    notes = {}
    for name, networks, parents in (
        ("branches", zoo, artifact.manifest.parents),
        ("twins", twins, artifact.manifest.parents),
        ("alone", twins, {"demos": digest(pipeline / "demos")}),
    ):
        path, progress = tmp_path / name, Recorder()
        write_zoo(path, networks, replace(ORIGIN, parents=parents))
        run_audit(pipeline, copies, tmp_path / f"{name}-audit", zoo=path, progress=progress)
        notes[name] = any("twins" in line for line in progress.notes)
    assert notes == {"branches": False, "twins": True, "alone": False}


def test_success_comes_from_the_rollouts_of_the_same_samples(pipeline, tmp_path):
    """Each sample has the success that its rollouts say."""
    run_audit(pipeline, pipeline / "samples", tmp_path / "audit", rollouts=pipeline / "rollouts")
    stored, _ = read_audit(tmp_path / "audit")
    evaluations = read_rollouts(pipeline / "rollouts")[0].evaluations
    said = {one.name: one.success_once for one in evaluations if one.source == "sample"}
    found = {f"sample-{s.sample_index:04d}": s.success for s in stored.audit.samples}
    assert found == said


def test_each_sample_has_its_own_success(pipeline, tmp_path):
    """Whatever the order of the rollouts, and others beside them."""
    samples, artifact = read_samples(pipeline / "samples")
    rollouts, _ = read_rollouts(pipeline / "rollouts")
    mine = [one for one in rollouts.evaluations if one.source == "sample"]
    changed = tuple(
        one._replace(
            episodes=tuple(
                episode._replace(success_once=k % 2 == 0, success_at_end=False)
                for episode in one.episodes
            )
        )
        for k, one in enumerate(mine)
    )[::-1]
    origin = Provenance("rollout", {}, 0, {"networks": artifact.digest})
    write_rollouts(tmp_path / "rollouts", replace(rollouts, evaluations=changed), origin)
    inputs = audit.Inputs(
        pipeline / "samples", pipeline / "zoo", pipeline / "demos", tmp_path / "rollouts"
    )
    found, _, _ = audit.read_evaluations(inputs, samples, artifact.digest)
    assert len(found) == len(mine) > 1
    assert all(found[k].success_once == (k % 2 == 0) for k in found)


def test_both_give_the_same_bytes_again(pipeline, copies, tmp_path):
    """Nothing in them depends on when or how often they are made, figures included."""
    for name in ("one", "two"):
        run_audit(pipeline, copies, tmp_path / name / "audit")
        align_report.run(
            SMALL,
            align_report.Inputs({"cnn": pipeline / "zoo"}, pipeline / "demos"),
            align_report.Outputs(tmp_path / name / "alignment"),
            options=RunOptions(device="cpu"),
        )
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_the_commands_print_a_table(pipeline, copies, tmp_path, capsys):
    """A person sees each kind, or each zoo, in a column; a program gets JSON."""
    shared = ["--demos", f"{pipeline}/demos", "--params", f"{pipeline}/{PARAMS_NAME}"]
    words = ["audit", str(copies), "--zoo", f"{pipeline}/zoo", "--repeats", "4", *shared]
    assert main([*words, "--out", f"{tmp_path}/audit"]) == 0
    lines = capsys.readouterr().out.splitlines()
    heads = " ".join(line for line in lines if line.startswith("measure")).split()
    assert [one for one in heads if one != "measure"] == [
        "not", "held", "out", "unseen_combo", "all",
    ]  # fmt: skip
    assert all(len(line) <= 80 for line in lines if str(tmp_path) not in line)
    words = ["align-report", f"a={pipeline}/zoo", f"b={pipeline}/zoo", "--repeats", "4", *shared]
    assert main([*words, "--out", f"{tmp_path}/alignment", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)["summary"]
    assert summary["index_alignment"]["a"] == summary["index_alignment"]["b"]
    stored, artifact = read_alignment(tmp_path / "alignment")
    assert [zoo.label for zoo in stored.alignment.zoos] == ["a", "b"]
    assert {"weights.png", "smoothness.png"} < set(artifact.manifest.files)
    assert main(["inspect", f"{tmp_path}/alignment"]) == 0
    assert "same index, by weights" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["audit", "align-report"])
def test_fewer_networks_of_one_shape_are_enough(command, pipeline, copies, tmp_path, capsys):
    """It says that there are fewer, and does what it does when asked for as many as there are."""
    zoo = f"{pipeline}/zoo"
    words = ["audit", str(copies), "--zoo", zoo] if command == "audit" else [command, f"a={zoo}"]
    words += ["--demos", f"{pipeline}/demos", "--params", f"{pipeline}/{PARAMS_NAME}"]
    for repeats in ("4", "30"):
        assert main([*words, "--repeats", repeats, "--out", f"{tmp_path}/{repeats}"]) == 0
    assert f"{zoo}: has at most 4 networks of one architecture, not 30" in capsys.readouterr().err
    assert content(tmp_path / "30") == content(tmp_path / "4")


def test_a_zoo_without_any_shape_twice(pipeline, copies, tmp_path, capsys):
    """An audit says what it can without; with no pair there is no alignment to report."""
    zoo, _ = read_zoo(pipeline / "zoo")
    firsts = [some[0] for some in networks_by_shape(zoo).values()]
    flats = [zoo.network(k).weights for k in firsts]
    single = build_zoo([zoo.members[k] for k in firsts], flats, zoo.interface)
    write_zoo(tmp_path / "zoo", single, ORIGIN)
    shared = ["--demos", f"{pipeline}/demos", "--out", f"{tmp_path}/out", "-q"]
    line = fault_of(capsys, ["align-report", f"a={tmp_path}/zoo", *shared], 4)
    assert line == (
        f"{tmp_path}/zoo: has no two networks of one architecture to compare; make a zoo with "
        "`nnit zoo-export --repeats 16`"
    )
    assert main(["audit", str(copies), "--zoo", f"{tmp_path}/zoo", *shared]) == 0
    found = read_audit(tmp_path / "out")[0].audit
    assert found.groups[-1].weight_spread_ratio is None
    assert found.groups[-1].loss.mean > 0


def test_samples_and_demonstrations_of_another_task(pipeline, copies, tmp_path, capsys):
    """Refused by name; other demonstrations of the same task are what is asked for."""
    zoo, _ = read_zoo(pipeline / "zoo")
    other = zoo.interface._replace(task="PickCube-v1")
    samples, _ = read_samples(copies)
    write_samples(tmp_path / "pick", replace(samples, interface=other), ORIGIN)
    words = ["--zoo", f"{pipeline}/zoo", "--out", f"{tmp_path}/out", "-q", "--repeats", "4"]
    demos = ["--demos", f"{pipeline}/demos"]
    line = fault_of(capsys, ["audit", f"{tmp_path}/pick", *words, *demos], 4)
    assert line == (
        f"{pipeline}/zoo: does not belong to {tmp_path}/pick: "
        "found task PushCube-v1, expected PickCube-v1"
    )
    value, _ = read_demos(pipeline / "demos")
    fresh = value.interface._replace(obs_mean=(0.0,) * value.interface.obs_dim)
    for name, interface in (("fresh", fresh), ("wrong", other)):
        write_demos(tmp_path / name, replace(value, interface=interface), ORIGIN)
    words = ["audit", str(copies), *words, "--demos"]
    line = fault_of(capsys, [*words, f"{tmp_path}/wrong"], 4)
    assert line.startswith(f"{tmp_path}/wrong: does not belong to {copies}: found task PickCube-v1")
    assert main([*words, f"{tmp_path}/fresh", "--params", f"{pipeline}/{PARAMS_NAME}"]) == 0


def test_scaling_is_that_of_the_networks(pipeline, copies, tmp_path):
    """Demonstrations with another mean of their own hold the same states: the same audit."""
    value, _ = read_demos(pipeline / "demos")
    other = value.interface._replace(obs_mean=(0.0,) * value.interface.obs_dim)
    write_demos(tmp_path / "fresh", replace(value, interface=other), ORIGIN)
    run_audit(pipeline, copies, tmp_path / "one")
    run_audit(pipeline, copies, tmp_path / "two", demos=tmp_path / "fresh")
    assert read_audit(tmp_path / "one")[0] == read_audit(tmp_path / "two")[0]
    assert digest(tmp_path / "one") != digest(tmp_path / "two")


def test_rollouts_of_other_samples(pipeline, copies, tmp_path, capsys):
    """Success of networks that are not these would be somebody else's."""
    words = ["audit", str(copies), "--zoo", f"{pipeline}/zoo", "--demos", f"{pipeline}/demos"]
    more = [
        "--rollouts",
        f"{pipeline}/rollouts",
        "--repeats",
        "4",
        "--out",
        f"{tmp_path}/out",
        "-q",
    ]
    line = fault_of(capsys, [*words, *more], 4)
    assert line == (
        f"{pipeline}/rollouts: evaluates other networks than {copies}; make it with "
        f"`nnit rollout {copies}`"
    )


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["a=x", "a=y"], "a=y: the label a is given twice"),
        (["zoo"], "zoo: give LABEL=PATH"),
        (["=zoo"], "=zoo: give LABEL=PATH"),
        (["a="], "a=: give LABEL=PATH"),
        (["../a=zoo"], "../a=zoo: give LABEL=PATH"),
    ],
)
def test_malformed_labels(words, found, capsys):
    """Exit code 2 and one line with the word."""
    assert fault_of(capsys, ["align-report", *words, "-q"], 2).startswith(found)


def test_a_zoo_of_unaligned_networks_is_told_from_an_aligned_one(pipeline, tmp_path):
    """The same networks with units in random order: less than half as aligned."""
    zoo, _ = read_zoo(pipeline / "zoo")
    rng = np.random.default_rng(0)
    shuffled = [join_layers(shuffle_units(layers_of(zoo, k), rng)) for k in range(len(zoo))]
    write_zoo(tmp_path / "shuffled", build_zoo(list(zoo.members), shuffled, zoo.interface), ORIGIN)
    zoos = {"cnn": pipeline / "zoo", "shuffled": tmp_path / "shuffled"}
    summary = align_report.run(
        SMALL,
        align_report.Inputs(zoos, pipeline / "demos"),
        align_report.Outputs(tmp_path / "alignment"),
        options=RunOptions(device="cpu"),
    )
    assert summary.index_alignment["cnn"] > 2 * summary.index_alignment["shuffled"]
    assert summary.weight_correlation["cnn"] > 2 * abs(summary.weight_correlation["shuffled"])


def test_dry_run_opens_every_zoo(pipeline, tmp_path, capsys):
    """The second is not there."""
    words = ["align-report", f"a={pipeline}/zoo", f"b={tmp_path}/none", "--dry-run"]
    line = fault_of(capsys, [*words, "--demos", f"{pipeline}/demos"], 4)
    assert line.startswith(f"{tmp_path}/none: no such artifact")
    assert main(["align-report", f"a={pipeline}/zoo", "--dry-run", "--out", f"{tmp_path}/out"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert f"read zoo a {pipeline}/zoo" in lines


@pytest.mark.sim
def test_success_of_networks_that_were_evaluated_beside_them(pipeline, copies, tmp_path, capsys):
    """Rollouts of other samples with these as a further source: success is not theirs."""
    words = ["rollout", f"{pipeline}/samples", "--also", f"copies={copies}", "--episodes", "1"]
    out = tmp_path / "beside"
    main([*words, "--out", str(out), "--workers", "1", "-q"])
    words = ["audit", str(copies), "--zoo", f"{pipeline}/zoo", "--demos", f"{pipeline}/demos"]
    more = ["--rollouts", str(out), "--repeats", "4", "--out", f"{tmp_path}/out", "-q"]
    assert "evaluates other networks" in fault_of(capsys, [*words, *more], 4)
