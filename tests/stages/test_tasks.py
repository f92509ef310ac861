"""One generator for several tasks: several zoos, a task to sample, a task that is added."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from learning_examples import INTERFACE, OTHER, make_zoo, worker_settings
from tiny_pipeline import (
    ORIGIN,
    PARAMS,
    PARAMS_NAME,
    Recorder,
    names,
    tree,
    with_section,
    write_params,
)

from nnit.artifacts.demos import write_demos
from nnit.artifacts.model import read_model, write_model
from nnit.artifacts.reading import open_artifact
from nnit.artifacts.samples import read_samples
from nnit.artifacts.tokens import read_tokens
from nnit.artifacts.zoo import write_zoo
from nnit.demos import Demos
from nnit.errors import DamagedArtifactError, InterruptedRunError, UsageError, WrongKindError
from nnit.generators.generation import growth_of
from nnit.generators.trained import load_generator, read_generator
from nnit.mlp import forward, split_layers
from nnit.patterns import ArchitectureBounds
from nnit.progress import silent
from nnit.tokens.tokenizer import untokenize
from nnit_cli.main import main
from stages import diffuse_train, frontier, sample, tokenize
from stages.params import DiffuseTrainParams, RunOptions

PUSH, PICK = INTERFACE.task, OTHER.task
SHAPES = [(8,), (20, 8), (24, 24), (8, 16), (16,), (8, 8)]
FURTHER_SHAPES = [(8,), (16,)]  # neither as wide nor as deep
WIDER_SHAPES = [(8,), (28, 16)]  # with a width that no other zoo has
WIDE = with_section(PARAMS, "architectures", widths_max=28)
WIDE_ORIGIN = replace(ORIGIN, params={"architectures": WIDE.architectures.model_dump(mode="json")})
OPTIONS = RunOptions(device="cpu", workers=1)

pytestmark = pytest.mark.seconds


def cut(folder: Path, out: str, *zoos: str, params=PARAMS):
    """Tokenize zoos of a folder."""
    first, *further = (folder / name for name in zoos)
    inputs = tokenize.Inputs(first, tuple(further))
    return tokenize.run(params, inputs, tokenize.Outputs(folder / out), options=OPTIONS)


def train(
    tokens: Path, out: Path, parent=None, params=PARAMS, progress=silent, demos=(), **options
):
    """Train a generator."""
    diffuse_train.run(
        params,
        diffuse_train.Inputs(tokens, parent, demos),
        diffuse_train.Outputs(out),
        options=RunOptions(**{"device": "cpu", "workers": 1, **options}),
        progress=progress,
    )


def draw(generator: Path, out: Path, task=None, patterns=((16, 8), None)):
    """Sample; return the samples and their artifact."""
    inputs = sample.Inputs(generator, patterns, ArchitectureBounds(), None, task)
    sample.run(PARAMS, inputs, sample.Outputs(out), options=OPTIONS)
    return read_samples(out, check="all")


@pytest.fixture(scope="module")
def several(tmp_path_factory) -> Path:
    """Zoos of two tasks, tokens of each and of both, generators of one and of both."""
    folder = tmp_path_factory.mktemp("several")
    with worker_settings():
        write_params(folder / PARAMS_NAME)
        write_zoo(folder / "push", make_zoo(SHAPES), ORIGIN)
        further = make_zoo(FURTHER_SHAPES, seed=50, interface=OTHER)
        write_zoo(folder / "pick", further, ORIGIN)
        cut(folder, "tokens-push", "push")
        cut(folder, "tokens-pick", "pick")
        cut(folder, "tokens", "push", "pick")
        train(folder / "tokens-push", folder / "generator-push")
        train(folder / "tokens", folder / "generator")
    return folder


def test_one_zoo_gives_what_it_always_gave(several, tmp_path):
    """Nothing in the artifacts of one task tells that there could be several."""
    artifact = open_artifact(several / "tokens-push")
    assert artifact.manifest.parents == {"zoo": open_artifact(several / "push").digest}
    assert artifact.manifest.attributes.keys() == {"interface", "patch_size", "standardizer"}
    stored, artifact = read_model(several / "generator-push", "generator")
    assert artifact.manifest.schema == 1
    assert artifact.manifest.parents.keys() == {"tokens"}
    assert artifact.manifest.attributes.keys() == {
        "config", "interface", "loss_curve", "patch_size", "standardizer"
    }  # fmt: skip
    assert "num_tasks" not in stored.config
    assert "task_in.weight" not in stored.tensors
    for name, task in (("said", PUSH), ("not-said", None)):
        _, artifact = draw(several / "generator-push", tmp_path / name, task)
        assert "task" not in artifact.manifest.params
    assert tree(tmp_path / "said") == tree(tmp_path / "not-said")


def test_tokens_of_two_zoos_are_those_of_each(several):
    """Networks, branches and statistics of each task as if alone; both zoos are parents."""
    both, artifact = read_tokens(several / "tokens", check="all")
    alone = [read_tokens(several / f"tokens-{name}")[0] for name in ("push", "pick")]
    assert both.interfaces == (INTERFACE, OTHER)
    assert both.standardizers == tuple(one.standardizers[0] for one in alone)
    assert both.tasks.tolist() == [0] * len(SHAPES) + [1] * len(FURTHER_SHAPES)
    for name in ("weight_patches", "bias_patches", "branches", "losses"):
        expected = np.concatenate([getattr(one, name) for one in alone])
        assert getattr(both, name).tobytes() == expected.tobytes()
    assert artifact.manifest.parents == {
        f"zoo {PUSH}": open_artifact(several / "push").digest,
        f"zoo {PICK}": open_artifact(several / "pick").digest,
    }


def test_branches_need_not_be_told(several, tmp_path):
    """All networks are of one then; nothing else is another."""
    params = with_section(PARAMS, "tokenize", branches=False)
    inputs = tokenize.Inputs(several / "push")
    tokenize.run(params, inputs, tokenize.Outputs(tmp_path / "out"), options=OPTIONS)
    told, untold = (read_tokens(path)[0] for path in (several / "tokens-push", tmp_path / "out"))
    assert (set(told.branches), set(untold.branches)) == ({0, 1}, {0})
    for name in ("weight_patches", "bias_patches", "losses", "tasks"):
        np.testing.assert_array_equal(getattr(told, name), getattr(untold, name))


def test_shuffled_networks_do_what_they_did(several, tmp_path):
    """In an order of units of their own, each another; what made them is said."""
    inputs = tokenize.Inputs(several / "push", shuffled=True)
    tokenize.run(PARAMS, inputs, tokenize.Outputs(tmp_path / "out"), options=OPTIONS)
    tokens, artifact = read_tokens(tmp_path / "out")
    assert artifact.manifest.params["shuffled"] is True
    assert "shuffled" not in open_artifact(several / "tokens-push").manifest.params
    found, straight = untokenize(tokens), untokenize(read_tokens(several / "tokens-push")[0])
    seen = np.random.default_rng(0).normal(size=(20, INTERFACE.obs_dim)).astype(np.float32)
    for one, other in zip(found, straight, strict=True):
        assert one.hidden_dims == other.hidden_dims
        spec = INTERFACE.spec(one.hidden_dims)
        ours, theirs = (split_layers(spec, network.weights) for network in (one, other))
        np.testing.assert_allclose(forward(ours, seen), forward(theirs, seen), atol=1e-4)
        before = ours[0].bias.tolist(), theirs[0].bias.tolist()
        assert sorted(before[0]) == pytest.approx(sorted(before[1]), abs=1e-5)
        assert before[0] != pytest.approx(before[1], abs=1e-5)


def test_two_zoos_of_one_task_are_refused(several, tmp_path):
    """One line that names both, and nothing written; also where the scaling differs."""
    other = INTERFACE._replace(obs_mean=(0.0,) * 6)
    write_zoo(tmp_path / "other", make_zoo(SHAPES, interface=other), ORIGIN)
    for second in (several / "push", tmp_path / "other"):
        inputs = tokenize.Inputs(several / "push", (several / "pick", second))
        with pytest.raises(UsageError, match="give one zoo for each task") as caught:
            tokenize.run(PARAMS, inputs, tokenize.Outputs(tmp_path / "out"), options=OPTIONS)
        (line,) = caught.value.faults
        assert line.startswith(f"{second}: is a zoo of {PUSH}, as {several / 'push'} is")
    assert names(tmp_path) == ["other"]


def test_a_task_is_asked_for_no_more_than_its_zoo_has(several, tmp_path):
    """Architectures that are generated, and what is grown: a task's own depths and widths."""
    generators = [load_generator(several / "generator", "cpu", task) for task in (PUSH, PICK)]
    assert [one.values for one in generators] == [((1, 2), (8, 16, 20, 24)), ((1,), (8, 16))]
    (found, _) = draw(several / "generator", tmp_path / "out", PICK, (None,) * 8)
    assert {one.network.hidden_dims for one in found.samples} <= set(FURTHER_SHAPES)
    cores = [growth_of(one, one.interface.spec((24, 24))).core for one in generators]
    assert cores == [(24, 24), (16,)]


@pytest.mark.parametrize("interface", [INTERFACE, OTHER])
def test_a_sample_has_the_sizes_of_its_task(several, tmp_path, interface):
    """Interface, number of weights, and the task among what decides the artifact."""
    found, artifact = draw(several / "generator", tmp_path / "out", interface.task)
    assert found.interface == interface
    assert artifact.manifest.params["task"] == interface.task
    for one in found.samples:
        expected = interface.spec(one.network.hidden_dims).num_parameters
        assert len(one.network.weights) == expected


def test_each_task_has_branches_and_statistics_of_its_own(several):
    """Two branches each, no row in common."""
    places = [load_generator(several / "generator", "cpu", task).place for task in (PUSH, PICK)]
    assert places == [(0, range(2)), (1, range(2, 4))]
    tokens, _ = read_tokens(several / "tokens")
    for task, expected in zip((PUSH, PICK), tokens.standardizers, strict=True):
        assert load_generator(several / "generator", "cpu", task).standardizer == expected


@pytest.mark.parametrize(
    ("name", "task", "line"),
    [
        ("generator", None, "{}: knows PushCube-v1, PickCube-v1; choose one with --task"),
        (
            "generator",
            "PickCub-v1",
            "--task PickCub-v1: {} was not trained on it, did you mean PickCube-v1? "
            "it knows PushCube-v1, PickCube-v1",
        ),
        (
            "generator-push",
            "Walk",
            "--task Walk: {} was not trained on it; it knows PushCube-v1",
        ),
    ],
)
@pytest.mark.parametrize("command", ["sample", "frontier"])
def test_a_task_that_is_not_known_is_one_line(several, tmp_path, capsys, command, name, task, line):
    """Exit code 2, what there is, and nothing written; params.yaml chooses no task."""
    model = several / name
    words = [command, "--model", str(model), "--out", str(tmp_path / "out"), "--quiet"]
    words += ["--params", str(several / PARAMS_NAME), *(["--task", task] if task else [])]
    assert main(words) == 2
    assert capsys.readouterr().err == f"nnit: {line.format(model)}\n"
    assert names(tmp_path) == []


def test_commands_take_zoos_a_task_and_a_parent(several, tmp_path):
    """The three flags in a row, and a dry run that checks every input."""
    shared = ["--params", str(several / PARAMS_NAME), "--quiet"]
    zoos = [str(several / "push"), str(several / "pick")]
    tokens, generator = tmp_path / "tokens", tmp_path / "generator"
    assert main(["tokenize", *zoos, "--out", str(tokens), *shared]) == 0
    assert tree(tokens) == tree(several / "tokens")
    parent = str(several / "generator-push")
    words = ["diffuse-train", str(tokens), "--from", parent, "--steps", "2"]
    assert main([*words, "--dry-run", *shared]) == 0
    assert main([*words, "--out", str(generator), *shared]) == 0
    words = ["sample", "--model", str(generator), "--task", PICK, "--arch", "8,8", *shared]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    assert read_samples(tmp_path / "out")[0].interface == OTHER
    words = ["tokenize", zoos[0], str(tmp_path / "nowhere"), "--out", str(tmp_path / "free")]
    assert main([*words, "--dry-run", *shared]) == 4


def test_the_frontier_generates_what_sample_gives(several, tmp_path):
    """In a worker, for each task."""
    for task in (PUSH, PICK):
        generator = load_generator(several / "generator", "cpu", task)
        unit = frontier.SampleUnit(generator, "cpu", ((16,), (8,)), 0, 2)
        found, _ = draw(several / "generator", tmp_path / task, task, ((16,), (8,)))
        for weights, one in zip(frontier.sample_shapes(unit).values(), found.samples, strict=True):
            assert weights.tobytes() == one.network.weights.tobytes()


@pytest.mark.parametrize("parent", [None, "generator-push"])
def test_training_on_several_tasks_goes_on_where_it_stopped(several, tmp_path, parent):
    """Interrupted twice it ends in the bytes of one go, fresh or from another generator."""
    parent = parent and several / parent
    train(several / "tokens", tmp_path / "whole", parent)
    for _ in range(2):
        with pytest.raises(InterruptedRunError):
            train(several / "tokens", tmp_path / "out", parent, progress=Recorder(3), resume=True)
    train(several / "tokens", tmp_path / "out", parent, resume=True)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
    assert names(tmp_path) == ["out", "whole"]


def write_demonstrations(path: Path, interface, seed: int = 0) -> Path:
    """Write noise as demonstrations of a task."""
    rng = np.random.default_rng(seed)
    demos = Demos(
        observations=rng.standard_normal((30, interface.obs_dim), np.float32),
        actions=rng.uniform(-1, 1, (30, interface.act_dim)).astype(np.float32),
        episode_ends=np.array([10, 30]),
        success_once=np.ones(2, bool),
        success_at_end=np.ones(2, bool),
        seeds=np.arange(2),
        interface=interface,
    )
    write_demos(path, demos, ORIGIN)
    return path


def test_predicted_networks_clone_the_demonstrations_of_their_tasks(several, tmp_path):
    """In any order; the manifest names them, and what is learnt is something else."""
    push, pick = (write_demonstrations(tmp_path / i.task, i) for i in (INTERFACE, OTHER))
    for name, demos in {"one": (push, pick), "two": (pick, push), "without": ()}.items():
        train(several / "tokens", tmp_path / name, demos=demos)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert tree(tmp_path / "one") != tree(tmp_path / "without")
    manifest = open_artifact(tmp_path / "one").manifest
    assert manifest.parents.keys() == {"tokens", f"demos {PUSH}", f"demos {PICK}"}
    assert manifest.params["cloning_share"] == PARAMS.diffuse_train.cloning_share
    assert "cloning_share" not in open_artifact(tmp_path / "without").manifest.params


def test_classes_are_held_to_their_weights_alone(tmp_path):
    """A line says so, and the generator is the one without demonstrations."""
    classes = INTERFACE._replace(task="digits", output="class")
    write_zoo(tmp_path / "zoo", make_zoo(FURTHER_SHAPES, interface=classes), ORIGIN)
    cut(tmp_path, "tokens", "zoo")
    demos = write_demonstrations(tmp_path / "demos", classes)
    progress = Recorder()
    train(tmp_path / "tokens", tmp_path / "with", progress=progress, demos=(demos,))
    assert progress.notes == [
        "diffuse-train: digits has classes, not actions: what is predicted of it is held to its "
        "weights alone"
    ]
    train(tmp_path / "tokens", tmp_path / "without")
    assert tree(tmp_path / "with") == tree(tmp_path / "without")


def test_demonstrations_that_do_not_fit_are_one_line(several, tmp_path):
    """Of some tasks, of one task twice, of a task without networks, scaled in another way."""
    push, pick = (write_demonstrations(tmp_path / i.task, i) for i in (INTERFACE, OTHER))
    again = write_demonstrations(tmp_path / "again", INTERFACE, seed=1)
    scaled = write_demonstrations(tmp_path / "scaled", OTHER._replace(obs_mean=(0.0,) * 9))
    before = names(tmp_path)
    for demos, tokens, line in (
        ((push,), "tokens", f"--demos: none is of {PICK}; give demonstrations of each task of "),
        ((push, again, pick), "tokens", f"--demos {again}: is of {PUSH}, as other demonstrations"),
        ((push,), "tokens-pick", f"{push}: does not belong to {several / 'tokens-pick'}: found"),
        ((push, scaled), "tokens", f"{scaled}: does not belong to {several / 'tokens'}: they diff"),
    ):
        with pytest.raises((UsageError, WrongKindError)) as caught:
            train(several / tokens, tmp_path / "out", demos=demos)
        (fault,) = caught.value.faults
        assert fault.startswith(line)
    assert names(tmp_path) == before


def test_going_on_begins_with_what_was_learnt(several, tmp_path):
    """After one step at almost no rate the rows of the old task are still those of the parent."""
    params = with_section(PARAMS, "diffuse-train", steps=1, learning_rate=1e-9)
    train(several / "tokens", tmp_path / "out", several / "generator-push", params)
    old, new = (read_generator(path) for path in (several / "generator-push", tmp_path / "out"))
    theirs, ours = old.model.state_dict(), new.model.state_dict()
    codes = [f"codes.{side}.{of}" for side in ("rows", "columns") for of in ("tasks", "branches")]
    rows = ("branch_in.weight", "arch_out.weight", "arch_out.bias")
    rows += ("typical.table", "typical.branches", *codes)
    for name in theirs.keys() - set(rows):
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-6, err_msg=name)
    np.testing.assert_allclose(
        ours["branch_in.weight"][[0, 1, -1]], theirs["branch_in.weight"], atol=1e-6
    )
    for name in ("typical.table", "typical.branches"):
        np.testing.assert_array_equal(ours[name][: len(theirs[name])], theirs[name])
    for name in codes:
        np.testing.assert_allclose(ours[name][: len(theirs[name])], theirs[name], atol=1e-6)
    np.testing.assert_allclose(ours["task_in.weight"][0], 0, atol=1e-6)
    assert float(ours["task_in.weight"][1].std()) > 0.1
    manifest = open_artifact(tmp_path / "out").manifest
    assert manifest.parents["generator"] == old.digest
    train(several / "tokens", tmp_path / "fresh", params=params)
    assert open_artifact(tmp_path / "fresh").manifest.parents.keys() == {"tokens"}
    assert tree(tmp_path / "fresh") != tree(tmp_path / "out")


def with_rank(rank, params=PARAMS):
    """Return parameters of a training beside a generator, or of all of it."""
    return with_section(params, "diffuse-train", adapter_rank=rank, steps=4)


def drawn(generator, task):
    """Return the networks that a generator gives for a task: of a shape, and of any."""
    out = generator.parent / f"samples-{generator.name}-{task}"
    samples, _ = read_samples(out) if out.exists() else draw(generator, out, task)
    return [one.network for one in samples.samples]


def extrapolated(generator, task):
    """Return the weights of a network that is wider than any, generated as a whole."""
    out = generator.parent / f"beyond-{generator.name}-{task}"
    params = with_section(PARAMS, "sample", beyond="extrapolate")
    inputs = sample.Inputs(generator, ((40, 8),), ArchitectureBounds(), None, task)
    sample.run(params, inputs, sample.Outputs(out), options=replace(OPTIONS, force=True))
    return read_samples(out)[0].samples[0].network.weights


def test_what_will_be_forgotten_is_said(several, tmp_path):
    """Tokens without a task that the parent knows, all trained: a note, and no such task after."""
    progress, tokens = Recorder(), several / "tokens-pick"
    out, parent = tmp_path / "out", several / "generator"
    train(tokens, out, parent, with_rank(0), progress=progress)
    assert progress.notes == [
        f"diffuse-train: {tokens} has no networks of {PUSH}; what {parent} knows of it will be "
        "forgotten"
    ]
    with pytest.raises(UsageError, match=f"it knows {PICK}"):
        load_generator(out, "cpu", PUSH)
    kept = Recorder()
    train(several / "tokens", tmp_path / "kept", parent, progress=kept)
    assert kept.notes == []


@pytest.mark.parametrize("first", ["generator-push", "generator"])
def test_a_further_task_is_added_and_the_others_are_left_alone(several, tmp_path, first):
    """To a generator of one task or two, twice: what it knew gives the very networks as before."""
    parent = tmp_path / first
    shutil.copytree(several / first, parent)
    known = [task.interface.task for task in read_generator(parent).tasks]
    more = (("third", FURTHER_SHAPES, PARAMS, ORIGIN), ("fourth", WIDER_SHAPES, WIDE, WIDE_ORIGIN))
    for number, (task, shapes, params, origin) in enumerate(more):
        zoo = make_zoo(shapes, seed=number, interface=OTHER._replace(task=task))
        write_zoo(tmp_path / task, zoo, origin)
        cut(tmp_path, f"tokens-{task}", task, params=params)
        out, progress = tmp_path / f"with-{task}", Recorder()
        train(tmp_path / f"tokens-{task}", out, parent, with_rank(3, params), progress=progress)
        assert progress.notes == []
        before, after = read_generator(parent), read_generator(out)
        assert after.tasks[:-1] == before.tasks
        assert (after.tasks[-1].interface.task, after.tasks[-1].adapter) == (task, number)
        assert all(factor.any() for factor in after.adapters[-1].values())
        for name in known:
            np.testing.assert_array_equal(extrapolated(out, name), extrapolated(parent, name))
            for ours, theirs in zip(drawn(out, name), drawn(parent, name), strict=True):
                assert ours.hidden_dims == theirs.hidden_dims
                np.testing.assert_array_equal(ours.weights, theirs.weights)
        assert (16, 8) in {one.hidden_dims for one in drawn(out, task)}
        assert load_generator(out, "cpu", task).values[1] == tuple(
            sorted({width for shape in shapes for width in shape})
        )
        parent, known = out, [*known, task]


def test_an_addition_that_is_interrupted_gives_the_same(several, tmp_path):
    """Resumed it writes the bytes of one that was not stopped."""
    tokens, parent = several / "tokens-pick", several / "generator-push"
    train(tokens, tmp_path / "whole", parent, with_rank(3))
    out = tmp_path / "out"
    with pytest.raises(InterruptedRunError, match="--resume"):
        train(tokens, out, parent, with_rank(3), progress=Recorder(stop_after=2))
    train(tokens, out, parent, with_rank(3), resume=True)
    assert tree(out) == tree(tmp_path / "whole")


def test_what_was_added_can_be_gone_on_with_alone(several, tmp_path):
    """It begins with the networks that were added; together with first tasks it is refused."""
    added, more = tmp_path / "added", tmp_path / "more"
    train(several / "tokens-pick", added, several / "generator-push", with_rank(3))
    little = with_section(PARAMS, "diffuse-train", steps=1, learning_rate=1e-9)
    train(several / "tokens-pick", more, added, little)
    (task,) = read_generator(more).tasks
    assert (task.interface, task.adapter) == (OTHER, None)
    ours, theirs = (
        draw(path, tmp_path / f"{path.name}-samples", PICK, ((16, 8),))[0] for path in (more, added)
    )
    for one, other in zip(ours.samples, theirs.samples, strict=True):
        np.testing.assert_allclose(one.network.weights, other.network.weights, atol=1e-3)
    with pytest.raises(UsageError, match="were added to it"):
        train(several / "tokens", tmp_path / "both", added, little)


ONES = np.ones((2, 2), np.float32)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("adapters.0.content_in.up", None, "content_in: products of"),
        ("adapters.0.content_in.up", ONES, "content_in: products of"),
        ("adapters.0.oracle.up", ONES, "oracle.up: beside no matrix"),
        ("adapters.x.content_in.up", ONES, "invalid literal"),
        ("adapters.7.content_in.up", ONES, "products of"),
    ],
)
def test_adapters_that_do_not_fit_are_damage(several, tmp_path, name, value, said):
    """Missing, superfluous, of another shape, of no task."""
    added, bad = tmp_path / "added", tmp_path / "bad"
    train(several / "tokens-pick", added, several / "generator-push", with_rank(3))
    stored, _ = read_model(added, "generator")
    tensors = {key: tensor for key, tensor in stored.tensors.items() if key != name}
    tensors |= {} if value is None else {name: value}
    kept = (stored.config, tensors, stored.interfaces, stored.attributes)
    write_model(bad, "generator", *kept, ORIGIN)
    with pytest.raises(DamagedArtifactError, match=said):
        read_generator(bad)


def test_a_task_may_come_more_often(several, tmp_path):
    """By its name, which has to be one of the tokens'; it trains another generator."""
    tokens = several / "tokens"
    params = with_section(PARAMS, "diffuse-train", weights={PICK: 3})
    train(tokens, tmp_path / "often", params=params)
    assert open_artifact(tmp_path / "often").manifest.params["weights"] == {PICK: 3}
    train(tokens, tmp_path / "alike")
    assert "weights" not in open_artifact(tmp_path / "alike").manifest.params
    often, alike = (tree(tmp_path / name) for name in ("often", "alike"))
    assert often["model.safetensors"] != alike["model.safetensors"]
    params = with_section(PARAMS, "diffuse-train", weights={"PokeCube-v1": 3})
    with pytest.raises(UsageError) as caught:
        train(tokens, tmp_path / "out", params=params)
    assert caught.value.faults == (
        f"--weights PokeCube-v1: {tokens} has no networks of it, but of {PUSH}, {PICK}",
    )


@pytest.mark.parametrize("word", ["PickCube-v1", "PickCube-v1=", "=2", "PickCube-v1=x"])
def test_a_weight_that_is_none_is_refused(word, capsys):
    """A task, an equals sign and a number."""
    assert main(["diffuse-train", "--weights", word]) == 2
    line = f"nnit: --weights {word}: expected TASK=NUMBER, as in PickCube-v1=2\n"
    assert capsys.readouterr().err == line


def test_sizes_that_were_not_chosen_are_the_parents(several, tmp_path):
    """A configuration that says nothing of them goes on from any generator."""
    section = DiffuseTrainParams(steps=1, tokens_per_batch=128)
    assert section.width != 32
    params = PARAMS.model_copy(update={"diffuse_train": section})
    train(several / "tokens", tmp_path / "out", several / "generator-push", params)
    params = open_artifact(tmp_path / "out").manifest.params
    assert (params["width"], params["mixed_share"]) == (32, 0.3)
    assert read_generator(tmp_path / "out").model.config.width == 32


def test_defaults_that_a_file_spells_out_are_no_choice_of_sizes(several, tmp_path):
    """But a flag is one, also where it says what is the default."""
    spelled = DiffuseTrainParams().model_dump(mode="json")
    write_params(tmp_path / "params.yaml", with_section(PARAMS, "diffuse-train", **spelled))
    tokens, parent = str(several / "tokens"), str(several / "generator-push")
    words = ["diffuse-train", tokens, "--from", parent, "--params", str(tmp_path / "params.yaml")]
    words += ["--steps", "1", "--tokens-per-batch", "128", "--out", str(tmp_path / "out"), "-q"]
    assert main(words) == 0
    assert open_artifact(tmp_path / "out").manifest.params["width"] == 32
    assert main([*words, "--force", "--width", "192"]) == 2


def test_a_parent_that_does_not_fit_is_one_line(several, tmp_path):
    """Other sizes, or another scaling of the same task; nothing is written."""
    params = with_section(PARAMS, "diffuse-train", width=16, depth=2)
    with pytest.raises(UsageError) as caught:
        train(several / "tokens", tmp_path / "out", several / "generator-push", params)
    assert caught.value.faults == (
        f"--from {several / 'generator-push'}: has width 32, depth 1, expected width 16, depth 2"
        "; give --width 32 --depth 1",
    )
    other = OTHER._replace(obs_mean=(0.0,) * 9)
    write_zoo(tmp_path / "other", make_zoo(FURTHER_SHAPES, interface=other), ORIGIN)
    cut(tmp_path, "tokens", "other")
    with pytest.raises(WrongKindError, match="they differ in obs_mean") as caught:
        train(tmp_path / "tokens", tmp_path / "out", several / "generator")
    assert len(caught.value.faults) == 1
    assert names(tmp_path) == ["other", "tokens"]
