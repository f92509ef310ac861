"""Every kind: what is read is what was written, and a value that contradicts itself is refused."""

import dataclasses
import io
import json
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch
from artifact_examples import (
    CONFIG,
    EXAMPLES,
    INTERFACE,
    OTHER,
    PARENT,
    READERS,
    TENSORS,
    assert_same,
    demos,
    evaluations,
    noise,
    provenance,
    samples,
    tokens,
    tokens_of_two_tasks,
    trajectories,
    write,
    zoo,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnit.artifacts.canonical import MAX_NUMBER
from nnit.artifacts.checks import MAX_BRANCHES, MAX_STEPS
from nnit.artifacts.demos import read_demos, write_demos
from nnit.artifacts.describe import describe, describe_path
from nnit.artifacts.manifest import KINDS, Provenance
from nnit.artifacts.model import read_model, write_model
from nnit.artifacts.reading import open_artifact
from nnit.artifacts.rollouts import Rollouts, eval_json, read_rollouts, write_rollouts
from nnit.artifacts.samples import write_samples
from nnit.artifacts.tokens import read_tokens, write_tokens
from nnit.artifacts.trajectories import H5_NAME, trajectory_files
from nnit.artifacts.zoo import read_zoo, write_zoo
from nnit.demos import Demos
from nnit.errors import DamagedArtifactError, WrongKindError
from nnit.mlp import forward, split_layers
from nnit.rollout.metrics import Episode, Evaluation, success_level
from nnit.tokens.token_set import TokenSet
from nnit.zoo.members import ModelZoo, ZooMember, build_zoo

BRIEF = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

pytestmark = pytest.mark.seconds


def test_each_kind_reads_back_what_was_written(tmp_path):
    """Values, NaN for "not measured", interface, provenance and attributes survive."""
    for kind in KINDS:
        write(kind, tmp_path / kind)
        value, artifact = READERS[kind](tmp_path / kind)
        assert_same(value, EXAMPLES[kind].value())
        assert value.interface == INTERFACE
        manifest = artifact.manifest
        assert (manifest.kind, manifest.stage, manifest.seed) == (kind, "test", 7)
        assert manifest.params == {"rate": 0.1, "sizes": [1, 2], "name": None}
        assert manifest.parents == {"demos": PARENT}


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


def test_an_input_dropout_comes_back_and_none_is_not_written(tmp_path):
    """Demonstrations without, and those from before there was any, read as 0."""
    value = dataclasses.replace(demos(), input_dropout=0.2)
    write_demos(tmp_path / "some", value, provenance())
    assert_same(read_demos(tmp_path / "some")[0], value)
    write_demos(tmp_path / "none", demos(), provenance())
    found, artifact = read_demos(tmp_path / "none")
    assert found.input_dropout == 0
    assert set(artifact.manifest.attributes) == {"interface", "env_kwargs"}


ARCHITECTURES = st.lists(st.integers(1, 9), min_size=1, max_size=5).map(tuple)
LOSSES = st.floats(0, MAX_NUMBER)


@BRIEF
@given(
    members=st.lists(
        st.builds(
            ZooMember,
            ARCHITECTURES,
            st.integers(0, MAX_BRANCHES),
            st.integers(0, MAX_STEPS),
            LOSSES,
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
        st.floats(-MAX_NUMBER, MAX_NUMBER),
        st.integers(0, 10**6),
    ),
    min_size=1,
    max_size=5,
).map(tuple)


def in_same_states(found):
    """Give all networks the initial states of the first, as many as all have."""
    count = min((len(one.episodes) for one in found), default=0)
    seeds = [episode.seed for episode in found[0].episodes[:count]] if found else []
    return tuple(
        one._replace(
            episodes=tuple(
                episode._replace(seed=seed)
                for episode, seed in zip(one.episodes, seeds, strict=False)
            )
        )
        for one in found
    )


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
            st.none() | LOSSES,
        ),
        max_size=5,
        unique_by=lambda evaluation: evaluation.name,
    ).map(in_same_states)
)
def test_any_evaluations_come_back(found, tmp_path):
    """``eval.json`` holds everything, whatever the names; floats are exact."""
    value = Rollouts(found, INTERFACE)
    write_rollouts(tmp_path / "rollouts", value, provenance(), force=True)
    assert_same(read_rollouts(tmp_path / "rollouts")[0], value)


def test_a_film_of_a_shape_has_a_name_that_files_may_have(tmp_path):
    """A hypernetwork's networks are called by their widths."""
    value = Rollouts(tuple(evaluations()), INTERFACE)
    write_rollouts(tmp_path / "out", value, provenance(), films={"ghn-64,64": b"film"})
    assert (tmp_path / "out/videos/ghn-64-64.mp4").read_bytes() == b"film"
    assert "videos/ghn-64-64.mp4" in open_artifact(tmp_path / "out").manifest.files


def test_eval_json_sums_by_source_and_kind():
    """Worked by hand: 6 of 8 episodes over two networks, the worse with 2 of 4."""
    summary = eval_json(evaluations())
    group = summary["aggregated"]["sample"]["unseen_combo"]
    assert group["success_once"] == 0.75
    assert group["success_once_min"] == 0.5
    assert (group["networks"], group["episodes"]) == (2, 8)
    assert group["interval_95"] == list(success_level(evaluations()[:2]).interval)
    assert set(summary["aggregated"]) == {"sample", "ghn", "expert"}
    assert summary["aggregated"]["ghn"]["unknown"]["success_once"] == 0
    second = summary["per_network"][1]["aggregated"]
    assert second["pc_success"] == 50
    assert second["return_mean"] == 1.5 * (0 + 1 + 2 + 3) / 4
    assert list(summary["per_network"][1]["per_episode"][3].values()) == [
        3, 503, False, False, 4.5, 50,
    ]  # fmt: skip


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
            assert group["terminated"][:].tolist() == [False] * 4 + [True]  # before the horizon
            assert not group["truncated"][:].any()


def test_an_episode_up_to_the_horizon_is_truncated():
    """That is where the evaluation ends it, and not the task."""
    interface = INTERFACE._replace(horizon=5)
    data = trajectory_files(trajectories(), interface, {})[H5_NAME]
    with h5py.File(io.BytesIO(data)) as file:
        assert file["traj_0/truncated"][:].tolist() == [False] * 4 + [True]
        assert not file["traj_0/terminated"][:].any()


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
    assert content["frontier"]["front"] == 2
    assert content["frontier"]["episodes"] == 10
    assert content["audit"] == {"networks": 2, "architectures": 1}
    assert content["alignment"] == {"zoos": ["cnn"]}


def test_the_values_that_are_read_are_the_types_of_their_rooms(tmp_path):
    """Readers return the data types that the rest of nnit works on."""
    types = {"demos": Demos, "zoo": ModelZoo, "tokens": TokenSet}
    for kind, type_ in types.items():
        write(kind, tmp_path / kind)
        assert type(READERS[kind](tmp_path / kind)[0]) is type_


@pytest.mark.parametrize("interfaces", [(INTERFACE,), (INTERFACE, OTHER)])
def test_a_generator_may_take_half_the_space(tmp_path, interfaces):
    """Numbers come back as float32, the nearest that bfloat16 has; with a schema of its own."""
    for name, half in (("whole", False), ("half", True)):
        where = tmp_path / name
        write_model(where, "generator", CONFIG, TENSORS, interfaces, {}, provenance(), half=half)
    whole, _ = read_model(tmp_path / "whole", "generator")
    half, artifact = read_model(tmp_path / "half", "generator", check="all")
    assert (half.interfaces, artifact.manifest.schema) == (interfaces, 3)
    assert half.config == whole.config
    for name, tensor in whole.tensors.items():
        rounded = torch.from_numpy(tensor).bfloat16().float().numpy()
        assert_same(half.tensors[name], rounded)
        assert artifact.manifest.arrays[name].dtype == "bfloat16"
    with pytest.raises(ValueError, match="kind 'ghn' is not stored as bfloat16"):
        write_model(
            tmp_path / "ghn", "ghn", CONFIG, TENSORS, interfaces[:1], {}, provenance(), half=True
        )


def test_a_schema_has_one_type_of_tensors(tmp_path):
    """A manifest of schema 1 with halves, or of 3 without, is damaged however well it is sealed."""
    for half, schema in ((True, 1), (False, 3)):
        path = tmp_path / f"schema-{schema}"
        write_model(path, "generator", CONFIG, TENSORS, (INTERFACE,), {}, provenance(), half=half)
        manifest = open_artifact(path).manifest
        (path / "manifest.json").write_bytes(
            dataclasses.replace(manifest, schema=schema).to_bytes()
        )
        with pytest.raises(DamagedArtifactError, match=f"expected .* in schema {schema}"):
            read_model(path, "generator")


def test_several_tasks_have_a_schema_of_their_own(tmp_path):
    """Tokens and generators of two tasks come back in schema 2; of one task nothing is new."""
    write_tokens(tmp_path / "tokens", tokens_of_two_tasks(), provenance())
    value, artifact = read_tokens(tmp_path / "tokens")
    assert_same(value, tokens_of_two_tasks())
    assert value.interfaces == (INTERFACE, OTHER)
    assert artifact.manifest.schema == 2
    assert describe(artifact)["content"]["tasks"] == ["PushCube-v1", "PickCube-v1"]

    both = (INTERFACE, OTHER)
    write_model(tmp_path / "generator", "generator", CONFIG, TENSORS, both, {}, provenance())
    model, artifact = read_model(tmp_path / "generator", "generator")
    assert (model.interfaces, artifact.manifest.schema) == (both, 2)
    with pytest.raises(ValueError, match="kind 'ghn' has one task, not 2"):
        write_model(tmp_path / "ghn", "ghn", CONFIG, TENSORS, both, {}, provenance())

    write_tokens(tmp_path / "one", tokens(), provenance())
    manifest = read_tokens(tmp_path / "one")[1].manifest
    assert manifest.schema == 1
    assert manifest.attributes.keys() == {"interface", "patch_size", "standardizer"}
    assert "tasks" not in manifest.arrays
    assert "tasks" not in describe_path(tmp_path / "one")["content"]
