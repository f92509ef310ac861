"""The command line under signals: it saves, leaves with the right code, and goes on to the end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_server import kill_group, wait_for
from tiny_pipeline import (
    COMMANDS,
    PARAMS,
    PARAMS_NAME,
    TRAININGS,
    command_line,
    names,
    run,
    tree,
    with_section,
    write_params,
)

STEPS = 40  # long enough to be interrupted between the first checkpoint and the end
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}
NOTICE = "\nnnit: stopping and saving; once more to stop at once\n"

pytestmark = [pytest.mark.slow, pytest.mark.sim]


@pytest.fixture(scope="module")
def longer(pipeline, tmp_path_factory) -> Path:
    """The pipeline's artifacts with trainings of many steps, and what those end in."""
    folder = tmp_path_factory.mktemp("longer")
    params = PARAMS
    for name in TRAININGS:
        params = with_section(params, name, steps=STEPS, checkpoint_every=2)
    for kind in ("demos", "zoo", "tokens"):
        (folder / kind).symlink_to(pipeline / kind)
    write_params(folder / PARAMS_NAME, params)
    for name in TRAININGS:
        run(name, folder, folder / COMMANDS[name].kind, params=params)
    return folder


def left_by(number: signal.Signals) -> list[str]:
    """What is there after a signal: its state; a process that is killed leaves its lock's file."""
    return [".out.lock"] * (number == signal.SIGKILL) + ["out.state"]


@pytest.mark.parametrize(
    ("name", "number"),
    [*zip(TRAININGS, SIGNALS, strict=True)],
)
def test_interrupted_training_goes_on_to_the_same_bytes(name, number, longer, server, tmp_path):
    """Ctrl-C, SIGTERM or SIGKILL in the middle: state and no output; --resume does the rest."""
    out = tmp_path / "out"
    words = command_line(name, longer, out, "--quiet")
    process = server.start(words, cwd=tmp_path)
    wait_for(tmp_path, "out.state/training.safetensors")
    os.kill(process, number)
    ended = server.end()
    assert ended.code == SIGNALS[number]
    if number != signal.SIGKILL:
        assert ended.err.startswith(f"{NOTICE}nnit: {out}: stopped by {number.name} at step ")
        assert ended.err.endswith("state saved; go on with the same command and --resume\n")
    assert names(tmp_path) == left_by(number)
    refused = server.run(words, cwd=tmp_path)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    resumed = server.run([*words, "--resume"], cwd=tmp_path)
    assert (resumed.code, resumed.err) == (0, "")
    assert tree(out) == tree(longer / COMMANDS[name].kind)
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize(
    ("name", "number"),
    [*(("zoo-export", number) for number in SIGNALS), ("rollout", signal.SIGTERM)],
)
def test_interrupted_units_go_on_to_the_same_bytes(name, number, pipeline, server, tmp_path):
    """Once a unit is finished it is kept, and the rest is made with --resume."""
    out = tmp_path / "out"
    words = command_line(name, pipeline, out, "--quiet")
    process = server.start(words, cwd=tmp_path)
    wait_for(tmp_path, "out.state/units/*.safetensors")
    if number == signal.SIGKILL:
        kill_group(process)
    else:
        os.kill(process, number)
    ended = server.end()
    assert ended.code == SIGNALS[number]
    if number != signal.SIGKILL:
        assert ended.err.startswith(f"{NOTICE}nnit: {out}: stopped by {number.name} after ")
        assert ended.err.endswith("saved; go on with the same command and --resume\n")
    assert names(tmp_path) == left_by(number)
    resumed = server.run([*words, "--resume"], cwd=tmp_path)
    assert (resumed.code, resumed.err) == (0, "")
    assert tree(out) == tree(pipeline / COMMANDS[name].kind)
    assert names(tmp_path) == ["out"]


@pytest.fixture
def fresh_process() -> Iterator[Callable[[list[str]], subprocess.Popen[str]]]:
    """Start ``nnit`` in a process group of its own, without forks of a process that has it all."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    started = []

    def start(words: list[str]) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "nnit_cli", *words],
                env=environment,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        kill_group(process.pid)
        process.communicate()


def test_command_in_a_process_of_its_own(longer, fresh_process, tmp_path):
    """The same without forks: SIGTERM to ``nnit ghn-train``, then --resume."""
    out = tmp_path / "out"
    words = command_line("ghn-train", longer, out, "--quiet")
    process = fresh_process(words)
    wait_for(tmp_path, "out.state/training.safetensors")
    process.send_signal(signal.SIGTERM)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 143
    assert err.endswith("state saved; go on with the same command and --resume\n")
    assert names(tmp_path) == ["out.state"]
    resumed = fresh_process([*words, "--resume"])
    assert resumed.communicate(timeout=60)[1] == ""
    assert resumed.returncode == 0
    assert tree(out) == tree(longer / "ghn")
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize(  # a worker is starting; and at work
    ("delay_s", "number"), [(0.05, signal.SIGINT), (0.5, signal.SIGTERM)]
)
def test_signal_to_the_whole_group_is_no_crash_of_a_worker(
    delay_s, number, pipeline, fresh_process, tmp_path
):
    """As from a terminal, ``timeout`` or systemd: the command stops, and does not blame memory."""
    words = command_line("zoo-export", pipeline, tmp_path / "out", "--branch-steps", "100")
    process = fresh_process(words)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("zoo-export: from ")
    while not (tmp_path / "out.state").exists():  # until then there is nothing to go on from
        time.sleep(0.01)
        assert process.poll() is None
    time.sleep(delay_s)
    os.killpg(process.pid, number)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == SIGNALS[number]
    assert NOTICE in err
    assert err.endswith("saved; go on with the same command and --resume\n")
