"""A sample says where it belongs: rollouts hold it to that, and check-policy to its answers."""

import hashlib
import json

import pytest
from test_bad_input import edit_manifest, fault_of
from test_videos import CART_POLE, roll_out, write_networks

from nnit.artifacts.canonical import canonical_file
from nnit.artifacts.samples import read_samples
from nnit.artifacts.weights import read_tensors, tensor_bytes
from nnit.mlp import PolicyInterface
from nnit_cli.main import main

SCALING = (0.5,) * 35
PUSH_CUBE = PolicyInterface("PushCube-v1", "pd_ee_delta_pos", 35, 4, 50, SCALING, SCALING)._replace(
    action_clip=1000.0  # else these networks do nothing but what is at the bound
)
RECORDED = ("control_freq", "observation_layout", "pairs", "versions")  # not in schema 1
SPLIT = [{"name": "goal", "start": 28, "length": 3}, {"name": "q", "start": 31, "length": 4}]


@pytest.fixture
def samples(tmp_path):
    """Two networks for PushCube-v1."""
    write_networks(tmp_path / "samples", PUSH_CUBE)
    return tmp_path / "samples"


def replace_file(path, name, data):
    """Change a file and seal the artifact again."""
    (path / name).write_bytes(data)
    entry = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    edit_manifest(path, lambda fields: fields["files"].update({name: entry}))


def edit_config(path, k, edit):
    """Change what a network says of itself and seal it again."""
    name = f"network-{k:04d}/config.json"
    config = json.loads((path / name).read_bytes())
    edit(config)
    replace_file(path, name, canonical_file(config))


def roll(path, *more):
    """Words that roll networks out, quietly."""
    return ["rollout", str(path), "--out", str(path.parent / "out"), "--episodes", "1", "-q", *more]


def make_old(path):
    """Turn samples into those of schema 1."""
    for k in range(2):
        edit_config(path, k, lambda config: [config.pop(name) for name in RECORDED])
    edit_manifest(path, lambda fields: fields.update(schema=1))


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (lambda c: c.update(control_freq=50), "found control_freq 50, expected 20"),
        (
            lambda c: c["observation_layout"][0].update(name="agent/pos"),
            "found observation_layout {'name': 'agent/pos', 'start': 0, 'length': 9}, expected "
            "{'name': 'agent/qpos', 'start': 0, 'length': 9}",
        ),
        (
            lambda c: c.update(observation_layout=c["observation_layout"][:-1] + SPLIT),
            "found observation_layout {'name': 'goal', 'start': 28, 'length': 3}, expected "
            "{'name': 'extra/obj_pose', 'start': 28, 'length': 7}",
        ),
    ],
)
@pytest.mark.parametrize("also", [False, True])
def test_rollout_refuses_another_setting(also, edit, fault, samples, tmp_path, capsys):
    """Control frequency and observation, of any network, also of one to compare with."""
    odd = tmp_path / "odd"
    write_networks(odd, PUSH_CUBE)
    edit_config(odd, 1, edit)
    words = roll(samples, "--also", f"odd={odd}") if also else roll(odd)
    assert fault_of(capsys, words, 4) == (
        f"{odd}/network-0001: is not of PushCube-v1 as it is here: {fault}; make it again with "
        "this nnit, or run it with the one that made it"
    )
    assert not (tmp_path / "out").exists()


def test_rollout_refuses_another_control_mode(samples, capsys):
    """Which the manifest and every network say."""
    mode = {"control_mode": "pd_joint_pos"}
    for k in range(2):
        edit_config(samples, k, lambda config: config.update(mode))
    edit_manifest(samples, lambda fields: fields["attributes"]["interface"].update(mode))
    line = fault_of(capsys, roll(samples), 4)
    assert "found control_mode pd_joint_pos, expected pd_ee_delta_pos; make it again" in line


def test_rollout_notes_another_version_of_the_simulator(tmp_path, capsys):
    """In one line, of what the task runs in; and runs all the same."""
    path = tmp_path / "samples"
    write_networks(path, CART_POLE)
    for k in range(2):
        edit_config(path, k, lambda c: c["versions"].update(gymnasium="0.29.1", mani_skill="2.0"))
    words = roll(path, "--workers", "1")
    words.remove("-q")
    assert main(words) == 0
    noted = [line for line in capsys.readouterr().err.splitlines() if "made with" in line]
    assert len(noted) == 1
    assert noted[0].startswith(f"rollout: {path}: made with gymnasium 0.29.1, here is ")


def test_samples_of_schema_1_still_run_and_have_nothing_to_check(tmp_path, capsys):
    """They say neither where they belong nor what they answer."""
    path = tmp_path / "samples"
    write_networks(path, CART_POLE)
    make_old(path)
    assert roll_out(path, tmp_path / "out") == 0
    capsys.readouterr()
    assert main(["check-policy", str(path)]) == 0
    out = capsys.readouterr().out
    assert out == f"{path}: 2 networks, nothing to check, no pairs were recorded\n"


@pytest.mark.parametrize("interface", [PUSH_CUBE, CART_POLE])
def test_a_fresh_sample_answers_as_it_was_recorded(interface, tmp_path, capsys):
    """Every pair of every network, to the last bit; actions and classes."""
    path = tmp_path / "samples"
    write_networks(path, interface)
    assert main(["check-policy", str(path), "--json"]) == 0
    checked = {"networks": 2, "pairs": 20, "largest_difference": 0.0}
    assert json.loads(capsys.readouterr().out) == {str(path): checked}


def test_a_changed_pair_is_named(samples, tmp_path, capsys):
    """Network and pair; what is fine beside it is said too."""
    odd = tmp_path / "odd"
    write_networks(odd, PUSH_CUBE)

    def edit(config):
        action = config["pairs"][3][1]
        action[0] -= 0.25 if action[0] > 0 else -0.25

    edit_config(odd, 1, edit)
    assert main(["check-policy", str(odd), str(samples)]) == 5
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith(
        f"nnit: {odd}/network-0001: pair 3: the network's action differs by 0.25 from the recorded"
    )
    assert printed.out == f"{samples}: 2 networks, 20 pairs, largest difference 0\n"


def test_a_changed_weight_is_noticed(samples, capsys):
    """Sealed again, nothing but the pairs tells."""
    name = "network-0000/model.safetensors"
    tensors, metadata = read_tensors(samples / name)
    tensors["2.bias"] += 0.01
    replace_file(samples, name, tensor_bytes(tensors, metadata))
    assert fault_of(capsys, ["check-policy", str(samples)], 5).startswith(
        f"{samples}/network-0000: pair "
    )


def test_check_policy_refuses_what_holds_no_sample(tmp_path, capsys):
    """As every command does."""
    line = fault_of(capsys, ["check-policy", str(tmp_path / "none")], 4)
    assert line == f"{tmp_path}/none: no such artifact; make it with `nnit sample`"


def test_the_same_networks_give_the_same_bytes(samples, tmp_path):
    """What is recorded is drawn anew each time, and the same."""
    write_networks(tmp_path / "again", PUSH_CUBE)
    for file in sorted(samples.rglob("*.*")):
        assert (tmp_path / "again" / file.relative_to(samples)).read_bytes() == file.read_bytes()


def test_a_sample_says_the_version_that_its_source_was_made_with(tmp_path):
    """Not the one that happens to be installed where it is sampled."""
    write_networks(tmp_path / "samples", PUSH_CUBE, versions={"mani_skill": "2.9", "torch": "1"})
    record = read_samples(tmp_path / "samples")[0].samples[0].record
    assert record is not None
    assert record.versions.mani_skill == "2.9"
