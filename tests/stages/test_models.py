"""A generator in Python, and the list of those that there are."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from generators_examples import install
from ruamel.yaml import YAML
from tiny_pipeline import PARAMS

import nnit as library
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.model import read_model, write_model
from nnit.artifacts.reading import open_artifact
from nnit.artifacts.rollouts import read_rollouts, write_rollouts
from nnit.artifacts.samples import read_samples
from nnit.errors import NnitError, UsageError, WrongKindError
from nnit.generators import names
from nnit.generators.choice import choose_task
from nnit.generators.policy import MlpPolicy
from nnit.mlp import CLASS, Network, split_layers
from nnit.policy import NumpyPolicy
from nnit_cli.main import main
from stages import card, diffuse_train, sample
from stages.models import list_models, stated_success, validate
from stages.params import RunOptions

REPOSITORY = Path(__file__).parents[2]
ARCHIVES = REPOSITORY / "tests/data/archives"
TASK = "PushCube-v1"
SHAPE = (16, 8)

pytestmark = pytest.mark.seconds


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """No generator comes with nnit, and none lies in or below the current folder."""
    monkeypatch.setattr(names, "BUNDLED", tmp_path / "no bundled one")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")


def test_python_gets_what_the_command_writes(pipeline, tmp_path):
    """Sample by sample, at the same seed; threads are as they were."""
    section = PARAMS.sample.model_copy(update={"samples": 2})
    params = PARAMS.model_copy(update={"sample": section})
    inputs = sample.Inputs(pipeline / "generator", (SHAPE,))
    options = RunOptions(seed=5, device="cpu")
    sample.run(params, inputs, sample.Outputs(tmp_path / "out"), options=options)
    written, _ = read_samples(tmp_path / "out")
    torch.set_num_threads(2)
    generator = library.load_generator(pipeline / "generator")
    policies = generator.sample(SHAPE, samples=2, seed=5, steps=section.steps)
    assert torch.get_num_threads() == 2
    assert generator.tasks == (TASK,)
    for one, policy in zip(written.samples, policies, strict=True):
        spec = written.interface.spec(SHAPE)
        for layer, (weight, bias) in zip(
            policy.layers[::2], split_layers(spec, one.network.weights), strict=True
        ):
            assert isinstance(layer, torch.nn.Linear)
            np.testing.assert_array_equal(layer.weight.detach(), weight)
            np.testing.assert_array_equal(layer.bias.detach(), bias)


def test_a_policy_answers_as_numpys_does(pipeline):
    """Raw observations in, also far out and not a number; any batch of them."""
    policy = library.generate(TASK, [16, 8], model=pipeline / "generator")
    assert (policy.task, policy.hidden_dims) == (TASK, SHAPE)
    parts = policy.layers[::2]
    flat = np.concatenate([p.detach().numpy().ravel() for one in parts for p in one.parameters()])
    numpys = NumpyPolicy(policy.interface, SHAPE, flat)
    raw = np.random.default_rng(0).standard_normal((2, 3, policy.interface.obs_dim))
    raw = raw.astype(np.float32)
    raw[1] *= 1e6
    raw[1, 2, 0] = np.nan
    with torch.no_grad():
        found = policy(torch.from_numpy(raw))
    for index in np.ndindex(2, 3):
        np.testing.assert_allclose(found[index], numpys(raw[index]), atol=1e-5)


def test_of_classes_a_policy_gives_a_number_each(pipeline):
    """The largest is the answer."""
    one = library.generate(TASK, SHAPE, model=pipeline / "generator")
    flat = np.concatenate([p.detach().numpy().ravel() for p in one.layers.parameters()])
    interface = one.interface._replace(output=CLASS)
    policy = MlpPolicy(Network(SHAPE, flat), interface)
    observation = np.linspace(-1, 1, interface.obs_dim).astype(np.float32)
    with torch.no_grad():
        outputs = policy(torch.from_numpy(observation))
    chosen = NumpyPolicy(interface, SHAPE, flat)(observation)
    assert outputs.argmax() == chosen.argmax()
    assert (outputs.numpy() != chosen).any()


@pytest.mark.parametrize(
    ("file", "old", "new", "code"),
    [
        ("model.safetensors", b"\x3f", b"\x3e", 5),
        ("manifest.json", b'"schema": 1', b'"schema": 99', 5),
        ("manifest.json", b"{", b"", 5),
    ],
)
def test_a_packaged_generator_that_is_not_whole_is_one_line(
    pipeline, tmp_path, monkeypatch, file, old, new, code
):
    """A byte of its weights, a newer schema, or half a manifest: the file is named."""
    shutil.copytree(pipeline / "generator", tmp_path / "common" / "generator")
    monkeypatch.setattr(names, "BUNDLED", tmp_path / "common")
    torn = tmp_path / "common" / "generator" / file
    data = torn.read_bytes()
    assert old in data
    torn.write_bytes(data.replace(old, new, 1))
    with pytest.raises(NnitError) as caught:
        library.generate(TASK, SHAPE, model="common")
    (line,) = caught.value.faults
    assert str(tmp_path / "common" / "generator") in line
    assert caught.value.exit_code == code


def test_a_task_that_another_generator_knows_is_told(pipeline, tmp_path, monkeypatch, bare):
    """One with a name; nothing where there is none, or where none of them can be read."""
    install(tmp_path / "site", pipeline / "generator", "arm", "1")
    torn = install(tmp_path / "site", pipeline / "generator", "torn", "1")
    (torn / "manifest.json").write_text("{")
    with pytest.raises(UsageError, match=r"it knows PokeCube-v1$"):
        choose_task(Path("here"), ["PokeCube-v1"], TASK)
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(UsageError, match=r"it knows PokeCube-v1; --model arm knows it$"):
        choose_task(Path("here"), ["PokeCube-v1"], TASK)


def test_what_cannot_be_generated_is_refused(pipeline):
    """In the words of the command, before anything is generated."""
    generator = library.load_generator(pipeline / "generator")
    with pytest.raises(UsageError, match=r"was not trained on it.* PushCube-v1"):
        generator.sample(SHAPE, task="PickCube-v1")
    with pytest.raises(UsageError, match="no hidden layer"):
        generator.sample([])
    with pytest.raises(UsageError, match="at least 1"):
        generator.sample(SHAPE, samples=0)


def test_the_lines_of_the_readme_run(tmp_path):
    """In an empty folder; five actions within their bounds come out."""
    block = re.compile(r"<!-- in-python -->\s*```python\n(.*?)```", re.DOTALL)
    (code,) = block.findall((REPOSITORY / "docs/guide.md").read_text())
    code += "\nassert actions.shape == (5, 4) and actions.abs().max() <= 1\n"
    code += "assert len(several) == 4 and several[0].hidden_dims == (64, 64)\n"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    tasks = library.load_generator("common").tasks
    assert (done.returncode, done.stdout) == (0, f"{tasks}\n"), done.stderr


def test_importing_nnit_is_quick():
    """Torch comes with the first generator, a simulator never."""
    code = "import sys, nnit; assert not {'torch', 'numpy', 'mani_skill'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import sys, nnit; nnit.generate; assert 'mani_skill' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert not hasattr(library, "sample")


def test_generators_are_listed_with_what_they_know(pipeline, tmp_path, bare):
    """Other kinds of artifacts are not, nor what other programs call a manifest."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "manifest.json").write_text('{"name": "a page"}')
    assert list_models(tmp_path) == []
    (one,) = list_models(pipeline)
    assert one.model.path == pipeline / "generator"
    assert (one.tasks, one.widths, one.depths) == ((TASK,), (8, 24), (1, 2))
    assert one.num_bytes > 0


def test_installed_generators_are_validated(pipeline, tmp_path, monkeypatch, bare):
    """A damaged one, and one that was made for another nnit, have a line each."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path / "site")
    source = pipeline / "generator"
    install(tmp_path / "site", source, "good", "1", "nnit>=0.1,<0.2", "nnit-other>=9")
    install(tmp_path / "site", source, "newer", "2", "nnit>=9")
    damaged = install(tmp_path / "site", source, "torn", "3") / "model.safetensors"
    data = bytearray(damaged.read_bytes())
    data[-1] ^= 1
    damaged.write_bytes(data)
    good, newer, torn = validate()
    assert (good.model.name, good.fault) == ("good", "")
    assert newer.fault.startswith(f"newer@2: made for nnit >=9, found {library.__version__}; ")
    assert str(damaged) in torn.fault


def test_commands_list_validate_and_use_an_installed_model(pipeline, tmp_path, nnit):
    """What is sampled from it goes under artifacts/, and not into the package."""
    site = tmp_path / "site"
    install(site, pipeline / "generator", "arm", "1")
    paths = {"PYTHONPATH": f"{site}:{REPOSITORY}", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    listed = nnit("models", "--json", **paths)
    (one,) = [found for found in json.loads(listed.stdout) if found["name"] == "arm"]
    assert (one["from"], one["version"], one["tasks"]) == ("package", "1", [TASK])
    assert "arm@1: whole, and fits\n" in nnit("models", "validate", **paths).stdout
    done = nnit("sample", "--arch", "8,8", "--model", "arm@1", "--json", **paths)
    assert json.loads(done.stdout)["outputs"] == {"samples": "artifacts/samples"}
    install(site, pipeline / "generator", "late", "2", "nnit>9")
    refused = nnit("models", "validate", **paths)
    assert refused.returncode == 5
    assert "arm@1: whole, and fits\n" in refused.stdout
    assert "late@2" not in refused.stdout
    assert refused.stderr.startswith("nnit: late@2: made for nnit >9, found 0.1")


@pytest.fixture
def model_folder(pipeline, tmp_path):
    """A model folder with the tiny pipeline's generator and a card out of its rollouts."""
    folder = tmp_path / "tiny"
    shutil.copytree(pipeline / "generator", folder / "generator")
    inputs = card.Inputs(folder / "generator", (pipeline,), "tiny")
    card.write_card(inputs, folder / "card.md")
    return folder


def test_a_card_says_what_was_measured(pipeline, model_folder):
    """Success of the rollouts, in the table and for hubs; the commands; what was held out."""
    text = (model_folder / "card.md").read_text()
    _, front, body = text.split("---\n", 2)
    model = YAML(typ="safe").load(front)["model-index"][0]
    (found,) = model["results"]
    evaluations = read_rollouts(pipeline / "rollouts")[0].evaluations
    for metric in found["metrics"]:
        mine = [
            one.success_once
            for one in evaluations
            if one.source == "sample" and metric["name"].endswith(f", {one.kind}")
        ]
        assert metric["value"] == round(sum(mine) / len(mine), 4)
    assert (model["name"], found["task"]["name"]) == ("tiny", TASK)
    samples = open_artifact(pipeline / "samples").manifest
    assert all(f" --arch {shape}" in body for shape in samples.params["architectures"])
    assert f"--seed {samples.seed}\n" in body
    assert f"| {TASK} | generated | unseen_combo |" in body
    assert "| never trained on | 8,8,8; 12,8; 16,8; 32 |" in body


def test_models_are_listed_with_the_success_that_their_cards_say(model_folder, nnit, bare):
    """The mean over kinds of shapes; a card that says it in other words says nothing."""
    (one,) = list_models(model_folder)
    text = (model_folder / "card.md").read_text()
    front = YAML(typ="safe").load(text.split("---\n", 2)[1])
    values = [one["value"] for one in front["model-index"][0]["results"][0]["metrics"]]
    assert one.success == {TASK: pytest.approx(sum(values) / len(values))}
    lines = nnit("models", "--folder", str(model_folder)).stdout.splitlines()
    rows = [line.split()[1:] for line in lines if str(model_folder) in line]
    assert any(TASK in row for row in rows)
    assert any(f"{one.success[TASK]:.3f}" in row for row in rows)
    for other in (
        "",
        "---\n",
        "---\n- [\n---\n",
        text.replace("value:", "worth:"),
        "---\n1\n---\n",
        '---\nx: !!int ""\n---\n',
    ):
        assert stated_success(other) == {}


def test_what_is_no_number_is_no_success(pipeline, tmp_path, bare, capsys):
    """JSON has no word for it."""
    folder = tmp_path / "tiny"
    shutil.copytree(pipeline / "generator", folder / "generator")
    some = "{task: {name: a}, metrics: [{value: .nan}, {value: 0.5}, {value: .inf}]}"
    none = "{task: {name: b}, metrics: [{value: .nan}]}"
    front = f"model-index: [{{results: [{some}, {none}]}}]"
    (folder / "card.md").write_text(f"---\n{front}\n---\n")
    assert main(["models", "--folder", str(folder), "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert one["success"] == {"a": 0.5}


def shorter(pipeline, out, networks):
    """Write rollouts of fewer episodes than the pipeline's, of the samples with a digest."""
    rollouts, artifact = read_rollouts(pipeline / "rollouts")
    cut = [one._replace(episodes=one.episodes[:1]) for one in rollouts.evaluations]
    origin = Provenance("rollout", artifact.manifest.params, 0, {"networks": networks})
    write_rollouts(out, replace(rollouts, evaluations=tuple(cut)), origin)


def test_a_card_counts_each_network_once(pipeline, model_folder, tmp_path):
    """In the rollouts with the most of its episodes."""
    shorter(pipeline, tmp_path / "short", open_artifact(pipeline / "samples").digest)
    inputs = card.Inputs(model_folder / "generator", (tmp_path / "short", pipeline), "tiny")
    card.write_card(inputs, tmp_path / "again.md")
    assert (tmp_path / "again.md").read_text() == (model_folder / "card.md").read_text()


def test_a_card_pools_rollouts_of_different_lengths(pipeline, model_folder, tmp_path):
    """Of different networks; the table says how many episodes there were."""
    origin = sample.Inputs(pipeline / "generator", (SHAPE, (12, 8)))
    options = RunOptions(device="cpu", seed=1)
    sample.run(PARAMS, origin, sample.Outputs(tmp_path / "more/samples"), options=options)
    networks = open_artifact(tmp_path / "more/samples").digest
    shorter(pipeline, tmp_path / "more/rollouts", networks)
    inputs = card.Inputs(model_folder / "generator", (pipeline, tmp_path / "more"), "tiny")
    summary = card.write_card(inputs, tmp_path / "card.md")
    assert summary.networks == 4
    row = f"| {TASK} | generated | unseen_combo | 2 x 1 to 2 |"
    assert row in (tmp_path / "card.md").read_text()


def test_a_card_has_the_words_that_made_the_networks():
    """Bounds, candidates and what chose among them; what was generated is not an empty word."""
    manifest = open_artifact(ARCHIVES / "schema-2/samples").manifest
    params = {
        "architectures": ["", "128,*,128", "8,8"],
        "bounds": {"max_params": 5000, "max_macs": None, "depth": 2},
        "task": TASK,
        "samples": 3,
        "steps": 10,
        "beyond": "grow",
        "best_of": 8,
    }
    asked = replace(manifest, stage="sample", seed=1, params=params, parents={"demos": "0"})
    assert card.command_of(asked) == (
        "nnit sample --arch '128,*,128' --arch 8,8 --demos demos --task PushCube-v1 "
        "--max-params 5000 --depth 2 --samples 3 --steps 10 --beyond grow --best-of 8 --seed 1"
    )
    plain = replace(asked, params={**params, "bounds": {}, "best_of": 1}, parents={})
    assert "--best-of" not in card.command_of(plain)
    assert "--demos" not in card.command_of(plain)


def test_what_is_installed_gets_no_card(pipeline, tmp_path, monkeypatch, bare, capsys):
    """The card of the generator that comes with nnit goes to artifacts."""
    shutil.copytree(pipeline / "generator", tmp_path / "nnit/generator")
    monkeypatch.setattr(names, "BUNDLED", tmp_path / "nnit")
    assert main(["card", str(pipeline)]) == 0
    assert [path.name for path in (tmp_path / "nnit").iterdir()] == ["generator"]
    assert Path("artifacts/card.md").is_file()
    assert "next:" not in capsys.readouterr().out  # nnit inspect shows a model's own card


def test_a_card_is_of_the_generators_own_networks(pipeline, model_folder, tmp_path):
    """Rollouts of others are refused, and so is a file that somebody else wrote."""
    stored, _ = read_model(model_folder / "generator", "generator")
    write_model(
        tmp_path / "other",
        "generator",
        stored.config,
        stored.tensors,
        stored.interfaces,
        stored.attributes,
        Provenance("diffuse-train", {"architectures": {}}, 1),
    )
    inputs = card.Inputs(tmp_path / "other", (pipeline,), "tiny")
    with pytest.raises(WrongKindError, match=r"rollouts: is not of networks of .* given too"):
        card.write_card(inputs, tmp_path / "other.md")
    own = card.Inputs(pipeline / "generator", (pipeline / "samples",), "tiny")
    with pytest.raises(UsageError, match="give rollouts of networks that it generated"):
        card.write_card(own, tmp_path / "other.md")
    (tmp_path / "notes.md").write_text("mine\n")
    whole = card.Inputs(pipeline / "generator", (pipeline,), "tiny")
    with pytest.raises(UsageError, match="is not what this command wrote before"):
        card.write_card(whole, tmp_path / "notes.md", force=True)


def test_a_card_that_was_edited_stays(pipeline, model_folder):
    """Whatever --force says; one of before there were digests is replaced, as ever."""
    inputs, path = (
        card.Inputs(pipeline / "generator", (pipeline,), "tiny"),
        model_folder / "card.md",
    )
    written = path.read_text()
    path.write_text(written.replace("## Limits\n", "## Limits\n\nDon't.\n"))
    with pytest.raises(UsageError, match="is not what this command wrote before"):
        card.write_card(inputs, path, force=True)
    path.write_text(f"{card.MARK}\n")
    card.write_card(inputs, path, force=True)
    assert path.read_text() == written
    card.write_card(inputs, path, force=True)


def test_inspect_shows_the_card_of_a_model(model_folder, nnit, pipeline):
    """Of a model folder; a bare artifact has none."""
    shown = nnit("inspect", str(model_folder)).stdout
    assert shown.endswith((model_folder / "card.md").read_text())
    assert "card" not in json.loads(nnit("inspect", "--json", str(pipeline / "generator")).stdout)
    assert "no such artifact" in nnit("inspect", "nothing").stderr


def test_a_generator_in_little_does_the_same_work(pipeline, tmp_path):
    """Factors in bfloat16: a smaller file that samples, and that a training goes on from."""
    section = PARAMS.diffuse_train.model_copy(update={"typical_rank": 2, "storage": "bfloat16"})
    params = PARAMS.model_copy(update={"diffuse_train": section})
    options = RunOptions(device="cpu")
    parent = None
    for name in ("first", "second"):
        inputs = diffuse_train.Inputs(pipeline / "tokens", parent)
        outputs = diffuse_train.Outputs(tmp_path / name)
        diffuse_train.run(params, inputs, outputs, options=options)
        parent = tmp_path / name
        small, whole = (open_artifact(path).manifest for path in (parent, pipeline / "generator"))
        assert small.schema == 3
        assert small.num_bytes < whole.num_bytes / 2
        (policy,) = library.load_generator(parent).sample(SHAPE)
        assert policy(torch.zeros(policy.interface.obs_dim)).abs().max() > 0


def test_sampling_does_not_import_torchs_compiler(tmp_path):
    """It takes a second, which comparing shapes on the meta device would cost."""
    words = ["sample", "--task", "PickCube-v1", "--model", "common", "--arch", "8", "-o", "out"]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nnit_cli", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (tmp_path / "out" / "manifest.json").is_file()
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "nnit.diffusion.transformer" in imported
    assert not imported & {"torch._dynamo", "torch._inductor", "sympy"}
