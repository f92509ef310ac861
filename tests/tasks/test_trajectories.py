"""ManiSkill's trajectory files as demonstrations, and its tasks in any control mode."""

import json

import h5py
import numpy as np
import pytest

from nnit.artifacts.trajectories import Trajectory, trajectory_files
from nnit.errors import DamagedArtifactError, MissingArtifactError, UsageError, WrongKindError
from nnit.rollout.episodes import run_trajectory
from nnit.tasks.collect import DemoRequest, collect_demos
from nnit.tasks.maniskill_any import ActionBounds, official_environment
from nnit.tasks.registry import get_task, process_simulation
from nnit.tasks.task import TaskRef
from nnit.tasks.trajectories import demos_of, read_trajectories
from stages import demos_files
from stages.demos import Outputs
from stages.params import Params, RunOptions

TASK = get_task("PushCube-v1")
JOINTS = "PushCube-v1@pd_joint_delta_pos"
pytestmark = pytest.mark.sim


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Two episodes of the expert in ManiSkill's format, and the same as demonstrations."""
    folder = tmp_path_factory.mktemp("trajectories")
    demos = collect_demos(TaskRef("PushCube-v1"), DemoRequest(2, noise=0.0))
    simulation = process_simulation("PushCube-v1")
    runs = [run_trajectory(simulation, TASK.expert, seed, TASK.horizon) for seed in (10000, 10001)]
    rows = [Trajectory("x", r.seed, r.observations, r.actions, r.success) for r in runs]
    for name, data in trajectory_files(rows, demos.interface, {}).items():
        (folder / name).write_bytes(data)
    return folder, demos


@pytest.fixture
def copy(written, tmp_path):
    """A copy of the files, to be harmed."""
    for file in written[0].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path / "trajectory.h5"


def test_the_files_are_the_demonstrations(written):
    """What the expert saw and did comes back to the bit, and so does the scaling."""
    folder, demos = written
    found = demos_of(read_trajectories(folder / "trajectory.h5"))
    for name in ("observations", "actions", "episode_ends", "success_once", "seeds"):
        assert np.array_equal(getattr(found, name), getattr(demos, name)), name
    assert found.interface == demos.interface


def test_actions_stand_for_the_bounds_of_the_controller():
    """There and back; beyond the bounds an action is clipped; the middle is 0."""
    bounds = ActionBounds(official_environment(JOINTS))
    actions = np.random.default_rng(0).uniform(-1, 1, (5, 8)).astype(np.float32)
    np.testing.assert_allclose(bounds.inner(bounds.outer(actions)), actions, atol=1e-6)
    np.testing.assert_array_equal(bounds.inner(bounds.outer(7 * np.ones(8))), 1)
    np.testing.assert_allclose(bounds.inner(bounds.outer(np.zeros(8))), 0)


def test_a_task_in_another_control_mode():
    """Its size is the controller's, and episodes follow from seed and actions alone."""
    task = get_task(JOINTS)
    assert (task.obs_dim, task.act_dim, task.horizon) == (35, 8, 50)
    assert task.control_mode == "pd_joint_delta_pos"
    simulation = process_simulation(JOINTS)
    runs = [run_trajectory(simulation, lambda _: np.full(8, 0.5, np.float32), 3, 6) for _ in "ab"]
    assert np.array_equal(runs[0].observations, runs[1].observations)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("PushCube-v1@no_such_mode", "ManiSkill says"),
        ("NoSuch-v1@pd_joint_pos", "no such task"),
        ("MS-CartpoleBalance-v1@pd_joint_delta_pos", "says nothing of success"),
    ],
)
def test_unknown_tasks_and_modes_are_one_line(name, said):
    """Without a traceback, and without a prompt."""
    with pytest.raises(UsageError, match=said) as caught:
        get_task(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [("PickSingleYCB-v1", "download_asset ycb"), ("AnymalC-Reach-v1", "download_asset --help")],
)
def test_a_task_without_its_assets_is_one_line(name, said, monkeypatch, capsys):
    """ManiSkill would ask on the terminal; nnit says how to fetch objects and robots."""
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked on the terminal"))
    with pytest.raises(MissingArtifactError, match=said) as caught:
        get_task(f"{name}@pd_joint_delta_pos")
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""


def harm_nan(file):
    """Put NaN into an observation."""
    file["traj_0/obs"][3, 0] = np.nan


def harm_actions(file):
    """Drop a number of each action."""
    actions = file["traj_1/actions"][:, :3]
    del file["traj_1/actions"]
    file["traj_1/actions"] = actions


def harm_no_actions(file):
    """Have no actions at all."""
    del file["traj_1/actions"]


def harm_observations(file):
    """Have images instead of states."""
    del file["traj_0/obs"]
    file.create_group("traj_0/obs/sensor_data")


def harm_episode(file):
    """Drop an episode that the header lists."""
    del file["traj_1"]


@pytest.mark.parametrize(
    ("harm", "error", "said"),
    [
        (harm_nan, DamagedArtifactError, "traj_0: obs: holds NaN"),
        (harm_actions, DamagedArtifactError, r"traj_1: actions: found \(50, 3\)"),
        (harm_no_actions, DamagedArtifactError, "traj_1: actions is missing"),
        (harm_observations, WrongKindError, "no state observations"),
        (harm_episode, DamagedArtifactError, "no traj_1"),
    ],
)
def test_harmed_files_are_one_line(copy, harm, error, said):
    """It names the file, the episode and the field."""
    with h5py.File(copy, "r+") as file:
        harm(file)
    with pytest.raises(error, match=said) as caught:
        read_trajectories(copy)
    assert str(copy) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wrong_headers_are_one_line(copy):
    """Missing, not JSON, without a key, with two control modes."""
    header_path = copy.with_suffix(".json")
    header = json.loads(header_path.read_text())
    mixed = {**header, "episodes": [dict(one) for one in header["episodes"]]}
    mixed["episodes"][0]["control_mode"] = "pd_joint_pos"
    for text, error in (
        ("{", DamagedArtifactError),
        (json.dumps({**header, "env_info": {}}), DamagedArtifactError),
        (json.dumps(mixed), WrongKindError),
    ):
        header_path.write_text(text)
        with pytest.raises(error, match="json") as caught:
            read_trajectories(copy)
        assert "\n" not in str(caught.value)
    header_path.unlink()
    with pytest.raises(MissingArtifactError, match="json"):
        read_trajectories(copy)


def test_seeds_that_are_evaluated_are_refused(written, tmp_path):
    """The line says how to evaluate others."""
    params = Params.model_validate({"rollout": {"first_seed": 10_001}})
    inputs = demos_files.Inputs(written[0] / "trajectory.h5")
    with pytest.raises(UsageError, match="reset seed 10001 is evaluated too"):
        demos_files.run(params, inputs, Outputs(tmp_path / "demos"), options=RunOptions())
    demos_files.run(Params(), inputs, Outputs(tmp_path / "demos"), options=RunOptions())
    assert (tmp_path / "demos" / "manifest.json").exists()
