"""The batch files of docs/slurm: bash takes them, and nnit what they call."""

import os
import subprocess
from pathlib import Path

import pytest

from nnit_cli.app import load

FILES = sorted((Path(__file__).parents[1] / "docs" / "slurm").glob("*.sbatch"))
JOB = {
    "SLURM_ARRAY_JOB_ID": "7",
    "SLURM_CPUS_PER_TASK": "4",
    "SLURM_JOB_ID": "7",
    "SLURM_JOB_NODELIST": "node[1-2]",
    "SLURM_NNODES": "2",
}
PROGRAMS = {"srun": 'printf "%s\\n" "$@"', "scontrol": "echo node1"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
@pytest.mark.parametrize("task", ["", "3"])
def test_batch_file_calls_what_there_is(file, task, tmp_path):
    """As a job, and as one of an array: commands and flags exist, and values are allowed."""
    for name, does in PROGRAMS.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{does}\n")
        program.chmod(0o755)
    environment = {**JOB, "SLURM_ARRAY_TASK_ID": task, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", str(file), "first", "second"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    called = done.stdout.splitlines()
    name, *words = called[called.index("nnit") + 1 :]
    if name == "merge":
        assert not task
        load(name).make_context(name, [*words])
        name, *words = words
    load(name).make_context(name, words)
