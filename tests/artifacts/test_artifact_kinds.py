"""Every kind: what is read is what was written, and a value that contradicts itself is refused."""

import dataclasses
import json
import subprocess
import sys

import h5py
import numpy as np
import pytest
from artifact_examples import (
    CONFIG,
    INTERFACE,
    PARENT,
    TENSORS,
    demos,
    edit_manifest,
    evaluations,
    noise,
    provenance,
    replace_file,
    samples,
    tokens,
    trajectories,
    write,
    zoo,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnit.artifacts.demos import read_demos, write_demos
from nnit.artifacts.describe import describe, describe_path
from nnit.artifacts.manifest import KINDS, Provenance
from nnit.artifacts.model import read_model, write_model
from nnit.artifacts.reading import open_artifact
from nnit.artifacts.rollouts import Rollouts, eval_json, read_rollouts, write_rollouts
from nnit.artifacts.samples import read_samples, write_samples
from nnit.artifacts.tokens import read_tokens, write_tokens
from nnit.artifacts.zoo import read_zoo, write_zoo
from nnit.demos import Demos
from nnit.errors import DamagedArtifactError, WrongKindError
from nnit.mlp import forward, split_layers
from nnit.rollout.metrics import Episode, Evaluation
from nnit.tokens.token_set import TokenSet
from nnit.zoo.members import ModelZoo, ZooMember, build_zoo

READERS = {
    "demos": read_demos,
    "ghn": lambda path: read_model(path, "ghn"),
    "zoo": read_zoo,
    "tokens": read_tokens,
    "generator": lambda path: read_model(path, "generator"),
    "samples": read_samples,
    "rollouts": read_rollouts,
}
BRIEF = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def assert_same(one, other):
    """Fail unless two values are equal, arrays bit by bit."""
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()
    elif dataclasses.is_dataclass(one):
        for part in dataclasses.fields(one):
            assert_same(getattr(one, part.name), getattr(other, part.name))
    elif isinstance(one, tuple | list):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            assert_same(mine, theirs)
    else:
        assert one == other or (one != one and other != other)


def test_each_kind_reads_back_what_was_written(tmp_path):
    """Values, NaN for "not measured", interface, provenance and attributes survive."""
    expected = {
        "demos": demos(),
        "zoo": zoo(),
        "tokens": tokens(),
        "samples": samples(),
        "rollouts": Rollouts(evaluations(), INTERFACE),
    }
    for kind in KINDS:
        write(kind, tmp_path / kind)
        value, artifact = READERS[kind](tmp_path / kind)
        if kind in expected:
            assert_same(value, expected[kind])
        assert value.interface == INTERFACE
        manifest = artifact.manifest
        assert (manifest.kind, manifest.stage, manifest.seed) == (kind, "test", 7)
        assert manifest.params == {"rate": 0.1, "sizes": [1, 2], "name": None}
        assert manifest.parents == {"demos": PARENT}
    model, _ = read_model(tmp_path / "ghn", "ghn")
    assert model.config == CONFIG
    assert model.attributes == {"note": "x"}
    assert {name: value.tobytes() for name, value in model.tensors.items()} == {
        name: value.tobytes() for name, value in TENSORS.items()
    }
    assert model.tensors["scale"].shape == ()


def test_each_reader_refuses_every_other_kind(tmp_path):
    """No reader accepts the artifact of another kind."""
    for kind in KINDS:
        write(kind, tmp_path / kind)
    for kind, reader in READERS.items():
        for other in KINDS:
            if other != kind:
                with pytest.raises(WrongKindError, match=f"kind {other}, expected {kind}"):
                    reader(tmp_path / other)


@BRIEF
@given(episodes=st.integers(0, 40), seed=st.integers(0, 2**32))
def test_demos_of_any_length_come_back(episodes, seed, tmp_path):
    """No episodes, one or many."""
    value = demos(episodes, seed)
    write_demos(tmp_path / "demos", value, provenance(), force=True)
    assert_same(read_demos(tmp_path / "demos")[0], value)


ARCHITECTURES = st.lists(st.integers(1, 9), min_size=1, max_size=5).map(tuple)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@BRIEF
@given(
    members=st.lists(
        st.builds(
            ZooMember,
            ARCHITECTURES,
            st.integers(-1, 2**31 - 1),
            st.integers(0, 2**60),
            FLOATS,
            st.one_of(st.just(float("nan")), st.floats(0, 1)),
            st.sampled_from(["train", "unseen_combo", "deeper", "é"]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_any_zoo_comes_back(members, tmp_path):
    """Any mixture of depths, splits, losses and unmeasured success."""
    sizes = [INTERFACE.spec(member.hidden_dims).num_parameters for member in members]
    value = build_zoo(members, [noise(k, size) for k, size in enumerate(sizes)], INTERFACE)
    write_zoo(tmp_path / "zoo", value, provenance(), force=True)
    assert_same(read_zoo(tmp_path / "zoo")[0], value)


EPISODES = st.lists(
    st.builds(
        Episode,
        st.integers(0, 10**6),
        st.integers(0, 2**62),
        st.booleans(),
        st.booleans(),
        st.floats(-1e300, 1e300),
        st.integers(0, 10**6),
    ),
    min_size=1,
    max_size=5,
).map(tuple)


@BRIEF
@given(
    found=st.lists(
        st.builds(
            Evaluation,
            st.text(max_size=9),
            st.sampled_from(["sample", "ghn", "expert"]),
            st.lists(st.integers(1, 300), max_size=3).map(tuple),
            st.sampled_from(["", "train", "wider"]),
            EPISODES,
        ),
        max_size=5,
        unique_by=lambda evaluation: evaluation.name,
    )
)
def test_any_evaluations_come_back(found, tmp_path):
    """``eval.json`` holds everything, whatever the names; floats are exact."""
    value = Rollouts(tuple(found), INTERFACE)
    write_rollouts(tmp_path / "rollouts", value, provenance(), force=True)
    assert_same(read_rollouts(tmp_path / "rollouts")[0], value)


def test_eval_json_sums_by_source_and_kind():
    """Worked by hand: 6 of 8 episodes over two networks, the worse with 2 of 4."""
    summary = eval_json(evaluations())
    group = summary["aggregated"]["sample"]["unseen_combo"]
    assert group["success_once"] == 0.75
    assert group["success_once_min"] == 0.5
    assert (group["networks"], group["episodes"]) == (2, 8)
    low, high = group["wilson_95"]
    assert (round(low, 4), round(high, 4)) == (0.4093, 0.9285)
    assert set(summary["aggregated"]) == {"sample", "ghn", "expert"}
    assert summary["aggregated"]["ghn"]["unknown"]["success_once"] == 0
    second = summary["per_network"][1]["aggregated"]
    assert second["pc_success"] == 50
    assert second["return_mean"] == 1.5 * (0 + 1 + 2 + 3) / 4
    assert list(summary["per_network"][1]["per_episode"][3].values()) == [
        3, 503, False, False, 4.5, 50,
    ]  # fmt: skip


def test_aggregates_that_do_not_follow_are_refused(tmp_path):
    """A success rate that somebody improved by hand is damage, though the hashes agree."""
    path = tmp_path / "rollouts"
    write("rollouts", path)
    data = (path / "eval.json").read_bytes()
    replace_file(path, "eval.json", data.replace(b'"success_once": 0.5', b'"success_once": 0.9', 1))
    with pytest.raises(DamagedArtifactError, match="do not follow"):
        read_rollouts(path)


PLAIN_TORCH = """
import json, sys, torch
from safetensors.torch import load_file
folder = sys.argv[1]
config = json.load(open(folder + "/config.json"))
sizes = [config["obs_dim"], *config["architecture"], config["act_dim"]]
layers = []
for fan_in, fan_out in zip(sizes, sizes[1:]):
    layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
policy = torch.nn.Sequential(*layers[:-1])
policy.load_state_dict(load_file(folder + "/model.safetensors"))
x = torch.tensor([0.3, -0.4, 0.5]) - torch.tensor(config["obs_mean"])
x = x / torch.tensor(config["obs_std"])
x = x.clamp(-config["obs_clip"], config["obs_clip"])
assert not any(name.startswith("nnit") for name in sys.modules)
print(json.dumps(policy(x).clamp(-config["action_clip"], config["action_clip"]).tolist()))
"""


def test_a_sample_runs_in_plain_torch(tmp_path):
    """Torch and safetensors alone load a network and compute what nnit computes."""
    value = samples(3)
    write_samples(tmp_path / "samples", value, provenance())
    folder = tmp_path / "samples" / "network-0001"
    command = [sys.executable, "-W", "ignore", "-c", PLAIN_TORCH, str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr
    network = value.samples[1].network
    layers = split_layers(INTERFACE.spec(network.hidden_dims), network.weights)
    x = INTERFACE.standardise(np.array([0.3, -0.4, 0.5], np.float32))
    np.testing.assert_allclose(
        json.loads(result.stdout), np.clip(forward(layers, x), -1, 1), atol=1e-6
    )


def test_trajectories_are_in_maniskills_format(tmp_path):
    """Episodes in the JSON point to groups of the h5 that hold what was seen and done."""
    write("rollouts", tmp_path / "rollouts")
    index = json.loads((tmp_path / "rollouts" / "trajectory.json").read_bytes())
    assert index["env_info"]["env_id"] == INTERFACE.task
    with h5py.File(tmp_path / "rollouts" / "trajectory.h5", "r") as file:
        for episode, expected in zip(index["episodes"], trajectories(), strict=True):
            group = file[f"traj_{episode['episode_id']}"]
            assert episode["episode_seed"] == expected.seed
            assert episode["elapsed_steps"] == len(group["actions"]) == 5
            assert_same(group["obs"][:], expected.observations)
            assert_same(group["actions"][:], expected.actions)
            assert_same(group["env_states/actors/cube"][:], expected.env_states["actors/cube"])
            assert group["truncated"][:].tolist() == [False] * 4 + [True]


def changed(value, **parts):
    """Return a copy of a frozen value with parts replaced."""
    return dataclasses.replace(value, **parts)


def spoiled(array, position, value):
    """Return a copy of an array with one element changed."""
    copy = array.copy()
    copy.reshape(-1)[position] = value
    return copy


@pytest.mark.parametrize(
    ("write_value", "value"),
    [
        (write_demos, changed(demos(), observations=spoiled(demos().observations, 1, np.nan))),
        (write_demos, changed(demos(), actions=demos().actions[:-1])),
        (write_demos, changed(demos(), actions=demos().actions.astype(np.float64))),
        (write_demos, changed(demos(), episode_ends=demos().episode_ends[::-1].copy())),
        (write_demos, changed(demos(), episode_ends=demos().episode_ends - 1)),
        (write_demos, changed(demos(), interface=INTERFACE._replace(obs_std=(1.0, 0.0, 1.0)))),
        (write_demos, changed(demos(), interface=INTERFACE._replace(obs_mean=(1.0,)))),
        (write_zoo, changed(zoo(), weights=spoiled(zoo().weights, 3, np.inf))),
        (write_zoo, changed(zoo(), weights=zoo().weights[:-1])),
        (write_zoo, changed(zoo(), offsets=spoiled(zoo().offsets, 1, 2))),
        (write_zoo, changed(zoo(), members=zoo().members[:-1])),
        (write_zoo, changed(zoo(), members=(zoo().members[0]._replace(success=1.5),))),
        (write_tokens, changed(tokens(), patch_size=3)),
        (write_tokens, changed(tokens(), weight_patches=tokens().weight_patches[1:])),
        (write_tokens, changed(tokens(), bias_offsets=spoiled(tokens().bias_offsets, 2, 0))),
        (write_tokens, changed(tokens(), losses=spoiled(tokens().losses, 0, np.nan))),
        (write_rollouts, Rollouts(evaluations() * 2, INTERFACE)),
        (write_rollouts, Rollouts((evaluations()[0]._replace(episodes=()),), INTERFACE)),
    ],
)
def test_a_value_that_contradicts_itself_is_not_written(write_value, value, tmp_path):
    """What could not be read back is refused before anything is on disk."""
    with pytest.raises(ValueError, match=r"\w"):
        write_value(tmp_path / "out", value, provenance())
    assert not list(tmp_path.iterdir())


def test_a_model_must_be_finite_float32(tmp_path):
    """Diverged weights and other types are refused before anything is on disk."""
    for array in (np.array([np.nan], np.float32), np.ones(2)):
        with pytest.raises(ValueError, match="tensor w"):
            write_model(tmp_path / "out", "ghn", {}, {"w": array}, INTERFACE, {}, provenance())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "edit"),
    [
        ("demos", lambda a: a["interface"].update(obs_dim=4)),
        ("demos", lambda a: a["interface"].update(obs_dim=2**50)),
        ("demos", lambda a: a["interface"].update(obs_std=[1, 1, 0])),
        ("demos", lambda a: a["interface"].update(horizon="50")),
        ("demos", lambda a: a["interface"].update(task="../x y")),
        ("demos", lambda a: a["interface"].update(more=1)),
        ("demos", lambda a: a.pop("interface")),
        ("ghn", lambda a: a.update(config=3)),
        ("zoo", lambda a: a.update(splits=[])),
        ("zoo", lambda a: a.update(splits=["train", 3])),
        ("zoo", lambda a: a["interface"].update(act_dim=3)),
        ("tokens", lambda a: a.update(patch_size=4)),
        ("tokens", lambda a: a.update(patch_size=0)),
        ("tokens", lambda a: a["standardizer"].update(bias_std=[1, 1, -1])),
        ("tokens", lambda a: a["standardizer"].update(bias_std=[1, 1])),
        ("samples", lambda a: a.update(networks=3)),
        ("samples", lambda a: a["interface"].update(obs_clip=5.0)),
        ("rollouts", lambda a: a["interface"].update(action_clip=0)),
    ],
)
def test_attributes_that_contradict_the_data_are_damage(kind, edit, tmp_path):
    """A sealed manifest whose attributes do not fit the arrays is refused by name."""
    write(kind, tmp_path / kind)
    edit_manifest(tmp_path / kind, lambda fields: edit(fields["attributes"]))
    with pytest.raises(DamagedArtifactError, match=kind):
        READERS[kind](tmp_path / kind)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"architecture": [\n  4,\n  5\n ]', b'"architecture": [\n  5,\n  4\n ]'),
        (b'"architecture": [\n  4,\n  5\n ]', b'"architecture": [\n  0\n ]'),
        (b'"architecture": [\n  4,\n  5\n ]', b'"architecture": []'),
        (b'"obs_clip": 10.0', b'"obs_clip": 11.0'),
        (b'"sample_index": 0', b'"sample_index": -1'),
    ],
)
def test_a_configuration_that_contradicts_its_network_is_damage(old, new, tmp_path):
    """Shapes, bounds and interface of ``config.json`` are compared with the rest."""
    path = tmp_path / "samples"
    write("samples", path)
    name = "network-0000/config.json"
    data = (path / name).read_bytes()
    assert data.count(old) == 1
    replace_file(path, name, data.replace(old, new))
    with pytest.raises(DamagedArtifactError, match="network-0000"):
        read_samples(path)


def test_reserved_attributes_cannot_be_overwritten(tmp_path):
    """A caller's attribute cannot take the place of the format's own."""
    with pytest.raises(ValueError, match="interface"):
        write_zoo(tmp_path / "zoo", zoo(), provenance(), attributes={"interface": 1})


def test_provenance_is_plain_json():
    """Numpy numbers become plain ones; NaN, arrays and false digests are refused."""
    numbers = {"a": np.int64(3), "b": np.float32(0.5), "c": (np.float64(0.1),)}
    assert Provenance("x", numbers, 0).params == {"a": 3, "b": 0.5, "c": [0.1]}
    for params in ({"a": float("nan")}, {"a": np.ones(2)}, {1: 2}, {"a": {1, 2}}):
        with pytest.raises((TypeError, ValueError)):
            Provenance("x", params, 0)
    with pytest.raises(ValueError, match="parent zoo"):
        Provenance("x", {}, 0, {"zoo": "12"})


def test_every_kind_can_be_described(tmp_path):
    """The summary is JSON, holds the origin, and counts what the kind is about."""
    content = {}
    for kind in KINDS:
        write(kind, tmp_path / kind)
        summary = describe(open_artifact(tmp_path / kind))
        assert json.loads(json.dumps(summary, allow_nan=False)) == describe_path(tmp_path / kind)
        assert (summary["kind"], summary["parents"]) == (kind, {"demos": PARENT})
        content[kind] = summary["content"]
    assert content["zoo"]["architectures"] == {"4,5": 2, "2": 1, "3,2,3": 1}
    assert content["zoo"]["depths"] == content["tokens"]["depths"] == [1, 2, 3]
    assert content["ghn"] == {"tensors": 3, "parameters": 17}
    assert content["demos"]["episodes"] == 3
    assert content["samples"]["networks"] == 2
    assert content["rollouts"]["aggregated"]["sample"]["unseen_combo"]["networks"] == 2


def test_the_values_that_are_read_are_the_types_of_their_rooms(tmp_path):
    """Readers return the data types that the rest of nnit works on."""
    types = {"demos": Demos, "zoo": ModelZoo, "tokens": TokenSet}
    for kind, type_ in types.items():
        write(kind, tmp_path / kind)
        assert type(READERS[kind](tmp_path / kind)[0]) is type_
