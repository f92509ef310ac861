"""Errors of actions in held-out recordings, and which recordings are held out."""

import numpy as np
import pytest
from learning_examples import make_zoo
from recording_examples import record, write_npz

from nnit.artifacts.demos import read_demos, write_demos
from nnit.artifacts.manifest import Provenance
from nnit.artifacts.zoo import write_zoo
from nnit.errors import LeakError
from nnit_cli.main import main
from stages.action_error import Inputs, run
from stages.params import Params

pytestmark = pytest.mark.seconds
TOGETHER = record(episodes=6)


def demos_of(folder, name, recording, *more):
    """Take the demonstrations of a recording; returns where they are."""
    npz, out = str(write_npz(folder / f"{name}.npz", recording)), folder / name
    assert main(["demos", "--recording", npz, "--task", "arm", *more, "--out", str(out), "-q"]) == 0
    return out


def zoo_of(folder, demos):
    """Write networks of random weights that have the interface of demonstrations."""
    zoo = make_zoo([(8,), (4, 4)], interface=read_demos(demos)[0].interface)
    write_zoo(folder / "zoo", zoo, Provenance("zoo-export", {}, 0))
    return folder / "zoo"


def cut(recording, episodes):
    """Return the first episodes of a recording."""
    steps = recording.episode_ends[episodes - 1]
    return recording._replace(
        observations=recording.observations[:steps],
        actions=recording.actions[:steps],
        episode_ends=recording.episode_ends[:episodes],
    )


def with_gripper(recording, value):
    """Add a third number to the actions."""
    column = np.broadcast_to(np.asarray(value, np.float32), len(recording.actions))
    return recording._replace(actions=np.column_stack([recording.actions, column]))


@pytest.mark.parametrize("value", [3.5, 5.0, "moving"])
def test_a_number_that_never_moved_in_training_has_its_true_error(value, tmp_path):
    """In the robot's units, as networks leave it where it was; the others are as without it."""
    held = record(episodes=3, seed=1)
    gripper = np.linspace(0, 9, len(held.actions)) if value == "moving" else value
    trained = demos_of(tmp_path, "trained", with_gripper(TOGETHER, 3.5))
    other = demos_of(tmp_path, "held", with_gripper(held, gripper))
    report = run(Params(), Inputs(zoo_of(tmp_path, trained), other))
    true = np.sqrt(np.mean((3.5 - np.asarray(gripper)) ** 2))
    half = read_demos(trained)[0].interface.recorded.half[:2]
    for one in report.networks:
        *moving, resting = one.error.root_mean_square
        assert resting == pytest.approx(true, rel=1e-5)
        assert one.error.mean_square == pytest.approx(np.mean((moving / half) ** 2))
    assert report.mean_action.root_mean_square[2] == pytest.approx(np.std(gripper), rel=1e-5)


def test_episodes_of_two_recordings_are_not_shared(tmp_path):
    """Though they are counted alike."""
    trained = demos_of(tmp_path, "trained", TOGETHER)
    other = demos_of(tmp_path, "held", record(episodes=3, seed=1))
    assert read_demos(other)[0].reset_seeds < read_demos(trained)[0].reset_seeds
    assert run(Params(), Inputs(zoo_of(tmp_path, trained), other, trained_on=trained)).episodes == 3


def test_episodes_of_one_recording_are_shared(tmp_path):
    """As they are of one that grew, and of demonstrations that have further episodes."""
    grown = demos_of(tmp_path, "grown", TOGETHER, "--take", "3:")
    trained = demos_of(tmp_path, "trained", TOGETHER, "--take", ":4")
    before = demos_of(tmp_path, "before", cut(TOGETHER, 4))
    demos, _ = read_demos(trained)
    write_demos(tmp_path / "added", demos, Provenance("demos", {}, 0, {"add_to": "0" * 64}))
    zoo = zoo_of(tmp_path, trained)
    for known in (trained, before, tmp_path / "added"):
        with pytest.raises(LeakError, match="the episode of reset seed 10003 is one of"):
            run(Params(), Inputs(zoo, grown, trained_on=known))
