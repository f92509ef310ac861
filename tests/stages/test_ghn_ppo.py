"""The stage that trains the hypernetwork by reinforcement learning."""

import json
import signal

import numpy as np
import pytest

from nnit.artifacts.log import log_file, read_log
from nnit.artifacts.model import read_model
from nnit.errors import UsageError
from nnit.ppo.collect import FragmentUnit, explore
from nnit.tasks.registry import get_task
from nnit.tasks.task import TaskRef
from nnit_cli.main import main
from nnit_cli.signals import StopRequest
from stages import ghn_ppo
from stages.ghn_ppo import steps_of
from stages.params import PpoParams

PARAMS = """
task: gym:CartPole-v1
ppo: {iterations: 2, architectures: 2, steps: 40, minibatches: 1, epochs: 1}
"""

pytestmark = pytest.mark.seconds


def test_the_command_writes_a_hypernetwork_and_resumed_the_same(tmp_path, monkeypatch, capsys):
    """The interface has the task's sizes, the summary the best return.

    Stopped after the first of two iterations, and gone on with two workers, it ends the same: what
    did best is kept in the state.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    words = ["ghn-train", "--objective", "ppo", "--json", "--curve", "curve.csv"]
    assert main([*words, "--out", "one", "--workers", "1"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["command"] == "ghn-train"
    model, artifact = read_model(tmp_path / "one", "ghn")
    (interface,) = model.interfaces
    assert (interface.obs_dim, interface.act_dim, interface.output) == (4, 2, "class")
    params = artifact.manifest.params
    assert (params["objective"], params["policies"]) == ("ppo", 2)
    assert params["architectures"]["held_out"]  # their section, not the number of policies
    head, *rows = (tmp_path / "curve.csv").read_text().split()
    first, last = (float(row.split(",")[1]) for row in rows)
    assert head == "step,return"
    assert said["summary"]["mean_return"] == pytest.approx(max(first, (first + last) / 2), rel=1e-4)
    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "poll", lambda _: signal.SIGTERM)
        assert main([*words, "--out", "parts", "--workers", "1"]) == 143
    assert "at step 1 of 2" in capsys.readouterr().err
    assert main([*words, "--out", "parts", "--workers", "2", "--resume"]) == 0
    for name in ("one", "parts"):
        returns = [(each["step"], each["return"]) for each in read_log(log_file(tmp_path / name))]
        assert [step for step, _ in returns] == [1, 2]
        assert [value for _, value in returns] == pytest.approx([first, last], rel=1e-4)
    one, other = ((tmp_path / name / "manifest.json").read_bytes() for name in ("one", "parts"))
    assert one == other


def test_flags_of_the_other_objective_are_refused(capsys):
    """One line that names the flag and whose it is."""
    assert main(["ghn-train", "--objective", "ppo", "--steps", "3"]) == 2
    assert capsys.readouterr().err == "nnit: --steps: is of --objective cloning\n"
    assert main(["ghn-train", "--iterations", "3"]) == 2
    assert capsys.readouterr().err == "nnit: --iterations: is of --objective ppo\n"


def test_on_a_gpu_steps_are_whole_episodes():
    """By default as many as there need to be; others are refused with the horizon."""
    task = get_task("PushCube-v1")
    assert steps_of(PpoParams(), task) == 512
    assert steps_of(PpoParams(sim_backend="physx_cuda"), task) == 550
    assert steps_of(PpoParams(sim_backend="physx_cuda", steps=100), task) == 100
    with pytest.raises(UsageError, match=r"ppo.steps 120: must be a multiple of 50"):
        steps_of(PpoParams(sim_backend="physx_cuda", steps=120), task)


def test_iterations_without_the_end_of_an_episode(tmp_path, monkeypatch, capsys):
    """Nothing is known of the return: it is left out, and state is saved all the same."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS.replace("ppo: {", "ppo: {checkpoint_every: 1, "))
    monkeypatch.setattr(ghn_ppo, "steps_of", lambda *_: 3)
    words = ["ghn-train", "--objective", "ppo", "--workers", "1", "--out", "short", "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["summary"]["mean_return"] is None


FEW = """
from nnit.tasks.task import Task
TASK = Task("Few", obs_dim=1, act_dim=1, horizon=1, simulate=None, max_seed=9)
"""


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_task_without_seeds_to_explore_is_one_line(more, tmp_path, monkeypatch, capsys):
    """Those that it has are all evaluated; it is refused before anything runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "few.py").write_text(FEW)
    assert main(["ghn-train", "--objective", "ppo", "--task", "./few.py", "-q", *more]) == 2
    said = capsys.readouterr().err
    assert "--task Few: has no reset seed to explore: max_seed is 9" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "artifacts").exists()


@pytest.mark.sim
def test_an_episode_with_rewards_does_not_depend_on_those_before():
    """What a policy explores is the same after another has explored in the same process."""
    ref = TaskRef("PushCube-v1")
    interface = ghn_ppo.plain_interface(get_task(ref))
    size = interface.spec((8,)).num_parameters
    weights = np.random.default_rng(0).normal(size=size).astype(np.float32)
    units = [
        FragmentUnit(ref, interface, (8,), weights, np.zeros(4, np.float32), 50, 0, (k,))
        for k in range(2)
    ]
    first = explore(units[0])
    explore(units[1])
    again = explore(units[0])
    np.testing.assert_array_equal(first.observations, again.observations)
    np.testing.assert_array_equal(first.rewards, again.rewards)


def test_dry_run_shows_the_parameters_of_ppo(tmp_path, capsys):
    """Not those of cloning."""
    words = ["ghn-train", "--objective", "ppo", "--iterations", "7", "--out", str(tmp_path / "ghn")]
    assert main([*words, "--dry-run", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["iterations"] == 7
    assert "precision" not in facts
