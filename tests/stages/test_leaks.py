"""A held-out architecture is refused at every stage where one could enter training."""

from pathlib import Path

import numpy as np
import pytest
from tiny_pipeline import HELD_OUT, ORIGIN, PARAMS, TRAINED_WITH, Recorder, names, run, with_section

from nnit.artifacts.demos import read_demos
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.tokens import write_tokens
from nnit.artifacts.zoo import read_zoo, write_zoo
from nnit.errors import LeakError, UsageError
from nnit.mlp import Architecture, format_architecture
from nnit.tokens.tokenizer import tokenize_zoo
from nnit.zoo import export
from nnit.zoo.members import ModelZoo, build_zoo
from stages import baseline, diffuse_train, sample
from stages.lineage import trained_on
from stages.params import Params, RunOptions

UNUSED = (24, 20)  # trainable, but no network of the zoo has it
NARROW = with_section(
    PARAMS,
    "architectures",
    widths_max=20,
    held_out=TRAINED_WITH["held_out"] | {"wider": [[24]]},
)


def with_planted(zoo: ModelZoo, hidden_dims: Architecture, split: str = "train") -> ModelZoo:
    """Return a zoo with one network more, of zeros."""
    weights = [zoo.network(k).weights for k in range(len(zoo))]
    planted = zoo.members[0]._replace(hidden_dims=hidden_dims, split=split)
    flat = np.zeros(zoo.interface.spec(hidden_dims).num_parameters, np.float32)
    return build_zoo([*zoo.members, planted], [*weights, flat], zoo.interface)


def holding_out(hidden_dims: Architecture) -> Params:
    """Return parameters that hold out one architecture more."""
    held_out = PARAMS.architectures.held_out.model_dump(mode="json")
    held_out["unseen_combo"].append(hidden_dims)
    return with_section(PARAMS, "architectures", held_out=held_out)


def write_narrow_zoo(pipeline: Path, folder: Path, *trained: Params) -> None:
    """Write the zoo's networks that are narrower than 24, as trained with these parameters."""
    zoo, _ = read_zoo(pipeline / "zoo")
    some = [k for k, member in enumerate(zoo.members) if max(member.hidden_dims) < 24]
    chosen, weights = [zoo.members[k] for k in some], [zoo.network(k).weights for k in some]
    sections = [params.architectures.model_dump(mode="json") for params in trained]
    origin = Provenance("planted", trained_on(*sections), 0)
    write_zoo(folder / "zoo", build_zoo(chosen, weights, zoo.interface), origin)


def assert_names(caught, hidden_dims: Architecture, where: Path) -> None:
    """Make sure that a leak is exit code 3 and its line says which architecture, and where."""
    assert caught.value.exit_code == 3
    (line,) = caught.value.faults
    assert line.startswith(f"{where}: ")
    assert format_architecture(hidden_dims) in line


@pytest.mark.parametrize("name", ["tokenize", "flat-train"])
@pytest.mark.parametrize("hidden_dims", HELD_OUT)
def test_zoo_with_a_held_out_network_is_not_used(hidden_dims, name, pipeline, tmp_path):
    """Of whatever kind: the line names the zoo and the architecture, and nothing is written."""
    zoo, _ = read_zoo(pipeline / "zoo")
    write_zoo(tmp_path / "zoo", with_planted(zoo, hidden_dims), ORIGIN)
    with pytest.raises(LeakError) as caught:
        run(name, tmp_path, tmp_path / "out")
    assert_names(caught, hidden_dims, tmp_path / "zoo")
    assert names(tmp_path) == ["zoo"]


@pytest.mark.parametrize("hidden_dims", HELD_OUT)
def test_tokens_of_a_held_out_network_are_not_learnt_from(hidden_dims, pipeline, tmp_path):
    """Whoever made them, and whatever split they were in: diffuse-train refuses them."""
    zoo, _ = read_zoo(pipeline / "zoo")
    tokens = tokenize_zoo(with_planted(zoo, hidden_dims, split="wider"), 8)
    write_tokens(tmp_path / "tokens", tokens, ORIGIN)
    with pytest.raises(LeakError) as caught:
        run("diffuse-train", tmp_path, tmp_path / "generator")
    assert_names(caught, hidden_dims, tmp_path / "tokens")
    assert names(tmp_path) == ["tokens"]


@pytest.mark.parametrize(
    ("name", "read"), [("tokenize", "zoo"), ("flat-train", "zoo"), ("diffuse-train", "tokens")]
)
def test_holding_out_a_trained_architecture_later_is_noticed(name, read, pipeline, tmp_path):
    """The zoo holds a network that the parameters of the next stages hold out."""
    zoo, _ = read_zoo(pipeline / "zoo")
    trained = zoo.members[0].hidden_dims
    with pytest.raises(LeakError) as caught:
        run(name, pipeline, tmp_path / "out", params=holding_out(trained))
    assert_names(caught, trained, pipeline / read)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "leaked"),
    [
        ({"held_out": {"unseen_combo": [[20, 8]], "unseen_width": []}}, (20, 8)),
        ({"held_out_widths": [20], "held_out": {"unseen_width": [[20, 24]]}}, (20, 24)),
        ({"widths_max": 16, "held_out": {"wider": [[24]]}}, (24,)),
        ({"depth_max": 1, "held_out": {"deeper": [[24, 24]]}}, (24, 24)),
    ],
)
def test_hypernetwork_that_saw_an_architecture_writes_no_zoo(changes, leaked, pipeline, tmp_path):
    """Held out now, by any rule, and trainable when the hypernetwork was trained: refused."""
    lists = {"unseen_combo": [], "unseen_width": [], "wider": [], "deeper": []}
    held_out = {**lists, **changes["held_out"]}
    params = with_section(PARAMS, "architectures", **{**changes, "held_out": held_out})
    with pytest.raises(LeakError) as caught:
        run("zoo-export", pipeline, tmp_path / "zoo", params=params)
    assert_names(caught, leaked, pipeline / "ghn")
    assert names(tmp_path) == []


def test_a_width_that_is_held_out_need_not_be_listed_with_others(pipeline, tmp_path):
    """It was in networks of the training, so that none that has it is unseen."""
    params = with_section(PARAMS, "architectures", held_out_widths=[12, 20])
    with pytest.raises(LeakError, match="are held out now: width 20; train it again") as caught:
        run("zoo-export", pipeline, tmp_path / "zoo", params=params)
    assert caught.value.exit_code == 3
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "read"), [("tokenize", "zoo"), ("flat-train", "zoo"), ("diffuse-train", "tokens")]
)
def test_what_a_hypernetwork_that_saw_it_wrote_is_not_used(name, read, pipeline, tmp_path):
    """Held out now, and trainable when the GHN was trained, though no network has it: refused."""
    zoo, _ = read_zoo(pipeline / "zoo")
    assert UNUSED not in {member.hidden_dims for member in zoo.members}
    with pytest.raises(LeakError, match="was trained on architectures that are held") as caught:
        run(name, pipeline, tmp_path / "out", params=holding_out(UNUSED))
    assert_names(caught, UNUSED, pipeline / read)
    assert names(tmp_path) == []


def test_a_generator_that_may_have_seen_them_does_not_write_held_out_shapes(pipeline, tmp_path):
    """Its networks would be reported as of shapes that no training saw; by name it writes them."""
    for held_out in (True, False):
        inputs = sample.Inputs(pipeline / "generator", (UNUSED,), held_out=held_out)
        outputs, params = sample.Outputs(tmp_path / "samples"), holding_out(UNUSED)
        if not held_out:
            sample.run(params, inputs, outputs, options=RunOptions(device="cpu"))
            continue
        with pytest.raises(LeakError) as caught:
            sample.run(params, inputs, outputs, options=RunOptions(device="cpu"))
        assert_names(caught, UNUSED, pipeline / "generator")
        assert names(tmp_path) == []


def test_no_baseline_is_made_of_networks_whose_hypernetwork_saw_it(pipeline, tmp_path):
    """The nearest network would come from a hypernetwork that learnt to write the shape."""
    with pytest.raises(LeakError) as caught:
        baseline.run(
            holding_out(UNUSED),
            baseline.Inputs(pipeline / "zoo", "nearest", (UNUSED,)),
            baseline.Outputs(tmp_path / "samples"),
            options=RunOptions(device="cpu"),
        )
    assert_names(caught, UNUSED, pipeline / "zoo")
    assert names(tmp_path) == []


def test_a_later_list_does_not_hide_an_earlier_training(pipeline, tmp_path):
    """A zoo exported with narrower widths still says what its GHN was trained on, and so on."""
    assert not NARROW.architectures.training_range().is_trainable((24,))
    write_narrow_zoo(pipeline, tmp_path, NARROW, PARAMS)
    plain = with_section(NARROW, "architectures", held_out=TRAINED_WITH["held_out"] | {"wider": []})
    run("tokenize", tmp_path, tmp_path / "tokens", params=plain)
    with pytest.raises(LeakError) as caught:
        run("diffuse-train", tmp_path, tmp_path / "generator", params=NARROW)
    assert_names(caught, (24,), tmp_path / "tokens")
    assert names(tmp_path) == ["tokens", "zoo"]


def test_what_was_trainable_is_said_once():
    """Equal sections are one; lists of earlier artifacts are taken apart."""
    assert trained_on(TRAINED_WITH, TRAINED_WITH) == {"architectures": TRAINED_WITH}
    other = {"widths_max": 4}
    both = trained_on(other, [TRAINED_WITH, other])
    assert both == {"architectures": [other, TRAINED_WITH]}
    assert trained_on(TRAINED_WITH, both["architectures"])["architectures"] == [TRAINED_WITH, other]


def test_generator_that_saw_an_architecture_is_not_gone_on_from(pipeline, tmp_path):
    """Its tokens were made without it; the generator that is gone on from was not."""
    write_narrow_zoo(pipeline, tmp_path, NARROW)
    run("tokenize", tmp_path, tmp_path / "tokens", params=NARROW)
    with pytest.raises(LeakError) as caught:
        diffuse_train.run(
            NARROW,
            diffuse_train.Inputs(tmp_path / "tokens", parent=pipeline / "generator"),
            diffuse_train.Outputs(tmp_path / "generator"),
            options=RunOptions(device="cpu"),
        )
    assert_names(caught, (24,), pipeline / "generator")
    assert names(tmp_path) == ["tokens", "zoo"]


def test_repeated_architecture_that_is_held_out(pipeline, tmp_path):
    """It is refused before any branch is trained."""
    params = with_section(PARAMS, "zoo-export", repeated=[HELD_OUT[0]])
    with pytest.raises(LeakError, match=r"^zoo_export.repeated: .*16,8"):
        run("zoo-export", pipeline, tmp_path / "zoo", params=params, progress=Recorder(0))
    assert names(tmp_path) == []


@pytest.mark.slow
def test_sampler_that_draws_a_held_out_architecture_writes_no_zoo(pipeline, tmp_path, monkeypatch):
    """A broken sampler is noticed before any of its networks is written."""
    monkeypatch.setattr(export, "sample_architecture", lambda *_: HELD_OUT[0])
    params = with_section(PARAMS, "zoo-export", branches=1, branch_steps=1)
    with pytest.raises(LeakError) as caught:
        run("zoo-export", pipeline, tmp_path / "zoo", params=params)
    assert_names(caught, HELD_OUT[0], tmp_path / "zoo")
    assert not (tmp_path / "zoo").exists()


def test_demonstrations_do_not_begin_where_the_evaluation_does(tmp_path):
    """Reset seeds that rollout will use are refused by demos, before any episode."""
    params = with_section(PARAMS, "demos", first_seed=1)
    with pytest.raises(UsageError, match=r"evaluation seeds 0 to 1: 1 is one of the dem") as caught:
        run("demos", tmp_path, tmp_path / "demos", params=params)
    assert caught.value.exit_code == 2
    assert names(tmp_path) == []


@pytest.mark.parametrize("cloned", [True, False])
def test_evaluation_does_not_begin_where_demonstrations_did(cloned, pipeline, tmp_path):
    """Reset seeds of the demonstrations that rollout is given are refused, cloning or not."""
    params = with_section(PARAMS, "rollout", first_seed=10_010, cloned_baseline=cloned)
    with pytest.raises(UsageError, match=r"seeds 10010 to 10011: 10010 is one of the dem"):
        run("rollout", pipeline, tmp_path / "rollouts", params=params)
    assert names(tmp_path) == []
    assert read_demos(pipeline / "demos")[0].seeds.max() == 10_010
