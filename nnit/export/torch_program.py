"""A network as a program of ``torch.export``: it runs where torch is, without nnit."""

import tempfile
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from nnit.export.policy import OBSERVATION, Answers, ExportedPolicy, torch_answers, torch_module

_NAME = "nnit"  # of the archive, which every name in it begins with
_HEAD_BYTES = 100  # the first name is within them


def is_program(data: bytes) -> bool:
    """Whether a file begins as those of ``program_bytes``."""
    return data.startswith(b"PK") and f"{_NAME}/data/".encode() in data[:_HEAD_BYTES]


def program_bytes(policy: ExportedPolicy) -> bytes:
    """Return a ``.pt2`` of ``observation (batch, obs_dim) -> action (batch, act_dim)``.

    Of classes it returns two tensors: one number for each class, and the class ``(batch,)``. It
    holds neither sample inputs, which would be a pickle, nor paths of this machine.
    """
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(
        torch_module(policy),
        (torch.zeros(2, policy.interface.obs_dim),),
        dynamic_shapes={OBSERVATION: {0: batch}},
    )
    program.example_inputs = None
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"{_NAME}.pt2")  # its stem becomes the archive's name
        torch.export.save(program, file)
        return file.read_bytes()


def program_answers(data: bytes, observations: np.ndarray) -> Answers:
    """Return what a program of ours answers to raw observations ``(N, obs_dim)``.

    ``torch.export.load`` trusts what it reads: only for bytes that were just made.
    """
    return torch_answers(torch.export.load(BytesIO(data)).module(), observations)
