"""What this machine offers: devices, versions, disk; and what to do where something is missing."""

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from nnit import __version__
from nnit.errors import ResourceError, UsageError

OLDEST_PYTHON = (3, 11)
NEEDED_DISK_GIB = 3.0  # environment aside: artifacts, checkpoints and DVC's cache of the defaults
NEEDED_MEMORY_GIB = 3.0
PACKAGES = ("numpy", "zarr", "safetensors", "mani_skill", "gymnasium", "sapien", "dvc")
OPTIONAL_PACKAGES = ("dvc",)
DEVICE = re.compile(r"cpu|cuda(:[0-9]{1,3})?")


class Check(NamedTuple):
    """One thing that was looked at."""

    name: str
    finding: str
    fix: str = ""  # what to do; empty where nothing is wrong
    is_needed: bool = True  # nothing works without; else what the finding names


def resolve_device(name: str, local_rank: int = 0) -> str:
    """Return the device to compute on: ``cpu``, or ``cuda:0`` with its number.

    Args:
        name: ``auto`` takes a GPU where there is one; ``cpu``, ``cuda`` or ``cuda:1`` are taken
            at their word.
        local_rank: Which of the processes of this machine this is, that train together: each takes
            a GPU of its own, counted from the one that is named.

    Raises:
        UsageError: any other name.
        ResourceError: a GPU was asked for and there is none of that number.
    """
    check_device_name(name)
    if name == "cpu":
        return "cpu"
    count = _cuda_devices()
    if name == "auto" and not count:
        return "cpu"
    index = int(name.partition(":")[2] or 0) + local_rank
    if index >= count:
        if local_rank and count:
            raise ResourceError(
                f"--device {name}: torch sees {count} CUDA devices, and {local_rank + 1} processes "
                "or more were started here; start no more than there are GPUs"
            )
        found = f"torch sees {count} of them" if count else "torch sees no CUDA device"
        raise ResourceError(f"--device {name}: {found}; use --device cpu, or see nnit doctor")
    return f"cuda:{index}"


def check_device_name(name: str) -> None:
    """Make sure that a device may have this name, without asking torch.

    Raises:
        UsageError: it may not.
    """
    if name != "auto" and not DEVICE.fullmatch(name):
        raise UsageError(f"--device {name}: must be auto, cpu, cuda or cuda with a number (cuda:1)")


def examine() -> list[Check]:
    """Look at everything that nnit needs."""
    return [
        Check("nnit", __version__),
        _check_python(),
        *_check_torch(),
        *(_check_package(package) for package in PACKAGES),
        _check_memory(),
        _check_disk(Path.cwd()),
    ]


def _cuda_devices() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _check_python() -> Check:
    finding = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        return Check("python", finding, "needs Python 3.11 or newer; make a new environment")
    return Check("python", finding)


def _check_torch() -> list[Check]:
    try:
        import torch
    except ImportError as error:
        return [Check("torch", f"cannot be imported: {error}", "pip install torch")]
    cores = len(os.sched_getaffinity(0))
    threads = torch.get_num_threads()
    fix = ""
    if threads > cores:
        fix = f"{threads} threads on {cores} cores slow each other down; OMP_NUM_THREADS={cores}"
    return [
        Check("torch", torch.__version__),
        Check("threads", f"{threads} on {cores} cores", fix),
        Check("CUDA", _cuda_finding()),
    ]


def _cuda_finding() -> str:
    import torch

    if torch.version.cuda is None:
        return "none: this torch is built for the CPU alone (all commands work there)"
    names = [torch.cuda.get_device_name(index) for index in range(_cuda_devices())]
    return ", ".join(names) or "none: no driver or device (all commands work on the CPU)"


def _check_package(package: str) -> Check:
    try:
        return Check(package, importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        if package in OPTIONAL_PACKAGES:
            finding = "not installed (needed for dvc repro alone)"
            return Check(package, finding, f"pip install {package}", is_needed=False)
        return Check(package, "not installed", f"pip install {package}")


def _check_memory() -> Check:
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    fix = f"needs about {NEEDED_MEMORY_GIB:.0f} GiB" if gib < NEEDED_MEMORY_GIB else ""
    return Check("memory", f"{gib:.1f} GiB", fix)


def _check_disk(folder: Path) -> Check:
    gib = shutil.disk_usage(folder).free / 2**30
    fix = f"needs about {NEEDED_DISK_GIB:.0f} GiB free" if gib < NEEDED_DISK_GIB else ""
    return Check("disk", f"{gib:.1f} GiB free in {folder}", fix)
