"""Write the lock: exact versions, with the hashes of their files, of what ``make env`` installs.

    python requirements/renew.py [--upgrade]

Reads the ranges of ``pyproject.toml``, keeps the versions that are locked already unless it is told
to upgrade, and writes four files beside itself:

    build.txt        what packages are built with, to be installed first
    environment.txt  everything but torch, for Python 3.11 and newer
    torch-cuda.txt   torch as the registry has it, for GPUs, and the libraries that this build needs
    torch-cpu.txt    its build for CPUs, which is not in the registry and needs none of them

The hash of a build for CPUs is that of the file which pip takes here, where its configuration
offers one; those of other machines are kept.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parent / "pyproject.toml"
BUILD, ENVIRONMENT = HERE / "build.txt", HERE / "environment.txt"
CUDA, CPU = HERE / "torch-cuda.txt", HERE / "torch-cpu.txt"
OLDEST_PYTHON = "3.11"
OF_TORCH = re.compile(r"torch==|nvidia-(?!ml-py)|cuda-|triton==")
ENTRY = re.compile(r"^(?=[A-Za-z0-9])", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
HEAD = "# Written by `make lock` from pyproject.toml; see requirements/renew.py.\n"


def main(flags: list[str]) -> None:
    """Renew the four files."""
    with PROJECT.open("rb") as stream:
        build = tomllib.load(stream)["build-system"]["requires"]
    write(BUILD, compiled("\n".join(build), "-", [], flags))
    options = ["--all-extras", "--constraint", str(BUILD)]
    locked = "".join(f.read_text() for f in (ENVIRONMENT, CUDA) if f.exists())
    found = compiled("", str(PROJECT), options, flags, locked)
    elsewhere = [entry for entry in found if OF_TORCH.match(entry) or entry in entries(BUILD)]
    write(ENVIRONMENT, [entry for entry in found if entry not in elsewhere])
    write(CUDA, [entry for entry in elsewhere if OF_TORCH.match(entry)])
    (torch,) = (entry.split()[0] for entry in found if entry.startswith("torch=="))
    write(CPU, [build_for_cpus(f"{torch}+cpu")])


def compiled(
    stdin: str, source: str, options: list[str], flags: list[str], locked: str = ""
) -> list[str]:
    """Have uv resolve requirements for every Python and platform; return an entry for each."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "lock.txt")
        out.write_text(locked)  # which uv keeps to
        words = ["uv", "pip", "compile", source, *options, *flags, "--output-file", str(out)]
        words += ["--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes"]
        words += ["--quiet", "--no-header", "--no-annotate"]
        subprocess.run(words, input=stdin, text=True, check=True)
        return entries(out)


def build_for_cpus(torch: str) -> str:
    """Return an entry with the hashes that are locked for it, and that of what pip takes here."""
    hashes = set(HASH.findall("".join(e for e in entries(CPU) if e.split()[0] == torch)))
    words = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    words += ["--no-deps", "--report", "-", torch]
    report = subprocess.run(words, stdout=subprocess.PIPE, check=False)
    if report.returncode == 0:
        (taken,) = json.loads(report.stdout)["install"]
        hashes.add(f"--hash=sha256:{taken['download_info']['archive_info']['hashes']['sha256']}")
    return " \\\n    ".join([torch, *sorted(hashes)]) + "\n"


def entries(file: Path) -> list[str]:
    """Return the requirements of a file, each with the lines of its hashes."""
    return ENTRY.split(file.read_text())[1:] if file.exists() else []


def write(file: Path, requirements: list[str]) -> None:
    """Write entries to a file."""
    file.write_text(HEAD + "".join(requirements))


if __name__ == "__main__":
    main(sys.argv[1:])
