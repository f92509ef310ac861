"""Values that contradict themselves are neither written nor accepted."""

import dataclasses

import numpy as np
import pytest
from artifact_examples import (
    INTERFACE,
    READERS,
    demos,
    edit_manifest,
    evaluations,
    provenance,
    replace_file,
    tokens,
    tokens_of_two_tasks,
    write,
    zoo,
)

from nnit.artifacts.demos import write_demos
from nnit.artifacts.model import write_model
from nnit.artifacts.rollouts import Rollouts, read_rollouts, write_rollouts
from nnit.artifacts.samples import read_samples
from nnit.artifacts.tokens import read_tokens, write_tokens
from nnit.artifacts.zoo import write_zoo
from nnit.errors import DamagedArtifactError
from nnit.mlp import CLASS, Recorded


def changed(value, **parts):
    """Return a copy of a frozen value with parts replaced."""
    return dataclasses.replace(value, **parts)


def recorded(low=(0.0, 1.0), high=(1.0, 1.0), control_freq=30, **parts):
    """Return the interface of demonstrations that were recorded on a robot."""
    return INTERFACE._replace(recorded=Recorded(low, high, control_freq), **parts)


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
        (write_demos, changed(demos(), input_dropout=1.0)),
        (write_demos, changed(demos(), interface=recorded((0.0,), (1.0,)))),
        (write_demos, changed(demos(), interface=recorded((0.0, 2.0), (1.0, 1.0)))),
        (write_demos, changed(demos(), interface=recorded((0.0, np.nan), (1.0, 1.0)))),
        (write_demos, changed(demos(), interface=recorded(output=CLASS))),
        (write_demos, changed(demos(), interface=recorded(control_freq=0))),
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
        (write_rollouts, Rollouts((evaluations()[0]._replace(loss=np.inf),), INTERFACE)),
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
            write_model(tmp_path / "out", "ghn", {}, {"w": array}, [INTERFACE], {}, provenance())
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
        ("demos", lambda a: a["interface"].update(recorded=None)),
        ("demos", lambda a: a.pop("interface")),
        ("demos", lambda a: a.update(input_dropout=1)),
        ("demos", lambda a: a.update(input_dropout=-0.1)),
        ("demos", lambda a: a.update(input_dropout="0.2")),
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


def test_aggregates_that_do_not_follow_are_refused(tmp_path):
    """A success rate that somebody improved by hand is damage, though the hashes agree."""
    path = tmp_path / "rollouts"
    write("rollouts", path)
    data = (path / "eval.json").read_bytes()
    replace_file(path, "eval.json", data.replace(b'"success_once": 0.5', b'"success_once": 0.9', 1))
    with pytest.raises(DamagedArtifactError, match="do not follow"):
        read_rollouts(path)


def test_tasks_and_networks_belong_together(tmp_path):
    """A task without networks, or networks of a task that is none, or statistics of too few."""
    good = tokens_of_two_tasks()
    for change in (
        {"tasks": 0 * good.tasks},
        {"tasks": good.tasks * 2},
        {"standardizers": good.standardizers[:1]},
        {"interfaces": (INTERFACE, INTERFACE)},
    ):
        with pytest.raises(ValueError, match=next(iter(change))):
            write_tokens(tmp_path / "out", changed(good, **change), provenance())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("field", ["interfaces", "standardizers"])
def test_several_tasks_without_one_of_them_are_damaged(field, tmp_path):
    """One entry fewer than there are tasks."""
    write_tokens(tmp_path / "tokens", tokens_of_two_tasks(), provenance())
    edit_manifest(tmp_path / "tokens", lambda fields: fields["attributes"][field].pop())
    with pytest.raises(DamagedArtifactError, match=field):
        read_tokens(tmp_path / "tokens")
