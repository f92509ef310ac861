"""What somebody has who installs nnit and nothing else: the generator that comes with it works.

The wheel is built and installed into an environment of its own, which sees the packages that nnit
depends on and not this checkout. Commands run there without a right to write into it, without a
home folder, and without a network where the machine lets a process have none.
"""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from test_plain_torch import run_plain

from nnit.artifacts.rollouts import read_rollouts
from nnit.generators.names import BUNDLED
from nnit.generators.trained import read_generator

REPOSITORY = Path(__file__).parents[2]
SHAPE = "128,256,128"
PACKAGES = ("nnit", "nnit_cli", "stages")
FILES = ("pyproject.toml", "README.md", "LICENSE")
DROP_CAPABILITY, OVERRIDE_RIGHTS = 24, (1, 2)  # of prctl; what lets root write and read anywhere
NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000  # of unshare

pytestmark = [pytest.mark.slow, pytest.mark.sim]


def confine() -> None:
    """Take a process's network and root's way around file modes, as far as the machine allows."""
    libc = ctypes.CDLL(None)
    if os.geteuid() != 0:
        libc.unshare(NEW_USER | NEW_NETWORK)
        return
    libc.unshare(NEW_NETWORK)
    for capability in OVERRIDE_RIGHTS:
        libc.prctl(DROP_CAPABILITY, capability, 0, 0, 0)


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """The interpreter of an environment with the wheel, whose packages can't be written."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, source / name, ignore=ignored)
    for name in FILES:
        shutil.copy(REPOSITORY / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    run([*pip, *build, str(source)], folder, confined=False)
    (wheel,) = folder.glob("nnit-*.whl")
    run([sys.executable, "-m", "venv", "--without-pip", str(folder / "env")], folder)
    found = folder / "env" / "bin" / "python"
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    install = ["--python", str(found), "install", "--no-deps", "--no-index", str(wheel)]
    run([*pip, *install], folder, confined=False)
    # Not before, as an nnit that is there already would do for pip. The .pth files of that folder
    # are not followed, so that one installed to be edited is not seen.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for place in (site, *site.rglob("*")):
        place.chmod(place.stat().st_mode & ~0o222)
    return found


@pytest.fixture
def here(tmp_path) -> Path:
    """An empty folder to work in."""
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def run(words: list[str], folder: Path, *, confined: bool = True) -> str:
    """Run a command in a folder, without what is set for this checkout; returns what it printed."""
    kept = ("PATH", "LANG", "TMPDIR", *(() if confined else ("HOME",)))
    env = {key: value for key, value in os.environ.items() if key in kept}
    done = subprocess.run(
        words,
        cwd=folder,
        env={"HOME": "/nonexistent", **env, "OMP_NUM_THREADS": "1"},
        preexec_fn=confine if confined else None,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def nnit(python: Path, folder: Path, *words: str) -> str:
    """Run a command of the installed nnit."""
    return run([str(python.with_name("nnit")), *words], folder)


def test_a_policy_of_every_task_without_training(python, here):
    """In the shape that was asked for; from the package and not from this checkout."""
    tasks = [task.interface.task for task in read_generator(BUNDLED / "generator").tasks]
    assert len(tasks) >= 13
    code = (
        "import json, os, nnit\n"
        "assert not os.access(os.path.dirname(nnit.__file__), os.W_OK)\n"
        f"for task in {tasks!r}:\n"
        "    policy = nnit.generate(task, [128, 256, 128])\n"
        "    observation = policy.interface.obs_dim * [0.5]\n"
        "    import torch\n"
        "    print(json.dumps([nnit.__file__, policy(torch.tensor(observation)).tolist()]))\n"
    )
    lines = run([str(python), "-c", code], here).splitlines()
    assert len(lines) == len(tasks)
    for line in lines:
        path, outputs = json.loads(line)
        assert Path(path).is_relative_to(python.parents[1])
        assert any(outputs)
    listed = nnit(python, here, "models", "--json")
    assert [one["tasks"] for one in json.loads(listed)] == [tasks]


def test_a_sample_is_rolled_out_and_runs_in_plain_torch(python, here):
    """By the commands of the README's first block."""
    nnit(python, here, "sample", "--task", "PickCube-v1", "--arch", SHAPE)
    nnit(python, here, "rollout", "artifacts/samples", "--episodes", "5")
    rollouts, _ = read_rollouts(here / "artifacts" / "rollouts")
    (one,) = rollouts.evaluations
    assert one.hidden_dims == (128, 256, 128)
    assert one.success_once >= 0.8
    (config,) = (here / "artifacts" / "samples").glob("*/config.json")
    size = json.loads(config.read_text())["obs_dim"]
    done = run_plain(config.parent, np.zeros((1, size)))
    assert done.returncode == 0, done.stderr


def test_two_processes_at_once(python, here):
    """Write the same bytes beside each other."""
    words = ["sample", "--task", "PushCube-v1", "--arch", SHAPE, "--seed", "3", "--out"]
    running = [
        subprocess.Popen(
            [str(python.with_name("nnit")), *words, name],
            cwd=here,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=confine,
        )
        for name in ("one", "two")
    ]
    for process in running:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    one, two = ((here / name / "manifest.json").read_bytes() for name in ("one", "two"))
    assert one == two
