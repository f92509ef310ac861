"""docs/exports.md, followed literally: its commands, its Python and its C."""

import re
import shlex
import subprocess

import pytest
from export_examples import ACTS, network
from hub_stand_in import TOKEN, running_hub

from nnit.artifacts.manifest import Provenance
from nnit.artifacts.samples import Sample, SampleSet, write_samples
from nnit.export.c_compiler import has_compiler
from nnit_cli.main import main

RUN = ("export", "push", "pull", "check-policy")  # the others are other tests'
PICK_CUBE = ACTS._replace(
    obs_dim=42, act_dim=4, obs_mean=(0.5,) * 42, obs_std=(2.0,) * 42, obs_clip=10.0
)


@pytest.fixture
def page(repository) -> str:
    """The whole page."""
    return (repository / "docs/exports.md").read_text()


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def test_the_page_works_as_it_says(page, tmp_path, monkeypatch, capsys):
    """Commands one after the other, then what is done with their files."""
    monkeypatch.chdir(tmp_path)
    sample = Sample(network(PICK_CUBE, (64, 64)), 0, 0)
    samples = SampleSet((sample,), PICK_CUBE)
    write_samples(tmp_path / "artifacts/samples", samples, Provenance("sample", {}, 0))
    commands = re.findall(r"^\$ nnit (.*)$", "".join(blocks(page, "console")), re.MULTILINE)
    words = [shlex.split(command, comments=True) for command in commands]
    with running_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        for command in (command for command in words if command[0] in RUN):
            assert main(command) == 0, command
    capsys.readouterr()
    for block in blocks(page, "python"):
        names: dict = {}
        exec(block, names)
        assert names["actions"].shape == (5, 4)
    assert '"name": "agent/qpos"' in capsys.readouterr().out
    if has_compiler():
        (program,) = blocks(page, "c")
        (tmp_path / "firmware/main.c").write_text(program)
        flags = ["-std=c99", "-Wall", "-Wextra", "-Werror"]
        subprocess.run(["cc", *flags, "main.c"], cwd=tmp_path / "firmware", check=True)
        subprocess.run(["./a.out"], cwd=tmp_path / "firmware", check=True)


def test_the_page_says_what_is_measured(page):
    """The size of the network that it shows, of 42 numbers to 4."""
    parameters = PICK_CUBE.spec((64, 64)).num_parameters
    assert page.count(f"{4 * (parameters + 2 * 42):,}") == 4
