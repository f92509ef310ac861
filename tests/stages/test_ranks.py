"""A training under torchrun: one of its processes is killed, and a single process goes on."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_server import wait_for
from tiny_pipeline import PARAMS, command_line, names, run, with_section, write_params

from nnit.artifacts.log import log_file, read_log
from nnit.artifacts.model import read_model
from nnit.artifacts.state import STATE_NAME

pytestmark = [pytest.mark.slow, pytest.mark.sim]

LONG = with_section(
    PARAMS, "diffuse-train", steps=120, checkpoint_every=2, precision="float32", width=64
)


def torchrun(*words: str, cwd: Path, repository: Path) -> "subprocess.Popen[str]":
    """Start a command in two ranks."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.Popen(
        [*launcher, "--nproc-per-node", "2", "-m", "nnit", *words],
        cwd=cwd,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(repository), str(cwd)]),
        },
        stderr=subprocess.PIPE,
        text=True,
    )


def said(process: "subprocess.Popen[str]") -> list[str]:
    """Wait, and return what nnit said of errors, of all that torchrun says."""
    _, err = process.communicate(timeout=120)
    return [line for line in err.splitlines() if line.startswith("nnit: ")]


def test_a_killed_rank_ends_all_in_one_line_and_nothing_is_lost(pipeline, tmp_path, repository):
    """The state is saved; one process goes on from it, to what one process makes of all steps."""
    write_params(pipeline / "long.yaml", LONG)
    out, straight = tmp_path / "out", tmp_path / "straight"
    words = command_line("diffuse-train", pipeline, out, "--params", str(pipeline / "long.yaml"))
    with torchrun(*words, cwd=tmp_path, repository=repository) as process:
        wait_for(tmp_path, f"out.state/{STATE_NAME}")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[1]), signal.SIGKILL)
        (line,) = (line for line in said(process) if "stopping" not in line)
    assert re.fullmatch(
        rf"nnit: {out}: another rank ended at step \d+ of 120, state saved; go on with the same "
        "command and --resume",
        line,
    )
    assert names(tmp_path) == ["out.state"]
    run("diffuse-train", pipeline, out, params=LONG, resume=True)
    run("diffuse-train", pipeline, straight, params=LONG)
    assert [one["step"] for one in read_log(log_file(out))] == [*range(1, 121)]  # of rank 0 alone
    found, expected = (read_model(path, "generator")[0].tensors for path in (out, straight))
    for name, tensor in expected.items():
        np.testing.assert_allclose(found[name], tensor, rtol=1e-2, atol=1e-3, err_msg=name)


def test_a_mistake_is_told_once(tmp_path, repository):
    """By the first rank, however late: an end of the other before that would end both."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, time\nif os.environ.get('RANK') == '0': time.sleep(2)\n"
    )
    started = torchrun("sample", "--arch", "8", cwd=tmp_path, repository=repository)
    assert said(started) == [
        "nnit: sample: is one process; start it without torchrun, which is for ghn-train and "
        "diffuse-train"
    ]
    assert names(tmp_path) == ["sitecustomize.py"]
