"""The lock: what ``make env`` installs is what ``pyproject.toml`` asks for, file by file."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

LOCKED = ("build", "environment", "torch-cuda", "torch-cpu")  # requirements/NAME.txt
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@pytest.fixture(scope="module")
def project(repository) -> dict:
    """What pyproject.toml says."""
    return tomllib.loads((repository / "pyproject.toml").read_text())


def entries(repository: Path, name: str) -> list[tuple[Requirement, list[str]]]:
    """Return the requirements of a file of the lock with the words behind each: its hashes."""
    text = (repository / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    parts = [line.partition(" --") for line in lines]
    return [(Requirement(entry), f"{dash}{rest}".split()) for entry, dash, rest in parts]


def versions(repository: Path, *names: str) -> dict[str, Version]:
    """Return the version of each package that files of the lock have."""
    found = [requirement for name in names for requirement, _ in entries(repository, name)]
    return {
        canonicalize_name(one.name): Version(str(one.specifier).removeprefix("==")) for one in found
    }


@pytest.mark.parametrize("name", LOCKED)
def test_every_entry_is_one_version_with_hashes(repository, name):
    """Nothing else is on its line: no range, no address, no option."""
    locked = entries(repository, name)
    assert locked
    for requirement, hashes in locked:
        (specifier,) = requirement.specifier
        assert (specifier.operator, requirement.url) == ("==", None)
        assert "*" not in specifier.version
        assert hashes
        assert all(HASH.fullmatch(word) for word in hashes)


def test_what_the_project_asks_for_is_locked(repository, project):
    """Every requirement of it, its extras and its build, in a version within the range."""
    locked = versions(repository, *LOCKED)
    asked = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    asked += [
        text for extra in project["project"]["optional-dependencies"].values() for text in extra
    ]
    for requirement in map(Requirement, asked):
        assert locked[canonicalize_name(requirement.name)] in requirement.specifier


def test_what_builds_the_project_is_one_version(repository, project):
    """The same for those who install it from its source as for ``make env``."""
    (asked,) = map(Requirement, project["build-system"]["requires"])
    assert {asked.name: Version(str(asked.specifier).removeprefix("=="))} == versions(
        repository, "build"
    )


def test_both_builds_of_torch_are_of_one_version(repository):
    """Results may not depend on which is installed by more than the machine does."""
    (cpu,), cuda = versions(repository, "torch-cpu").values(), versions(repository, "torch-cuda")
    assert (cpu.public, cpu.local) == (str(cuda["torch"]), "cpu")


def test_each_package_is_locked_once(repository):
    """But for torch, of which there are two builds."""
    names = [
        canonicalize_name(requirement.name)
        for name in LOCKED[:-1]
        for requirement, _ in entries(repository, name)
    ]
    assert len(names) == len(set(names))
