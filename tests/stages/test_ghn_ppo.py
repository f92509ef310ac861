"""The stage that trains the hypernetwork by reinforcement learning."""

import json
import signal

import pytest

from nnit.artifacts.model import read_model
from nnit_cli.main import main
from nnit_cli.signals import StopRequest

PARAMS = """
task: gym:CartPole-v1
ppo: {iterations: 2, architectures: 2, steps: 40, minibatches: 1, epochs: 1}
"""


def test_the_command_writes_a_hypernetwork_and_again_the_same(tmp_path, monkeypatch, capsys):
    """One worker or two; the interface has the task's sizes, the summary the best return."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    words = ["ghn-train", "--objective", "ppo", "--json", "--curve", "curve.csv"]
    assert main([*words, "--out", "one", "--workers", "1"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["command"] == "ghn-train"
    assert main([*words, "--out", "two", "--workers", "2"]) == 0
    manifests = [(tmp_path / name / "manifest.json").read_bytes() for name in ("one", "two")]
    assert manifests[0] == manifests[1]
    model, artifact = read_model(tmp_path / "one", "ghn")
    (interface,) = model.interfaces
    assert (interface.obs_dim, interface.act_dim, interface.output) == (4, 2, "class")
    assert artifact.manifest.params["objective"] == "ppo"
    head, *rows = (tmp_path / "curve.csv").read_text().split()
    first, last = (float(row.split(",")[1]) for row in rows)
    assert head == "step,return"
    assert said["summary"]["mean_return"] == pytest.approx(max(first, (first + last) / 2), rel=1e-4)


def test_stopped_and_resumed_it_writes_the_same(tmp_path, monkeypatch, capsys):
    """Stopped after the first of two iterations; what did best is kept in the state."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    words = ["ghn-train", "--objective", "ppo", "--workers", "1"]
    assert main([*words, "--out", "whole"]) == 0
    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "poll", lambda _: signal.SIGTERM)
        assert main([*words, "--out", "parts"]) == 143
    assert "at step 1 of 2" in capsys.readouterr().err
    assert main([*words, "--out", "parts", "--resume"]) == 0
    one, other = ((tmp_path / name / "manifest.json").read_bytes() for name in ("whole", "parts"))
    assert one == other


def test_flags_of_the_other_objective_are_refused(capsys):
    """One line that names the flag and whose it is."""
    assert main(["ghn-train", "--objective", "ppo", "--steps", "3"]) == 2
    assert capsys.readouterr().err == "nnit: --steps: is of --objective cloning\n"
    assert main(["ghn-train", "--iterations", "3"]) == 2
    assert capsys.readouterr().err == "nnit: --iterations: is of --objective ppo\n"
