"""Write an artifact and tell of every step that the disk sees, for a test that kills at one."""

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from artifact_examples import provenance

from nnit.artifacts import durable, publish
from nnit.artifacts.arrays import write_arrays

CALLS = ("fsync", "mkdir", "rename", "replace", "unlink", "rmdir", "chmod")
PARTS = 10


def write_in_steps(path: Path, version: int, steps: Connection) -> None:
    """Publish a version, in a process of its own: functions of ``os`` are replaced."""

    def step(name: str) -> None:
        steps.send(name)
        time.sleep(0.001)

    def stepped(function):
        def call(*arguments, **options):
            step(function.__name__)
            result = function(*arguments, **options)
            step(function.__name__)
            return result

        return call

    for name in CALLS:
        setattr(os, name, stepped(getattr(os, name)))
    durable._rename = stepped(durable._rename)
    attributes = {"version": version}
    with publish.publish(path, "zoo", provenance(), attributes, force=True) as writer:
        for k in range(PARTS):
            writer.write_file(f"part{k}", part(version))
            step("part")
        write_arrays(writer, {"x": np.full((50, 3), version, np.float32)})
    step("end")


def part(version: int) -> bytes:
    """Return what each of the artifact's files holds."""
    return bytes([version]) * 1000
