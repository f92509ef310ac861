"""Every command as typed, one after the other, on artifacts as small as can be."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_server import Ended

pytestmark = [pytest.mark.sim, pytest.mark.slow]
PARAMS = """\
ghn_train: {steps: 4, architectures_per_step: 2, batch_size: 16}
zoo_export: {branches: 2, branch_steps: 2, networks: 6, fine_tune_steps: 2, batch_size: 16}
diffuse_train: {steps: 4, width: 32, depth: 1, heads: 2, tokens_per_batch: 512}
rollout: {episodes: 2, clone_steps: 2}
"""
PIPELINE = [  # command -> the folder that it makes by default, beside its input
    (["demos", "-n", "4", "--out", "run/demos"], "demos"),
    (["ghn-train", "run/demos/", "--curve", "metrics/ghn.csv"], "ghn"),
    (["zoo-export", "run/ghn/"], "zoo"),
    (["tokenize", "run/zoo/", "--patch", "16"], "tokens"),
    (["diffuse-train", "run/tokens/", "--curve", "metrics/generator.csv"], "generator"),
    (
        ["sample", "--model", "run/generator", "--arch", "12,8", "--arch", "20", "-n", "2"],
        "samples",
    ),
    (["rollout", "run/samples/", "--ghn", "run/ghn", "--demos", "run/demos"], "rollouts"),
]


Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, server) -> Path:
    """A folder with a parameter file and, in ``run``, one artifact of each kind."""
    path = tmp_path_factory.mktemp("commands")
    (path / "params.yaml").write_text(PARAMS)
    for words, made in PIPELINE:
        done = server.run([*words, "--json", "--metrics", f"metrics/{made}.json"], cwd=path)
        assert done.code == 0, done.err
        answer = json.loads(done.out)
        assert answer["command"] == words[0]
        assert answer["outputs"][made] == f"run/{made}"
        assert json.loads((path / f"metrics/{made}.json").read_text()) == answer["summary"]
    return path


@pytest.fixture
def run(folder, server) -> Run:
    """Run nnit in the folder."""
    return lambda *words: server.run(words, cwd=folder)


def test_only_artifacts_and_what_was_asked_for_is_left(folder):
    """But for logs: neither state nor temporary nor lock files stay behind what ended well."""
    assert sorted(p.name for p in folder.iterdir()) == ["metrics", "params.yaml", "run"]
    logs = [f"{name}.log.jsonl" for name in ("generator", "ghn", "zoo")]
    made = sorted([*(m for _, m in PIPELINE), *logs])
    assert sorted(p.name for p in (folder / "run").iterdir()) == made


def test_loss_curves_have_steps_and_losses(folder):
    """A CSV file with a head, one row a point, the last at the last step."""
    for name in ("ghn", "generator"):
        head, *rows = (folder / "metrics" / f"{name}.csv").read_text().splitlines()
        assert head == "step,loss"
        assert rows[-1].split(",")[0] == "4"


def test_every_artifact_is_whole_and_can_be_described(folder, run):
    """Verify takes all at once; inspect names kind and command of each."""
    paths = [f"run/{made}" for _, made in PIPELINE]
    assert run("verify", *paths).out.splitlines() == [f"{p}: whole" for p in paths]
    for words, made in PIPELINE:
        data = json.loads(run("inspect", f"run/{made}", "--json").out)
        assert (data["kind"], data["stage"]) == (made, words[0])


def test_inspect_shows_success_by_architecture(folder, run):
    """A row for each shape and a column for each source, with intervals."""
    lines = run("inspect", "run/rollouts").out.splitlines()
    assert lines[0].split() == ["kind", "rollouts,", "schema", "3"]
    heads = [k for k, line in enumerate(lines) if line.startswith("held out as")]
    assert [name for k in heads for name in re.split(" {2,}", lines[k])[2:]] == [
        "generated", "GHN asked again", "cloned directly",
    ]  # fmt: skip
    assert {"12,8", "20"} <= {line.split()[-4] for line in lines[heads[-1] + 1 :]}
    assert all(len(line) <= 80 for line in lines[heads[0] :])


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (
            ["tokenize", "run/demos", "--out", "x"],
            4,
            "found an artifact of kind demos, expected zoo",
        ),
        (["tokenize", "run/zoo", "--out", "run/tokens"], 2, "exists already; replace it with --f"),
        (["zoo-export", "run/ghn", "--resume"], 2, "zoo: is finished, nothing is left to resume"),
        (["sample", "--model", "run/zoo"], 4, "found an artifact of kind zoo, expected generator"),
        (["rollout", "run/ghn", "--out", "x"], 2, "what --arch asks for"),
        (
            ["sample", "--model", "run/generator", "--arch", "60000,60000", "--out", "x"],
            6,
            "memory",
        ),
        (["zoo-export", "run/ghn", "--demos", "run/zoo", "--out", "x"], 4, "expected demos"),
    ],
)
def test_mistake_is_one_line_and_writes_nothing(folder, run, words, code, reason):
    """Exit code and reason; the folder is as it was."""
    before = sorted(folder.rglob("*"))
    done = run(*words, "--quiet")
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith("nnit: ")
    assert reason in done.err
    assert done.err.count("\n") == 1
    assert sorted(folder.rglob("*")) == before


def test_a_second_run_makes_a_numbered_sibling(folder, run):
    """The first stays as it is; --force replaces it; a second report replaces the first."""
    words = ["tokenize", "run/zoo", "--json"]
    outputs = [json.loads(run(*words).out)["outputs"]["tokens"] for _ in range(2)]
    assert outputs == ["run/tokens-2", "run/tokens-3"]
    for name in outputs:
        assert (folder / name / "manifest.json").is_file()
        shutil.rmtree(folder / name)
    assert json.loads(run(*words, "--force").out)["outputs"]["tokens"] == "run/tokens"
    assert [run("report", "run/tokens").code for _ in range(2)] == [0, 0]


def test_what_lies_beside_no_input_goes_to_artifacts(run):
    """The one home of outputs, where --out names no other."""
    plan = json.loads(run("demos", "--dry-run", "--json").out)
    assert plan["write demos"] == "artifacts/demos"


def test_quality_gate_is_judged_after_the_result_is_written(folder, run):
    """Untrained networks miss the gate: exit code 7, and the rollouts are there to look at."""
    words = ["rollout", "run/samples", "--episodes", "1", "--out", "gate", "--min-success", "1"]
    done = run(*words)
    assert done.code == 7
    assert done.err.splitlines()[-1].startswith("nnit: --min-success 1.0: not met")
    assert "rollouts" in done.out
    assert "None" not in done.out  # no seconds of clones that nobody asked for
    assert run("verify", "gate").code == 0
